"""``pxenet kickstart``: data of the configuration, made by questions or out of a kickstart that exists already."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pxenet.answer.kickstart import importing
from pxenet.answer.masking import Mask
from pxenet.cli.kickstart_new import new
from pxenet.config.document import toml

app = typer.Typer(help="Kickstarts as data of the configuration.", no_args_is_help=True, rich_markup_mode=None)
app.command("new")(new)


@app.callback()
def _group() -> None:
    """Kickstarts as data of the configuration."""


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="The kickstart, e.g. ks.cfg.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print for programs.")] = False,
) -> None:
    """Print an existing kickstart as [profile.kickstart], and what it could not take on standard error.

    Exit status 0: every line became a key; 1: some did not; 2: the file cannot be read.
    """
    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError as error:
        typer.echo(f"{file}: is not UTF-8 text (byte {error.start})", err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        typer.echo(f"{file}: cannot be read: {error.strerror}", err=True)
        raise typer.Exit(2) from None
    found = importing.read(text)
    mask = Mask()  # of what is no data, nobody needs the secrets
    if as_json:
        left = [{"line": each.line, "text": mask(each.text), "why": each.why} for each in found.left]
        shown = {"kickstart": found.data, "source": found.source, "hostname": found.hostname, "left": left}
        typer.echo(json.dumps(shown, indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(_lines(found)))
        for each in found.left:
            typer.echo(f"{file}:{each.line}: {mask(each.text)}: {each.why}", err=True)
    raise typer.Exit(1 if found.left else 0)


def _lines(found: importing.Imported) -> list[str]:
    """What belongs below a ``[[profile]]``; what belongs elsewhere is a comment that says where."""
    lines = []
    if found.source:
        lines.append(f"# [[profile]] source = {toml(found.source)}")
    if found.hostname:
        lines.append(f"# [[host]] name = {toml(found.hostname)}")
    lines.append("[profile.kickstart]")
    return [*lines, *(f"{key} = {toml(value)}" for key, value in found.data.items())]

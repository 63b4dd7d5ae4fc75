"""``pxenet source``: what an ISO image, a directory or an URL is, before it is named in a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pxenet.boot import args as kernel_args
from pxenet.cli.output import BAD_CONFIG, FAILED, OK, print_failure, print_json
from pxenet.config.sources import place_of
from pxenet.content.media.detect import detect
from pxenet.content.media.found import Found, View
from pxenet.content.media.views import IsoView, UrlView
from pxenet.net.look import Look, LookError

app = typer.Typer(help="Sources of installations.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Sources of installations."""


@app.command("inspect")
def inspect(
    source: Annotated[str, typer.Argument(help="An ISO image, the directory of an install tree, or its URL.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say what a source is: what was found in it and why, and what was not.

    Exit status 0: it has what a machine boots; 1: it has not; 2: it cannot be read.

    \b
    Examples:
      pxenet source inspect Rocky-9.4-x86_64-dvd.iso
      pxenet source inspect http://deb.debian.org/debian
    """
    wrong: list[tuple[str, str]] = []
    view = _view(source, wrong)
    found = None
    try:
        found = detect(view) if view is not None else None
    except LookError as error:
        wrong.append((f"{source} {error}", "name an URL that can be reached from here"))
    if wrong or view is None:
        for text, right in wrong:
            print_failure(text, right, as_json=as_json)
        raise typer.Exit(BAD_CONFIG)
    if as_json:
        print_json(_record(source, view, found))
    else:
        print("\n".join(_lines(source, view, found)))
    raise typer.Exit(OK if found is not None and found.kernel is not None else FAILED)


def _view(source: str, wrong: list[tuple[str, str]]) -> View | None:
    if source.startswith(("http://", "https://")):
        look = Look(source)
        return UrlView(look.fetch, look.ask)
    place = place_of(source, "source", "", Path.cwd(), lambda _key, text, right: wrong.append((text, right)))
    if place is not None and place.view is None:
        wrong.append((f"{source} can be reached by installers only", "name an ISO image, a directory, or an http URL"))
    return None if place is None else place.view


def _arguments(found: Found) -> str:
    """What its kernel is told, as long as no answer file asks for more."""
    base = "{server}/profile/NAME"
    origin = kernel_args.Origin(
        found.installer,
        f"{base}/{found.root}".rstrip("/"),
        f"{base}/boot-files/NAME.iso",
        f"{base}/{found.stage2}" if found.stage2 else "",
        bool(found.repositories),
    )
    return kernel_args.complete("", kind="", origin=origin)


def _record(source: str, view: View, found: Found | None) -> dict[str, object]:
    record: dict[str, object] = {"source": source, "found": found is not None}
    if isinstance(view, IsoView):
        record["image"] = {
            "volume_id": view.volume_id,
            "names": view.about.names,
            "bytes": view.about.image_bytes,
            "missing_bytes": view.about.missing_bytes,
            "bootable": view.about.boot_catalog,
        }
    if found is None:
        return record
    return record | {
        "family": found.family,
        "version": found.version,
        "arch": found.arch,
        "installer": found.installer.value,
        "root": found.root,
        "kernel": found.kernel,
        "initrd": found.initrd,
        "stage2": found.stage2,
        "repositories": [{"name": each.name, "path": each.path} for each in found.repositories],
        "outside": list(found.outside),
        "checksums": dict(found.checksums),
        "arguments": _arguments(found),
        "why": list(found.why),
        "missing": list(found.missing),
    }


def _lines(source: str, view: View, found: Found | None) -> list[str]:
    if found is None:
        lines = [f"{source}: no install tree that is known"]
    else:
        named = " ".join(filter(None, (found.family, found.version, found.arch))) or "an install tree"
        lines = [f"{source}: {named}, installed by {found.installer.value}"]
    if isinstance(view, IsoView):
        about = view.about
        lines.append(f'  image       {about.image_bytes} bytes, {about.names} names, volume id "{about.volume_id}"')
        if about.missing_bytes:
            lines.append(f"  cut         its last {about.missing_bytes} bytes are not there: download it to its end")
    if found is None:
        return [*lines, '  instead     name the files: kernel = "...", initrd = "...", args = "..."']
    rows = [
        (name, getattr(found, key)) for name, key in (("kernel", "kernel"), ("initrd", "initrd"), ("stage 2", "stage2"))
    ]
    rows += [("repository", f"{each.name}: {each.path or '.'}") for each in found.repositories]
    rows += [("outside", f"{each} lies above the source, where clients cannot reach it") for each in found.outside]
    if found.checksums:
        rows.append(("checksums", f"of {len(found.checksums)} files"))
    rows.append(("arguments", _arguments(found)))
    rows += [("because", each) for each in found.why] + [("missing", each) for each in found.missing]
    return lines + [f"  {name:<11} {value}" for name, value in rows if value]

"""The command ``pxenet``: collects the commands, each of which lives in a file of its own and knows no other."""

from __future__ import annotations

from typing import Annotated

import typer

from pxenet import __version__
from pxenet.cli import inventory
from pxenet.cli.capture import capture
from pxenet.cli.check import check
from pxenet.cli.doctor import doctor
from pxenet.cli.events import events
from pxenet.cli.explain import explain
from pxenet.cli.hosts import discovered, hosts, show_one
from pxenet.cli.kickstart import app as kickstart
from pxenet.cli.leases import leases
from pxenet.cli.look import look
from pxenet.cli.orders import cancel, reinstall, retire
from pxenet.cli.reload import reload
from pxenet.cli.render import render
from pxenet.cli.replay import replay
from pxenet.cli.serve import serve
from pxenet.cli.simulate import simulate
from pxenet.cli.source import app as source
from pxenet.cli.status import status

app = typer.Typer(
    name="pxenet",
    help="Network boot you can watch: from power-on to an installed system.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: examples keep their lines, and it reads the same in a pipe
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    serve,
    check,
    render,
    explain,
    replay,
    capture,
    look,
    doctor,
    status,
    leases,
    events,
    reinstall,
    cancel,
    retire,
    reload,
    simulate,
):
    app.command()(command)
app.add_typer(kickstart, name="kickstart")
app.add_typer(source, name="source")
with_hosts = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
with_hosts.callback()(hosts)
with_hosts.command("show")(show_one)
with_hosts.command("discovered")(discovered)
with_hosts.command("accept")(inventory.accept)
with_hosts.command("add")(inventory.add)
with_hosts.command("set")(inventory.set_keys)
with_hosts.command("remove")(inventory.remove)
with_hosts.command("import")(inventory.import_table)
with_hosts.command("export")(inventory.export)
app.add_typer(with_hosts, name="hosts")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pxenet {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version, and end.")
    ] = False,
) -> None:
    """Options of the command itself, before any other."""


def main() -> None:
    """Entry point of the console script."""
    app()

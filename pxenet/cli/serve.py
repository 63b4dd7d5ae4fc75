"""``pxenet serve``: run the server in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pxenet.cli import serving


def serve(
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="The configuration (TOML).")] = None,
    interface: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Answer on this interface; may be repeated.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Serve the files of this directory as they are.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print events as JSON, one a line.")] = False,
    lines: Annotated[
        bool, typer.Option("--lines", help="Print a line for each event also on a terminal, no live table.")
    ] = False,
) -> None:
    """Run the server in the foreground.

    DHCP or ProxyDHCP, TFTP, HTTP and answer files, until stopped. Without a
    configuration it gives out no addresses and says what it sees. On a terminal
    a live table shows the machines; elsewhere each event is a line.

    \b
    Example:
      pxenet serve --config rack.toml
    """
    raise typer.Exit(serving.start(config, interface or (), root, as_json, lines=lines))

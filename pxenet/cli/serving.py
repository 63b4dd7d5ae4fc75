"""Starting the server: what ``pxenet serve`` and ``python -m pxenet.server`` share.

Free of the command line framework, which a server that starts does not need: its own options are read with argparse.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pxenet.cli.output import OK, bad_config
from pxenet.config import ConfigError, Settings, defaults, load, with_options

if TYPE_CHECKING:
    from pxenet.cli.live import LiveScreen

EXAMPLE = """\
examples:
  python -m pxenet.server                        watch: ProxyDHCP beside the network's own DHCP server, no addresses given out
  python -m pxenet.server --config rack.toml     serve what the file says ("pxenet check rack.toml" tells what that is)
  python -m pxenet.server --interface eth1 --root /srv/boot --json
"""

_INTERRUPTED = 130
"""What shells report of a program that SIGINT ended."""


def start(
    config: Path | None, interfaces: Sequence[str], root: Path | None, as_json: bool, *, lines: bool = False
) -> int:
    """Serve until asked to stop; returns the exit status. Options win over the file. ``lines``: no live picture on a terminal."""
    try:
        reread = partial(_read, config, interfaces, root)
        settings = reread(None)
        # Late, so that --help and a wrong configuration are answered at once.
        from pxenet.server import app

        screen = None if as_json or lines else _screen()
        app.run(settings, as_json=as_json, stream=screen, screen=screen, reread=reread if config else None)
    except ConfigError as error:
        return bad_config(error, as_json=as_json)
    except KeyboardInterrupt:  # before the server could listen for it
        return _INTERRUPTED
    return OK


def _read(config: Path | None, interfaces: Sequence[str], root: Path | None, running: Settings | None) -> Settings:
    """The settings as they are now. Raises ConfigError."""
    return with_options(defaults() if config is None else load(config, running), interfaces, root)


def _screen() -> LiveScreen | None:
    """The live picture, where there is a terminal to draw it on; what draws is imported only then."""
    if not sys.stdout.isatty():
        return None
    from pxenet.cli.live import LiveScreen, is_wanted

    return LiveScreen(sys.stdout) if is_wanted(sys.stdout) else None


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m pxenet.server``."""
    parser = argparse.ArgumentParser(
        prog="python -m pxenet.server",
        description="Network boot: DHCP or ProxyDHCP, TFTP, HTTP and answer files, until stopped.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration (TOML)")
    parser.add_argument(
        "--interface", action="append", default=[], metavar="NAME", help="answer on this interface; may be repeated"
    )
    parser.add_argument("--root", type=Path, metavar="DIR", help="serve the files of this directory as they are")
    parser.add_argument("--json", action="store_true", help="print events as JSON, one a line")
    parser.add_argument(
        "--lines", action="store_true", help="print a line for each event also on a terminal, no live table"
    )
    options = parser.parse_args(arguments)
    return start(options.config, options.interface, options.root, options.json, lines=options.lines)

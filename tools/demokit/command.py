"""``tools/demo``: what it understands, and its exit status (0 all machines installed and on their disks, 1 not, 2 it could not run)."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import trio

from demokit import qemu
from demokit.show import Options, Show

_EPILOG = """\
examples:
  tools/demo                    eight simulated machines, in about twenty seconds
  tools/demo --qemu             and a real firmware among them, in a QEMU machine
  tools/demo --qemu --console   with what that machine writes on its serial line
  tools/demo | cat              plain lines (as with NO_COLOR)
"""
INTERRUPTED = 130


def main(argv: list[str]) -> int:
    """Run the command line; the exit status."""
    parser = argparse.ArgumentParser(
        "tools/demo",
        description="The real server on the loopback, and a rack of simulated machines that it installs. No root, no "
        "configuration, no network but 127.0.0.0/8.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--qemu", action="store_true", help="a QEMU machine with real firmware takes part")
    parser.add_argument("--console", action="store_true", help="show that machine's serial console (with --qemu)")
    parser.add_argument(
        "--pace", type=float, default=0.7, metavar="N", help="of what machines do by themselves; 1: as real ones (0.7)"
    )
    parser.add_argument(qemu.INSIDE, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.console and not arguments.qemu:
        parser.error("--console shows the serial line of the QEMU machine: say --qemu as well")
    if not 0 <= arguments.pace <= 10:
        parser.error("--pace is a number from 0 (they wait for nothing) to 10")
    if arguments.qemu and arguments.inside is None:
        if why := qemu.obstacle():
            print(f"demo: {why}\nWithout --qemu nothing has to be installed.", file=sys.stderr)
            return 2
        return qemu.outside(argv)
    options = Options(arguments.pace, arguments.qemu, arguments.console)
    try:
        if arguments.inside is not None:
            qemu.isolate.inside(arguments.inside)
            return _run(arguments.inside, options)
        with tempfile.TemporaryDirectory(prefix="pxenet-demo-") as directory:
            return _run(Path(directory), options)
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(directory: Path, options: Options) -> int:
    show = Show(directory, options)
    try:
        trio.run(show.run)
    except OSError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    if show.interrupted:
        print("demo: interrupted; the server has ended and nothing is left behind", file=sys.stderr)
        return INTERRUPTED
    return 1 if show.problems else 0

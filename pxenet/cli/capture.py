"""``pxenet capture``: what the running server hears and says, as a capture file; no tcpdump, no further rights."""

from __future__ import annotations

import re
import sys
from base64 import b64decode
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from pxenet.capture.kept import CaptureFiles
from pxenet.capture.made import Frame
from pxenet.cli.asking import Config, NotRunningError, State, ask, host_names, reporting, settings_of
from pxenet.cli.output import BAD_CONFIG, print_failure, print_json
from pxenet.rack.census import Row
from pxenet.server.control import RefusedError

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def capture(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write (pcap, times in nanoseconds).")],
    config: Config = None,
    state: State = None,
    host: Annotated[
        str | None,
        typer.Option(metavar="HOST", help="Only one machine: name or hardware address.", autocompletion=host_names),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="NUMBER", min=0, help="End after so long. Without it: at Ctrl-C.")
    ] = None,
    rotate: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Begin a new file at this size, e.g. 100M; older ones are FILE.1 …"),
    ] = None,
    keep: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="With --rotate: so many files in all.")] = 10,
    secrets: Annotated[
        bool, typer.Option("--secrets", help="Do not mask tokens and answer files. Do not give such a file away.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as one JSON document.")] = False,
) -> None:
    """Record what the running server hears and says.

    DHCP and TFTP as frames that tshark, pxenet look and pxenet replay read. Of
    files only the headers of their blocks are written, as with a snap length.

    \b
    Examples:
      pxenet capture boot.pcap --host web01
      pxenet capture rack.pcap --rotate 100M --keep 5
    """
    with reporting(as_json):
        settings = settings_of(config, state)
        try:
            rotate_bytes = _size(rotate) if rotate is not None else 0
            files = CaptureFiles(file, rotate_bytes=rotate_bytes, keep=keep)
        except (ValueError, OSError) as error:
            print_failure(str(error), as_json=as_json)
            raise typer.Exit(BAD_CONFIG) from error
        missed = 0
        with files:
            try:
                rows = ask(settings, None, ask="capture", host=host, seconds=seconds, secrets=secrets)
                missed = _write(rows, files)
            except NotRunningError as error:
                raise RefusedError(
                    f"no server runs on {settings.server.state}, and it is the server that records",
                    "start it, or record with tcpdump",
                ) from error
            except KeyboardInterrupt:
                pass  # the way to end it
        _tell(file, files.frames, missed, as_json)


def _write(rows: Iterable[Row], files: CaptureFiles) -> int:
    """Write what comes; the number of packets that were missed."""
    missed = 0
    for row in rows:
        for at_ns, length, data in row.get("frames", ()):  # type: ignore[attr-defined]
            files.write(Frame(at_ns, b64decode(data), length))
        files.flush()
        missed += int(row.get("missed", 0))  # type: ignore[call-overload]
    return missed


def _size(word: str) -> int:
    found = re.fullmatch(r"(\d+)([kmg]?)b?", word.lower())
    if found is None or not int(found[1]):
        raise ValueError(f"--rotate {word}: write a size like 500k, 100M or 2G")
    return int(found[1]) * _UNITS[found[2]]


def _tell(file: Path, frames: int, missed: int, as_json: bool) -> None:
    if as_json:
        print_json({"file": str(file), "packets": frames, "missed": missed})
        return
    lost = f"; {missed} more came faster than they could be written" if missed else ""
    print(f"{frames} packets in {file}{lost}", file=sys.stderr)

"""``pxenet capture``: what the running server hears and says, as a capture file; no tcpdump, no further rights."""

from __future__ import annotations

import re
import sys
from base64 import b64decode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from pxenet.capture.kept import CaptureFiles, MachineFiles
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
    by_machine: Annotated[
        bool, typer.Option("--by-machine", help="A file for each machine: rack-web01.pcap … for rack.pcap.")
    ] = False,
    secrets: Annotated[
        bool,
        typer.Option(
            "--secrets",
            help="Do not mask tokens, answer files and secrets in boot texts. Do not give such a file away.",
        ),
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
      pxenet capture rack.pcap --by-machine
    """
    with reporting(as_json):
        settings = settings_of(config, state)
        try:
            rotate_bytes = _size(rotate) if rotate is not None else 0
            kind = MachineFiles if by_machine else CaptureFiles
            files = kind(file, rotate_bytes=rotate_bytes, keep=keep)
        except (ValueError, OSError) as error:
            print_failure(str(error), as_json=as_json)
            raise typer.Exit(BAD_CONFIG) from error
        missed = 0
        with files:
            try:
                wish = {"host": host, "seconds": seconds, "secrets": secrets, "machines": by_machine}
                rows = ask(settings, None, ask="capture", **wish)
                missed = _write(_begun(rows, as_json), files)
            except NotRunningError as error:
                raise RefusedError(
                    f"no server runs on {settings.server.state}, and it is the server that records",
                    "start it, or record with tcpdump",
                ) from error
            except KeyboardInterrupt:
                pass  # the way to end it
        _tell(file, files, missed, as_json)


def _begun(rows: Iterable[Row], as_json: bool) -> Iterator[Row]:
    """The first row comes when the server records."""
    for number, row in enumerate(rows):
        if not number and not as_json:
            print("recording; Ctrl-C ends it", file=sys.stderr, flush=True)
        yield row


def _write(rows: Iterable[Row], files: CaptureFiles | MachineFiles) -> int:
    """Write what comes; the number of packets that were missed."""
    missed = 0
    for row in rows:
        names = row.get("machines", ())
        frames = [Frame(at_ns, b64decode(data), length) for at_ns, length, data in row.get("frames", ())]  # type: ignore[attr-defined]
        if isinstance(files, MachineFiles):
            for frame, name in zip(frames, names, strict=True):  # type: ignore[call-overload]
                files.write(frame, name)
        else:
            for frame in frames:
                files.write(frame)
        files.flush()
        missed += int(row.get("missed", 0))  # type: ignore[call-overload]
    return missed


def _size(word: str) -> int:
    found = re.fullmatch(r"(\d+)([kmg]?)b?", word.lower())
    if found is None or not int(found[1]):
        raise ValueError(f"--rotate {word}: write a size like 500k, 100M or 2G")
    return int(found[1]) * _UNITS[found[2]]


def _tell(file: Path, files: CaptureFiles | MachineFiles, missed: int, as_json: bool) -> None:
    written = files.paths if isinstance(files, MachineFiles) else None
    if as_json:
        named = {} if written is None else {"files": [str(path) for path in written]}
        print_json({"file": str(file), "packets": files.frames, "missed": missed} | named)
        return
    lost = f"; {missed} more came faster than they could be written" if missed else ""
    where = str(file) if written is None else ", ".join(map(str, written)) or "no file: no machine said anything"
    print(f"{files.frames} packets in {where}{lost}", file=sys.stderr)

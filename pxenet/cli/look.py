"""``pxenet look``: what happened in captured boots, and who took the time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pxenet.capture import dissect
from pxenet.capture.boots import Capture
from pxenet.capture.reading import CaptureError
from pxenet.capture.text import boot_lines
from pxenet.cli.output import BAD_CONFIG, FAILED, OK, print_failure, print_json
from pxenet.look.page import page_of
from pxenet.look.record import capture_record
from pxenet.look.report import report_lines


def look(
    capture: Annotated[Path, typer.Argument(help="A capture (pcap, pcapng; gzip too); - reads it from a pipe.")],
    boot: Annotated[list[int] | None, typer.Option(metavar="N", help="Only the boot of this number.")] = None,
    packets: Annotated[bool, typer.Option("--packets", help="Show each step with its details too.")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with a waterfall of each boot to this file too.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show captured boots as timelines: stages, who took the time, and what is odd.

    Each machine's boot by itself, over DHCP, TFTP and HTTP, what is odd about it
    first. Times are told apart by who was waited for, with the evidence; recorded
    beside the server, the client's hold the way to it and back. What the recorder
    left out is never called lost. Exit status 1 when the capture shows no boot.

    \b
    Examples:
      pxenet look boot.pcap
      tcpdump -i eth1 -w - | pxenet look -
      pxenet look rack.pcapng.gz --boot 3 --packets
      pxenet look boot.pcap --html boot.html
    """
    try:
        found = dissect.read(capture, _progress if sys.stderr.isatty() else None)
    except CaptureError as error:
        print_failure(str(error), as_json=as_json)
        raise typer.Exit(BAD_CONFIG) from error
    except OSError as error:
        print_failure(f"{capture} cannot be read: {error.strerror or error}", as_json=as_json)
        raise typer.Exit(BAD_CONFIG) from error
    _check(found, boot, as_json)
    if html is not None:
        _write(html, page_of(capture_record(found, boot or None), f"pxenet look: {capture.name}"), as_json)
    if as_json:
        print_json(capture_record(found, boot or None))
    else:
        for line in report_lines(found, boot or None):
            print(line)
        for number, one in enumerate(found.boots, 1):
            if packets and (not boot or number in boot):
                print("", *boot_lines(one, found.began_at_ns), sep="\n")
    raise typer.Exit(OK if found.boots else FAILED)


def _write(path: Path, page: str, as_json: bool) -> None:
    try:
        path.write_text(page, "utf-8")
    except OSError as error:
        print_failure(f"{path} cannot be written: {error.strerror or error}", as_json=as_json)
        raise typer.Exit(BAD_CONFIG) from error


def _check(found: Capture, boot: list[int] | None, as_json: bool) -> None:
    for number in boot or ():
        if not 1 <= number <= len(found.boots):
            print_failure(f"there is no boot {number}", f"this capture has {len(found.boots)}", as_json=as_json)
            raise typer.Exit(BAD_CONFIG)


def _progress(done: int, whole: int | None) -> None:
    text = f"{100 * done // whole} %" if whole else f"{done // 1_000_000} MB"
    print(f"\r{text} read ", end="" if done != whole else "\r\x1b[K", file=sys.stderr, flush=True)

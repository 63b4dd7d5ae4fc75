"""The command line of ``tools/scrub_pcap``."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from pathlib import Path

from pxenet.capture.reading import CaptureError
from pxenet.capture.text import damage_text
from scrubkit.book import Book
from scrubkit.files import scrub

_ABOUT = """Write a capture that can be given away: hardware and IP addresses, UUIDs, serial numbers and the names of hosts are
replaced, the same one by the same everywhere it stands (headers, DHCP options, file names, URLs, kernel arguments, hexadecimal and
both byte orders), contents of files by their shape, checksums done again. Lengths, times and the order of everything stay, so a boot
fails as it did. Of a pcapng file nothing but packets is kept. A file is read twice, so no pipe; gzip is unpacked."""


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0; 2: a file cannot be read or written."""
    options = _options(arguments)
    key = (options.key or secrets.token_hex(16)).encode()
    book = Book(key, tuple(word.encode() for word in options.secret))
    try:
        if options.target.exists() and options.target.samefile(options.source):
            raise CaptureError(f"{options.target} is the capture itself: name another file")
        packets, damage = scrub(options.source, options.target, book)
        if options.map is not None:
            _write_map(options.map, book)
    except CaptureError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename or options.source}: {error.strerror or error}", file=sys.stderr)
        return 2
    found = {kind: len(pairs) for kind, pairs in book.record().items() if pairs}
    print(
        f"{options.target}: {packets} packets; replaced: {', '.join(f'{count} {kind}' for kind, count in found.items())}"
    )
    if damage is not None:
        print(f"{options.source} was read up to there: {damage_text(damage)}", file=sys.stderr)
    return 0


def _write_map(path: Path, book: Book) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
        json.dump(book.record(), file, indent=2, sort_keys=True)
        file.write("\n")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scrub_pcap", description=_ABOUT)
    parser.add_argument("source", type=Path, metavar="CAPTURE")
    parser.add_argument("target", type=Path, metavar="OUT", help="pcap; pcapng when it is called NAME.pcapng")
    parser.add_argument(
        "--secret",
        action="append",
        default=[],
        metavar="WORD",
        help="a further word that must not be left; may be repeated",
    )
    parser.add_argument(
        "--key", metavar="TEXT", help="the same key replaces the same by the same; by chance when not given"
    )
    parser.add_argument(
        "--map", type=Path, metavar="FILE", help="write what has become what, as JSON; keep it to yourself"
    )
    return parser.parse_args(arguments)

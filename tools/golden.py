#!/usr/bin/env python3
"""Keep the golden texts in captures/: what each capture decodes to, and in look.txt what ``pxenet look`` says of each, shortened.

python tools/golden.py             compare; exit status 1 and a diff when something differs
python tools/golden.py --update    write them anew, to be reviewed as a diff
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "captures"
sys.path.insert(0, str(FOLDER.parent))

from pxenet.capture import dissect  # noqa: E402 - found beside this file, installed or not
from pxenet.capture.text import capture_text  # noqa: E402
from pxenet.look.report import report_lines  # noqa: E402

_SHORT = ("== ", "   firmware", "  whose time", "  ERROR", "  WARNING", "  NOTE")


def main(arguments: list[str]) -> int:
    """Compare or update every capture's text."""
    update = arguments == ["--update"]
    if arguments and not update:
        print(__doc__)
        return 2
    differs = False
    for golden, after in texts():
        before = golden.read_text() if golden.exists() else ""
        if before == after:
            continue
        differs = True
        if update:
            golden.write_text(after)
            print(f"updated {golden.relative_to(FOLDER.parent)}")
        else:
            sys.stdout.writelines(
                difflib.unified_diff(before.splitlines(True), after.splitlines(True), str(golden), "decoded now")
            )
    return 1 if differs and not update else 0


def texts() -> Iterator[tuple[Path, str]]:
    """Each golden file, and what it is now."""
    seen = []
    for path in sorted([*FOLDER.glob("*.pcap"), *FOLDER.glob("made/*.pcap")]):
        capture = dissect.read(path)
        yield path.with_suffix(".txt"), capture_text(capture)
        seen += [f"$ pxenet look captures/{path.relative_to(FOLDER)}"]
        seen += [line for line in report_lines(capture) if line.startswith(_SHORT)]
    yield FOLDER / "look.txt", "\n".join(seen) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

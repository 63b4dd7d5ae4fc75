#!/usr/bin/env python3
"""Keep the golden texts in captures/: what each capture decodes to.

python tools/golden.py             compare; exit status 1 and a diff when something differs
python tools/golden.py --update    write them anew, to be reviewed as a diff
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "captures"
sys.path.insert(0, str(FOLDER.parent))

from pxenet.capture import dissect  # noqa: E402 - found beside this file, installed or not
from pxenet.capture.text import capture_text  # noqa: E402


def main(arguments: list[str]) -> int:
    """Compare or update every capture's text."""
    update = arguments == ["--update"]
    if arguments and not update:
        print(__doc__)
        return 2
    differs = False
    for path in sorted([*FOLDER.glob("*.pcap"), *FOLDER.glob("made/*.pcap")]):
        golden = path.with_suffix(".txt")
        before = golden.read_text() if golden.exists() else ""
        after = capture_text(dissect.read(path))
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

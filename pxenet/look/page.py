"""A look at a capture as one page that needs nothing else: no network, no other file; what is in the capture cannot act in it."""

from __future__ import annotations

import json
from pathlib import Path

from pxenet.look.record import Record

_PLACE = "{# record #}"
_TITLE = "{# title #}"


def page_of(record: Record, title: str) -> str:
    """The page that shows this record. Everything in it came from a network: it stands there as data, never as markup."""
    text = json.dumps(record, ensure_ascii=True)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    safe = "".join(f"&#{ord(sign)};" if sign in "<>&\"'" else sign for sign in title)
    page = (Path(__file__).parent / "page.html.j2").read_text("utf-8")
    return page.replace(_TITLE, safe).replace(_PLACE, text)

"""Secrets in rendered texts, hidden: what the configuration calls a secret, and what looks like one wherever it comes from.

Each value is replaced by a number, the same one wherever it stands: that a secret has changed is seen, and nothing else of it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import cast

from pxenet.answer.kickstart.data import Kickstart, record_in, types_of

LEAST = 4
"""Shorter values would hide half of every text."""

_SECRET_NAMES = re.compile(
    r"(?i)passw|passphrase|rootpw|(^|[_-])pw($|[_-])|secret|token|(^|[_-])psk|private_?key|api_?key"
)
"""Variables whose values are secrets; public keys (sshkey) are none."""

_PATTERNS = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"(?P<secret>\$(?:[1-7]|2[abxy]|y|gy|sha1|argon2\w+)\$[^\s\"'<>,]+)",  # crypt(5)
        r"(?P<secret>grub\.pbkdf2\.[\w.]+)",
        r"--(?:passphrase|password|wpakey|backuppassphrase)[= ](?P<secret>\"[^\"]*\"|'[^']*'|\S+)",
        r"^\s*rootpw\s+(?:--\w+\s+)*(?P<secret>[^-\s]\S*)",
        r"^\s*(?!#)\S+\s+(?:\S+\s+password|\S*password\S*\s+string)\s+(?P<secret>\S.*)$",  # preseed
        r"^\s*(?:- )?['\"]?\w*(?:passw(?:or)?d|passphrase|secret|psk)\w*['\"]?\s*:\s+(?P<secret>[^\s{\[].*)$",  # YAML, JSON
        r"<(?P<tag>\w*(?:password|passphrase)\w*)[^>]*>(?P<secret>[^<]+)</(?P=tag)>",
        r"(?:password|passphrase|sshpw)(?:-again|-crypted)?=(?P<secret>[^\s$]\S*)",  # kernel arguments
        r"://[^/\s:@]+:(?P<secret>[^/\s@]+)@",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n(?P<secret>[A-Za-z0-9+/=\n]+)",
    )
)


def secrets_of(data: Mapping[str, object], variables: Mapping[str, object]) -> Iterator[str]:
    """The secret values of kickstart data, and of variables whose names say that they are secrets."""
    yield from _marked(data, Kickstart)
    for name, value in variables.items():
        if _SECRET_NAMES.search(name):
            yield from _texts(value)


def _marked(data: Mapping[str, object], record: type) -> Iterator[str]:
    sentences = {each.name: each.metadata["sentence"] for each in dataclasses.fields(record)}
    for name, value in data.items():
        inner, _ = record_in(types_of(cast(Hashable, record)).get(name))
        if inner is not None:
            for each in value if isinstance(value, list | tuple) else [value]:
                yield from _marked(cast("Mapping[str, object]", each), inner)
        elif "secret" in sentences.get(name, ""):
            yield from _texts(value)


def _texts(value: object) -> Iterator[str]:
    """All texts in a value; a mapping may hold passwords by user."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


class Mask:
    """Hides secrets in texts; one mask for all texts that are compared."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._numbers: dict[str, int] = {}
        known = sorted({each for each in secrets if len(each) >= LEAST}, key=lambda each: (-len(each), each))
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """The text without its secrets."""
        if self._known is not None:
            text = self._known.sub(lambda match: self._stand_in(match[0]), text)
        for pattern in _PATTERNS:
            text = pattern.sub(self._masked, text)
        return text

    def _masked(self, match: re.Match[str]) -> str:
        secret = match["secret"]
        if "<secret-" in secret:
            return match[0]
        start = match.start("secret") - match.start()
        return match[0][:start] + self._stand_in(secret) + match[0][start + len(secret) :]

    def _stand_in(self, secret: str) -> str:
        return f"<secret-{self._numbers.setdefault(secret, len(self._numbers) + 1)}>"

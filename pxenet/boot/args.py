"""The kernel arguments that a profile needs and did not give: where the answer file is, where the repository.

Knows which installer reads which argument (anaconda ``boot-options.rst``, Debian installation guide appendix B). Takes arguments that
are rendered already; templates are ``answer``'s.
"""

from __future__ import annotations

from pxenet.boot.entries import clean_args, has_argument


def complete(args: str, *, kind: str, answer_url: str = "", source_url: str = "", legacy: bool = False) -> str:
    """The arguments with what is missing added, never doubled.

    ``kind`` of the answer file: "kickstart", "preseed", or anything else, which gets nothing. ``legacy`` spells as RHEL 6 does, which
    knows no ``inst.``. Raises :class:`~pxenet.boot.entries.InexpressibleError` for arguments that are damaged.
    """
    line = clean_args(args)
    missing = [
        word
        for keys, word in _wanted(kind, answer_url, source_url, legacy)
        if not any(has_argument(line, key) for key in keys)
    ]
    return " ".join(filter(None, [*_before_dashes(line, missing)]))


def _before_dashes(line: str, missing: list[str]) -> list[str]:
    """What follows ``---`` (or ``--``) goes to the installed system's boot loader in Debian, and to init everywhere: add before it."""
    given = line.split(" ") if line else []
    for mark in ("---", "--"):
        if mark in given:
            at = given.index(mark)
            return [*given[:at], *missing, *given[at:]]
    return [*given, *missing]


def _wanted(kind: str, answer_url: str, source_url: str, legacy: bool) -> list[tuple[tuple[str, ...], str]]:
    """(any of these given makes it unnecessary, the argument), in order."""
    if kind == "kickstart":
        prefix = "" if legacy else "inst."
        found: list[tuple[tuple[str, ...], str]] = []
        if answer_url:
            found.append((("inst.ks=", "ks="), f"{prefix}ks={answer_url}"))
        if source_url:
            # RHEL 6 says "method", and takes "repo" for the same; later releases only know inst.repo.
            word = f"method={source_url}" if legacy else f"inst.repo={source_url}"
            found.append((("inst.repo=", "repo=", "method=", "inst.stage2="), word))
        return found
    if kind == "preseed" and answer_url:
        return [
            (("auto", "auto=", "auto-install/enable="), "auto=true"),
            (("priority=", "debconf/priority="), "priority=critical"),
            (("url=", "preseed/url="), f"url={answer_url}"),
        ]
    return []

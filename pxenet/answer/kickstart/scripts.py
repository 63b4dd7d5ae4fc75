"""The scripts of a kickstart: the user's own, taken as they are, and those that report the end to the boot server.

A report goes by curl, else wget, else bash's own /dev/tcp, for an installed system may have none of the two. A failure's report
carries the end of the installer's log.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from pxenet.answer.kickstart.checks import body_lines
from pxenet.answer.kickstart.data import Kickstart, Script
from pxenet.answer.kickstart.dialects import Version, knows
from pxenet.answer.kickstart.lines import InexpressibleError, flag, option, quoted, section
from pxenet.answer.kickstart.machine import Machine
from pxenet.answer.reports import report

_LOGS = "/tmp/anaconda.log /tmp/program.log"
_TAIL_BYTES = 4000
"""Of the installer's log, for a failure's report: the server keeps the beginning of what it is sent, so the end alone is sent."""

_NO_ONERROR = (Version.RHEL6, Version.RHEL7)
"""Releases whose installer does not run ``%onerror``; they have ``%traceback``, for crashes of the installer itself, which is all
that they can report."""

_NOT_RUN: Mapping[str, Sequence[Version]] = MappingProxyType({"onerror": _NO_ONERROR, "pre-install": (Version.RHEL6,)})
"""Sections that a release's parser takes, and nobody runs there (installation guides)."""


def scripts(data: Kickstart, machine: Machine, version: Version) -> Iterator[str]:
    """All script sections, line by line. Raises InexpressibleError for a body that would end its own section."""
    simple = [
        ("pre", Script("pre", data.pre)),
        ("post", Script("post", data.post)),
        ("on_error", Script("onerror", data.on_error)),
    ]
    every = [(key, script) for key, script in simple if script.body]
    every += [(f"script[{index + 1}].body", script) for index, script in enumerate(data.script)]
    if data.etc_hosts:
        every.append(("etc_hosts", Script("post", _etc_hosts(data))))
    if not knows("sshkey", version):
        owners = [("root_ssh_keys", "root", data.root_ssh_keys)]
        owners += [(f"user[{index + 1}].ssh_keys", user.name, user.ssh_keys) for index, user in enumerate(data.user)]
        every += [(key, Script("post", _authorized(name, keys))) for key, name, keys in owners if keys]
    for key, script in every:
        if version in _NOT_RUN.get(script.when, ()):
            raise InexpressibleError(key, f"cannot be told to {version.value}: its installer runs no %{script.when}")
        yield ""
        yield from section(_opening(script), _body(key, script))
    yield from reports(machine, version)


def reports(machine: Machine, version: Version) -> Iterator[str]:
    """The sections that report the end and, as far as the installer of the release tells of it, a failure; line by line."""
    if machine.installed:
        yield ""
        yield from section(
            "%post",
            [
                "# The end is reported to the boot server, so that this machine boots its own disk from now on.",
                *_lines(report(machine.installed)),
            ],
        )
    if machine.failed:
        yield ""
        yield from section(
            "%traceback" if version in _NO_ONERROR else "%onerror",
            [
                f"log=$(tail -c {_TAIL_BYTES} {_LOGS} 2>/dev/null)",
                *_lines(report(machine.failed, "log")),
            ],
        )


def _lines(tries: Sequence[str]) -> list[str]:
    return " ||\n    ".join(tries).split("\n")


def _opening(script: Script) -> str:
    words = [
        f"%{script.when}",
        flag("nochroot", script.outside),
        flag("erroronfail", script.must_succeed),
        option("interpreter", script.interpreter),
        option("log", script.log),
    ]
    return " ".join(quoted(word) for word in words if word)


def _body(key: str, script: Script) -> list[str]:
    if script.outside and script.when != "post":
        raise InexpressibleError(key, f"{script.when} runs outside of the new system anyway; outside is for post")
    for line, word in body_lines(script.body):
        message = f"{word} at the start of a line is read by the installer, not by the script"
        raise InexpressibleError(key, message, line)
    return script.body.rstrip("\n").split("\n")


def _authorized(user: str, keys: Sequence[str]) -> str:
    """For releases without the command ``sshkey``: the keys are put where sshd looks, with the rights and labels it wants."""
    name = shlex.quote(user)
    lines = "\n".join(keys)
    return f"""\
home=$(getent passwd {name} | cut -d: -f6)
mkdir -p "$home/.ssh"
cat >> "$home/.ssh/authorized_keys" <<'PXENET_KEYS'
{lines}
PXENET_KEYS
chmod 700 "$home/.ssh"
chmod 600 "$home/.ssh/authorized_keys"
chown -R {name}: "$home/.ssh"
restorecon -R "$home/.ssh" || true"""


def _etc_hosts(data: Kickstart) -> str:
    for row in data.etc_hosts:
        if "\n" in row:
            raise InexpressibleError("etc_hosts", f"{row[:40]!r} has more than one line")
    return "\n".join(["cat >> /etc/hosts <<'PXENET_HOSTS'", *data.etc_hosts, "PXENET_HOSTS"])

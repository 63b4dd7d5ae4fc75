"""What makes an installer report its end: shell that goes by curl, else wget, else bash's own /dev/tcp, and where each kind of
answer file has its place for it.

An answer file that names the URL already is left alone. Where the place cannot be found for certain the text stays as it is, and
``check`` says that nothing in it reports.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlsplit

from pxenet.answer import kinds

_TAIL_BYTES = 4000
"""Of the installer's log, for a failure's report: the server keeps the beginning of what it is sent, so the end alone is sent."""


def report(url: str, body: str = "") -> list[str]:
    """Commands of which the first that works reports to ``url``; ``body``: a variable whose text is sent along."""
    target = shlex.quote(url)
    parts = urlsplit(url)
    path = parts.path or "/"
    send = f'--data-binary "${body}" ' if body else ""
    post = f'--post-data="${body}" ' if body else ""
    tries = [
        f"curl -fsS --retry 5 -o /dev/null {send}{target}",
        f"wget -q -O /dev/null {post}{target}",
    ]
    if parts.scheme == "http" and parts.hostname:
        verb = "POST" if body else "GET"
        length = f"Content-Length: ${{#{body}}}\\r\\n" if body else ""
        request = f"{verb} {path} HTTP/1.0\\r\\nHost: {parts.netloc}\\r\\n{length}\\r\\n"
        rest = f'"${body}"' if body else '""'
        inner = (
            f"exec 3<>/dev/tcp/{parts.hostname}/{parts.port or 80} && "
            f'printf "{request}%s" {rest} >&3 && grep -q " 200 " <&3'
        )
        exported = f'{body}="${body}" ' if body else ""
        tries.append(f"{exported}LC_ALL=C bash -c {shlex.quote(inner)}")
    return tries


def one_line(url: str, logs: str = "") -> str:
    """The same as one line of shell; ``logs``: files whose end is sent along."""
    if not logs:
        return " || ".join(report(url))
    return f"log=$(tail -c {_TAIL_BYTES} {logs} 2>/dev/null); {' || '.join(report(url, 'log'))}"


def busybox(url: str) -> str:
    """The same for the Debian installer, whose wget tries once; never an error, for that would wait for somebody to confirm it."""
    return f"{{ for i in 1 2 3 4 5; do wget -q -O /dev/null {shlex.quote(url)} && break; sleep 2; done; true; }}"


def reporting(kind: str, text: str, installed: str, failed: str) -> str:
    """The answer file with its reports, where that kind has a place for them and none is there yet. Kickstarts are ``kickstart``'s."""
    add = _PLACES.get(kind)
    return text if add is None or not installed or installed in text else add(text, installed, failed)


def _preseed(text: str, installed: str, failed: str) -> str:
    """``preseed/late_command``, after what it does already. There is no hook for failures."""
    lines = text.split("\n")
    at = next((n for n in reversed(range(len(lines))) if _LATE.match(lines[n])), None)  # the last one counts
    if at is None:
        line_end = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{line_end}d-i preseed/late_command string {busybox(installed)}\n"
    while lines[at].endswith("\\") and at + 1 < len(lines):
        at += 1
    command = lines[at].rstrip().rstrip(";")
    given = _LATE.sub("", command, count=1).strip() if _LATE.match(command) else command
    lines[at] = f"{command} {'&& ' if given else ''}{busybox(installed)}"
    return "\n".join(lines)


_LATE = re.compile(r"\s*(?!#)\S+\s+preseed/late_command\s+string\b")


def _autoinstall(text: str, installed: str, failed: str) -> str:
    """``late-commands`` and ``error-commands`` of the YAML table ``autoinstall``, when it is written line by line."""
    logs = "/var/log/installer/subiquity-server-debug.log"
    lines = text.rstrip("\n").split("\n")
    for key, command in (("late-commands", one_line(installed)), ("error-commands", one_line(failed, logs))):
        found = _with_command(lines, key, json.dumps(command))
        if found is None:
            return text
        lines = found
    return "\n".join(lines) + "\n"


def _with_command(lines: list[str], key: str, command: str) -> list[str] | None:
    """The lines with one more command in a list of the table ``autoinstall``; None when its place is not certain."""
    top = next((n for n, line in enumerate(lines) if re.fullmatch(r"autoinstall:\s*(#.*)?", line)), None)
    if top is None:
        return None
    end = next((n for n in range(top + 1, len(lines)) if re.match(r"[^\s#]", lines[n])), len(lines))
    first = next((line for line in lines[top + 1 : end] if line.strip() and not line.lstrip().startswith("#")), "")
    indent = first[: len(first) - len(first.lstrip())]
    if not indent or "\t" in indent:
        return None
    at = next((n for n in range(top + 1, end) if lines[n].startswith(f"{indent}{key}:")), None)
    if at is None:
        while end > top + 1 and not lines[end - 1].strip():
            end -= 1
        return [*lines[:end], f"{indent}{key}:", f"{indent}  - {command}", *lines[end:]]
    if not re.fullmatch(rf"{key}:\s*(#.*)?", lines[at].strip()):
        return None
    dashes = next((line for line in lines[at + 1 : end] if line.strip() and not line.lstrip().startswith("#")), "")
    depth = len(dashes) - len(dashes.lstrip())
    if not dashes.lstrip().startswith("- ") or depth < len(indent):
        return None
    last = at + 1
    for number in range(at + 1, end):
        line = lines[number]
        inside = len(line) - len(line.lstrip()) > depth or line.startswith(f"{' ' * depth}- ")
        if line.strip() and inside:
            last = number + 1
        elif line.strip() and not line.lstrip().startswith("#"):
            break
    return [*lines[:last], f"{' ' * depth}- {command}", *lines[last:]]


def _autoyast(text: str, installed: str, failed: str) -> str:
    """A chroot script: it runs in the installed system before that is started (there is no hook for failures)."""
    script = (
        "<script><filename>pxenet-report.sh</filename>"
        f'<chrooted {_LISTS} config:type="boolean">true</chrooted>'
        f"<source><![CDATA[{one_line(installed)}\n]]></source></script>"
    )
    for closing, made in (
        ("</chroot-scripts>", script),
        ("</scripts>", f'<chroot-scripts {_LISTS} config:type="list">{script}</chroot-scripts>'),
        ("</profile>", f'<scripts><chroot-scripts {_LISTS} config:type="list">{script}</chroot-scripts></scripts>'),
    ):
        before, found, after = text.rpartition(closing)
        if found:
            return f"{before}{made}\n{closing}{after}"
    return text


_LISTS = 'xmlns:config="http://www.suse.com/1.0/configns"'


def _ignition(text: str, installed: str, failed: str) -> str:
    """A unit that reports when the installed system has started, and the script that it runs."""
    try:
        config: Any = json.loads(text)
        if not str(config["ignition"]["version"]).startswith("3."):
            return text
        script = {"path": _SCRIPT, "mode": 0o755, "contents": {"source": f"data:,{quote(one_line(installed))}%0A"}}
        config.setdefault("storage", {}).setdefault("files", []).append(script)
        unit = {"name": "pxenet-report.service", "enabled": True, "contents": _UNIT}
        config.setdefault("systemd", {}).setdefault("units", []).append(unit)
    except (ValueError, KeyError, TypeError, AttributeError):
        return text
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n"


_SCRIPT = "/etc/pxenet-report.sh"
_UNIT = f"""\
[Unit]
Description=Report the end of the installation to the boot server
Wants=network-online.target
After=network-online.target
ConditionPathExists=!/var/lib/pxenet-reported

[Service]
Type=oneshot
ExecStart=/bin/sh {_SCRIPT}
ExecStartPost=/bin/touch /var/lib/pxenet-reported

[Install]
WantedBy=multi-user.target
"""

_PLACES: Mapping[str, Callable[[str, str, str], str]] = MappingProxyType(
    {
        kinds.PRESEED: _preseed,
        kinds.AUTOINSTALL: _autoinstall,
        kinds.AUTOYAST: _autoyast,
        kinds.IGNITION: _ignition,
    }
)

"""Where each kind of answer file has its place for what reports the end, and for what reports a failure.

Each of the two is added unless the answer file names its URL already. Where a place cannot be found for certain the text stays as it
is, and ``check`` says that nothing in it reports.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from pxenet.answer import kinds
from pxenet.answer.reports import busybox, busybox_failed, busybox_watch, one_line


def reporting(kind: str, text: str, installed: str, failed: str) -> str:
    """The answer file with its reports, where that kind has a place for them and none is there yet. Kickstarts are ``kickstart``'s."""
    at_failure, at_end = _PLACES.get(kind, (None, None))
    if at_failure is not None and failed and failed not in text:
        text = at_failure(text, failed)
    if at_end is not None and installed and installed not in text:
        text = at_end(text, installed)
    return text


def _preseed_end(text: str, url: str) -> str:
    """``preseed/late_command``, after what it does already."""
    given = _question(text, "late_command")
    if given is None:
        line_end = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{line_end}d-i preseed/late_command string {busybox(url)}\n"
    return _continued(text, given, f"{'&& ' if given['value'].strip() else ''}{busybox(url)}")


def _preseed_failure(text: str, url: str) -> str:
    """``preseed/early_command``, before what it does: there is no hook for failures, so the log is watched from there on. That
    ``preseed/late_command`` has failed stands in no log, so it tells that itself.
    """
    late = _question(text, "late_command")
    if late is not None and late["value"].strip():
        told = f"{{ logger -t pxenet preseed/late_command failed; {busybox_failed(url)}; false; }}"
        text = _continued(text, late, f"|| {told}")
    early = _question(text, "early_command")
    if early is None:
        line_end = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{line_end}d-i preseed/early_command string {busybox_watch(url)}\n"
    at = early.end("question")
    return f"{text[:at]} {busybox_watch(url)}{text[at:]}"


def _question(text: str, name: str) -> re.Match[str] | None:
    """Where a preseed answers ``preseed/NAME``, with the lines that continue it: the last one counts."""
    pattern = rf"^(?P<question>[ \t]*(?!#)\S+[ \t]+preseed/{name}[ \t]+string\b)(?P<value>(?:.*\\\n)*.*)"
    return max(re.finditer(pattern, text, re.MULTILINE), key=re.Match.start, default=None)


def _continued(text: str, given: re.Match[str], more: str) -> str:
    """The text with more shell at the end of an answer."""
    command = given[0].rstrip().rstrip(";")
    return f"{text[: given.start()]}{command} {more}{text[given.end() :]}"


def _autoinstall(key: str, text: str, command: str) -> str:
    """One more of the commands ``key`` of the YAML table ``autoinstall``, when it is written line by line."""
    lines = _with_command(text.rstrip("\n").split("\n"), key, json.dumps(command))
    return text if lines is None else "\n".join(lines) + "\n"


def _autoinstall_end(text: str, url: str) -> str:
    return _autoinstall("late-commands", text, one_line(url))


def _autoinstall_failure(text: str, url: str) -> str:
    return _autoinstall("error-commands", text, one_line(url, "/var/log/installer/subiquity-server-debug.log"))


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


def _autoyast(element: str, text: str, settings: str, source: str) -> str:
    """One more script of a list of scripts."""
    script = (
        f"<script><filename>pxenet-{element}.sh</filename>{settings}<source><![CDATA[{source}\n]]></source></script>"
    )
    for closing, made in (
        (f"</{element}>", script),
        ("</scripts>", f'<{element} {_LISTS} config:type="list">{script}</{element}>'),
        ("</profile>", f'<scripts><{element} {_LISTS} config:type="list">{script}</{element}></scripts>'),
    ):
        before, found, after = text.rpartition(closing)
        if found:
            return f"{before}{made}\n{closing}{after}"
    return text


def _autoyast_end(text: str, url: str) -> str:
    """A chroot script: it runs in the installed system before that is started."""
    chrooted = f'<chrooted {_LISTS} config:type="boolean">true</chrooted>'
    return _autoyast("chroot-scripts", text, chrooted, one_line(url))


def _autoyast_failure(text: str, url: str) -> str:
    """A script before everything else, which leaves scripts where YaST looks for what to run when it fails or is stopped."""
    return _autoyast("pre-scripts", text, "", _YAST_HOOKS.format(report=one_line(url, "/var/log/YaST2/y2log")))


_YAST_HOOKS = """\
mkdir -p /var/lib/YaST2/hooks/installation
cd /var/lib/YaST2/hooks/installation
cat > installation_failure_00_pxenet <<'PXENET_HOOK'
#!/bin/bash
{report}
PXENET_HOOK
cp installation_failure_00_pxenet installation_aborted_00_pxenet
chmod 755 installation_failure_00_pxenet installation_aborted_00_pxenet"""

_LISTS = 'xmlns:config="http://www.suse.com/1.0/configns"'


def _ignition_end(text: str, url: str) -> str:
    """A unit that reports when the installed system has started, and the script that it runs."""
    return _ignition(text, "report", one_line(url), _WHEN_STARTED)


def _ignition_failure(text: str, url: str) -> str:
    """A unit that reports when one of the configuration's own units fails before the end was reported, and the script that it runs.

    When Ignition itself fails nothing of the configuration is in force, so that nothing in it can tell.
    """
    journal = "journalctl -b -n 100 --no-pager -o cat >/run/pxenet-failed.log 2>&1; "
    return _ignition(text, "failed", journal + one_line(url, "/run/pxenet-failed.log"), _WHEN_FAILED, watches=True)


def _ignition(text: str, name: str, command: str, when: str, *, watches: bool = False) -> str:
    try:
        config: Any = json.loads(text)
        if not str(config["ignition"]["version"]).startswith("3."):
            return text
        path = f"/etc/pxenet-{name}.sh"
        script = {"path": path, "mode": 0o755, "contents": {"source": f"data:,{quote(command)}%0A"}}
        config.setdefault("storage", {}).setdefault("files", []).append(script)
        units = config.setdefault("systemd", {}).setdefault("units", [])
        for unit in units if watches else []:
            if unit.get("contents") and unit["name"].endswith(".service"):
                unit.setdefault("dropins", []).append({"name": "pxenet.conf", "contents": _TELLS_FAILURE})
        service = f"[Service]\nType=oneshot\nExecStart=/bin/sh {path}\nExecStartPost=/bin/touch {_REPORTED}\n"
        units.append(
            {"name": f"pxenet-{name}.service", "enabled": not watches, "contents": when.format(service=service)}
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return text
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n"


_REPORTED = "/var/lib/pxenet-reported"
_WHEN_STARTED = f"""\
[Unit]
Description=Report the end of the installation to the boot server
Wants=network-online.target
After=network-online.target
ConditionPathExists=!{_REPORTED}

{{service}}
[Install]
WantedBy=multi-user.target
"""
_WHEN_FAILED = f"""\
[Unit]
Description=Report a failure to the boot server
ConditionPathExists=!{_REPORTED}

{{service}}"""
_TELLS_FAILURE = "[Unit]\nOnFailure=pxenet-failed.service\n"

_PLACES: Mapping[str, tuple[Callable[[str, str], str], Callable[[str, str], str]]] = MappingProxyType(
    {
        kinds.PRESEED: (_preseed_failure, _preseed_end),
        kinds.AUTOINSTALL: (_autoinstall_failure, _autoinstall_end),
        kinds.AUTOYAST: (_autoyast_failure, _autoyast_end),
        kinds.IGNITION: (_ignition_failure, _ignition_end),
    }
)
"""What puts the report of a failure into a text, and what then puts that of the end."""

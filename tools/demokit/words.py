"""What the demo says before and after, in plain words."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from demokit.server import REPOSITORY, Line
from demokit.site import Ports
from pxenet.server.events import printable

if TYPE_CHECKING:
    from demokit.qemu import Guest
    from demokit.rack import Rack


def beginning(ports: Ports, directory: Path, *, qemu: bool) -> str:
    """Before anything is to be seen."""
    where = "in a network namespace of the demo's own" if qemu else "on the loopback, without root"
    services = f"DHCP {ports.dhcp}/udp, TFTP {ports.tftp}/udp, HTTP {ports.http}/tcp"
    return "\n".join(
        [
            *_prose(f"The server, python -m pxenet.server, runs {where}: {services}."),
            f"Its configuration: {directory}/demo.toml",
            *_prose(
                "Eight simulated machines boot from it. Their boot loaders, kernel and installer are stand-ins made "
                "just now (right names, noise inside); what they say is what real ones say."
            ),
            "",
        ]
    )


def event(said: Line, at_s: float, *, off: bool) -> str:
    """A line of the server's, below the table."""
    who = str(said.get("host") or said.get("mac") or said.get("address") or "server")
    advice = f" - {said['advice']}" if off and said.get("advice") else ""
    return printable(f"{max(0.0, at_s):4.1f}s {'! ' if off else ''}{who} {said.get('text')}{advice}").lstrip()


def ending(rack: Rack, guest: Guest | None, problems: Sequence[str], took_s: float) -> str:
    """What happened, and what to do next."""
    if problems:
        return "\n" + failed(problems)
    count = len(rack.guests)
    lines = [
        "",
        *_prose(
            f"All {count} machines installed themselves from the network and then booted their own disks, in {took_s:.0f} s."
        ),
    ]
    if guest is not None:
        lines += _prose(f"So did {guest.name}, with real firmware, boot loader, kernel and disk: {guest.account}.")
    lines += ["", "How each came to its installer:"]
    for member, story in zip(rack.guests, rack.stories, strict=True):
        way = " -> ".join([member.firmware, *(_short(program) for program in story.programs), "kernel, initrd"])
        lines.append(f"  {member.name:14} {way}")
    lines += [
        "",
        *_prose(
            "Each of them: got an address by DHCP, was told the loader for its firmware, read it with kernel and initrd "
            "by TFTP or HTTP, fetched its own kickstart file, which nobody else may read, then the installer's image and "
            "package lists, and reported the end. Switched on again, it was sent to its own disk: an installed machine "
            "is not installed twice."
        ),
        *_prose("Real were the server, the sockets and every packet; simulated the machines."),
        "",
        *_next_steps(),
    ]
    return "\n".join(lines)


def failed(problems: Sequence[str]) -> str:
    """Why the demo did not come to its good end."""
    return "\n".join(["demo: not everything went well", *(f"  {problem}" for problem in problems)])


def _prose(text: str, indent: int = 0) -> list[str]:
    """Lines that fit the terminal, and are not too long to read in a wide one."""
    width = min(shutil.get_terminal_size((100, 24)).columns, 100)
    margin = " " * indent
    return textwrap.wrap(text, width, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False)


def _short(program: str) -> str:
    return program.rstrip("/").rpartition("/")[2]


def _next_steps() -> list[str]:
    command = pxenet_command()
    return [
        "On a real network (eth1 is the interface towards the machines):",
        f"  sudo {command} serve --interface eth1",
        *_prose("watches: it answers beside your DHCP server, gives out no address, boots nobody", indent=6),
        f"  {command} check rack.toml",
        f"  sudo {command} serve --config rack.toml --interface eth1",
        *_prose("installs: rack.toml has twelve lines, to be found in README.md, 'One machine, unattended'", indent=6),
    ]


def pxenet_command() -> str:
    """How to call ``pxenet`` from here; as short as it can be."""
    beside = Path(sys.executable).with_name("pxenet")
    if not beside.exists():
        return f"env PYTHONPATH={REPOSITORY} {sys.executable} -m pxenet"
    try:
        return str(beside.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(beside)

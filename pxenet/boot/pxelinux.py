"""PXELINUX's dialect (and syslinux.efi's, which reads the same): ``pxelinux.cfg/…``.

It knows no quoting: a directive is a line, what follows its word is taken as it stands. Source: syslinux ``doc/pxelinux.txt`` and
``readconfig.c`` (one line has at most 4095 bytes), ``core/fs/pxe`` (a name has at most 127 bytes; ``::name`` leaves out the directory
of the boot file that is otherwise put before every name).
"""

from __future__ import annotations

from pxenet.boot import exits
from pxenet.boot.entries import (
    BootText,
    Entry,
    InexpressibleError,
    KernelEntry,
    Reader,
    check_command_line,
    clean_args,
    has_argument,
    url_of,
)
from pxenet.model import Exit

MAX_LINE_BYTES = 4095
MAX_NAME_BYTES = 127


def render(text: BootText, reader: Reader) -> str:
    """The configuration file. Raises :class:`InexpressibleError` when a name or argument has no spelling here.

    With ``reader.http`` (lpxelinux) kernels come by HTTP, which is many times faster than lock-step TFTP.
    """
    default = text.entries[text.default]
    lines = [f"DEFAULT {default.name}"]
    if len(text.entries) == 1:
        # No UI line: menu.c32 would be one more file to miss. PROMPT 0 and TIMEOUT 0: the default is taken at once.
        lines += ["PROMPT 0", "TIMEOUT 0"]
    else:
        lines += ["UI menu.c32", "PROMPT 0", f"TIMEOUT {text.timeout_s * 10}", f"MENU TITLE {_plain(text.title)}"]
    for entry in text.entries:
        lines += _entry(entry, reader)
    for line in lines:
        if len(line.encode()) > MAX_LINE_BYTES:
            raise InexpressibleError(
                f"PXELINUX takes lines of {MAX_LINE_BYTES} bytes; the one of {line.split()[0]} is longer"
            )
    return "\n".join(lines) + "\n"


def _entry(entry: Entry, reader: Reader) -> list[str]:
    lines = ["", f"LABEL {entry.name}", f"  MENU LABEL {_plain(entry.title)}"]
    if not isinstance(entry, KernelEntry):
        return [*lines, *exits.PXELINUX[Exit.AUTO if reader.efi else entry.exit]]
    kernel = _name(entry.kernel, reader)
    initrds = [_name(path, reader) for path in entry.initrd]
    args = clean_args(entry.args)
    if args == "-":
        raise InexpressibleError('PXELINUX takes "APPEND -" for no arguments: the arguments cannot be a single dash')
    check_command_line(f"BOOT_IMAGE={kernel} {args} initrd={','.join(initrds)} BOOTIF=01-00-00-00-00-00-00")
    lines.append(f"  LINUX {kernel}")
    if initrds:
        lines.append(f"  INITRD {','.join(initrds)}")
    if args:
        lines.append(f"  APPEND {args}")
    if not has_argument(args, "BOOTIF="):
        lines.append("  IPAPPEND 2")
    return lines


def _name(path: str, reader: Reader) -> str:
    url = url_of(reader, path) if reader.http and reader.server_url else ""
    name = url if url and len(url) <= MAX_NAME_BYTES else f"::{path}"  # slow is better than cut off
    if len(name.encode()) > MAX_NAME_BYTES:
        raise InexpressibleError(
            f"PXELINUX takes file names of {MAX_NAME_BYTES} bytes, {path} is longer: move the file"
        )
    for bad in (" ", ",", "\t"):
        if bad in name:
            raise InexpressibleError(
                f"PXELINUX has no spelling for {path}: {bad!r} ends a file name there; rename the file"
            )
    if any(ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 for letter in name):
        raise InexpressibleError(f"PXELINUX has no spelling for {path!r}: it contains a control character")
    return name


def _plain(title: str) -> str:
    """A title for people: never worth failing for, so what would break the line goes. ``^`` would mark a hot key."""
    return "".join(c for c in title if c.isprintable() and c != "^").strip()[:70] or "untitled"

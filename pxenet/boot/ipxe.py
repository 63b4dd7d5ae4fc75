"""iPXE's dialect: a script (``boot.ipxe``, ``autoexec.ipxe``).

No quotes exist: words end at blanks, and the kernel's line is the words again with one blank between them. Source: iPXE
``core/exec.c`` (words, ``#``, ``&&``, ``||``, ``;``, ``${…}``), ``hci/commands``.
"""

from __future__ import annotations

from pxenet.boot import exits
from pxenet.boot.entries import (
    BootText,
    Entry,
    InexpressibleError,
    KernelEntry,
    Reader,
    bootif,
    check_command_line,
    clean_args,
    has_argument,
    url_of,
)

_RETRY = ["echo Could not start. Trying again in 30 seconds.", "sleep 30", "reboot"]


def render(text: BootText, reader: Reader) -> str:
    """The script. Raises :class:`InexpressibleError` when a name or argument has no spelling here."""
    lines = ["#!ipxe"]
    if len(text.entries) == 1:
        lines += _entry(text.entries[0], reader)
    else:
        default = text.entries[text.default].name
        lines += [":start", f"menu {_plain(text.title)}"]
        lines += [f"item {entry.name} {_plain(entry.title)}" for entry in text.entries]
        lines.append(f"choose --default {default} --timeout {text.timeout_s * 1000} chosen || goto entry-{default}")
        lines.append("goto entry-${chosen}")
        for entry in text.entries:
            lines += [f":entry-{entry.name}", *_entry(entry, reader)]
    return "\n".join(lines) + "\n"


def _entry(entry: Entry, reader: Reader) -> list[str]:
    if not isinstance(entry, KernelEntry):
        return list(exits.IPXE[entry.exit])
    args = clean_args(entry.args)
    _check(args)
    # The EFI stub of kernels before 5.7 finds its initrds by these names; a BIOS kernel does not mind them.
    names = [f"initrd{number}" for number in range(len(entry.initrd))]
    parts = [f"kernel {_uri(entry.kernel, reader)}", *(f"initrd={name}" for name in names)]
    if not has_argument(args, "BOOTIF="):
        parts.append(f"BOOTIF={bootif(reader.mac) or '01-${netX/mac:hexhyp}'}")
    if args:  # last: what follows "---" is for the installed system
        parts.append(args)
    line = " ".join(parts)
    check_command_line(line)
    loads = [
        line,
        *(f"initrd --name {name} {_uri(path, reader)}" for name, path in zip(names, entry.initrd, strict=True)),
    ]
    # imgfree: what a failed attempt or an earlier script left would be taken for an initrd.
    return [
        "imgfree",
        *(f"{load} || goto failed-{entry.name}" for load in loads),
        f"boot || goto failed-{entry.name}",
        f":failed-{entry.name}",
        *_RETRY,
    ]


def _uri(path: str, reader: Reader) -> str:
    """By HTTP when this build can; else by TFTP with our address: names would be relative to wherever the script came from."""
    if reader.http and reader.server_url:
        return url_of(reader, path)
    server = reader.server_address or "${next-server}"
    return url_of(Reader(server_url=f"tftp://{server}"), path)


def _check(args: str) -> None:
    if "${" in args:
        raise InexpressibleError("iPXE has no spelling for ${ in the arguments: it would put a setting's value there")
    if "  " in args:
        raise InexpressibleError("iPXE has no spelling for two blanks in a row inside quotes: it leaves one")
    for word in args.split(" "):
        if word in ("&&", "||", ";"):
            raise InexpressibleError(f"iPXE has no spelling for the argument {word}: it separates commands there")
        if word.startswith("#"):
            raise InexpressibleError("iPXE has no spelling for an argument that begins with #: a comment starts there")
    if args.endswith("\\"):
        raise InexpressibleError(
            "iPXE has no spelling for a backslash at the end of the arguments: it joins lines there"
        )


def _plain(title: str) -> str:
    """A title for people: words that are commands there, and settings, go."""
    kept = "".join(c for c in title if c.isprintable()).replace("${", "$")
    found = [word for word in kept.split() if word not in ("&&", "||", ";") and not word.startswith(("#", "--"))]
    return " ".join(found)[:70].rstrip("\\") or "untitled"

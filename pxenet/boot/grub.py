"""GRUB's dialect: ``grub.cfg``, a shell script.

Everything that comes from outside stands in single quotes, where nothing is special but the quote itself. Source: GRUB manual §6
(shell-like scripting), ``lib/cmdline.c`` (how the words of ``linux`` become the kernel's line).
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
    named,
    words,
)


def render(text: BootText, reader: Reader) -> str:
    """The configuration file. Raises :class:`InexpressibleError` when an argument has no spelling here."""
    if len(text.entries) == 1:
        return "".join(f"{line}\n" for line in _body(text.entries[0], reader))
    lines = [f"set timeout={text.timeout_s}", f"set default={quote(text.entries[text.default].name)}"]
    for entry in text.entries:
        lines.append(f"menuentry {quote(_title(entry.title))} --id {quote(entry.name)} {{")
        lines += _body(entry, reader)
        lines.append("}")
    return "\n".join(lines) + "\n"


def quote(word: str) -> str:
    """One word of the shell, literal. The quote itself cannot stand inside, so it is put between two pieces."""
    return "'" + word.replace("'", "'\\''") + "'"


def _body(entry: Entry, reader: Reader) -> list[str]:
    if not isinstance(entry, KernelEntry):
        return list(exits.GRUB[entry.exit])
    args = [_argument(word) for word in words(clean_args(entry.args))]
    spelled = [quote(word) for word in args]
    shown = " ".join(f'"{word}"' if " " in word else word for word in args)
    if not has_argument(entry.args, "BOOTIF="):
        # GRUB has it with colons, which dracut takes as well. Before the others: what follows "---" is for the installed system.
        spelled.insert(0, f"BOOTIF={bootif(reader.mac) or '01-$net_default_mac'}")
        shown += " BOOTIF=01-00-00-00-00-00-00"
    check_command_line(f"BOOT_IMAGE={_file(entry.kernel, reader)} {shown}")
    # A machine without a person in front of it must not wait in a menu for ever when a file is missing.
    lines = [f"  if linux {' '.join([quote(_file(entry.kernel, reader)), *spelled])}; then"]
    if entry.initrd:
        lines.append(f"    if initrd {' '.join(quote(_file(path, reader)) for path in entry.initrd)}; then boot; fi")
    else:
        lines.append("    boot")
    return [*lines, "  fi", "  echo 'Could not start. Trying again in 30 seconds.'", "  sleep 30", "  reboot"]


def _file(path: str, reader: Reader) -> str:
    """By TFTP, also where HTTP exists: signed builds have no http module. With our address, for behind a ProxyDHCP server GRUB's own
    idea of its server can be wrong."""
    _no_control(path)
    return f"(tftp,{reader.server_address})/{path}" if reader.server_address else f"/{path}"


def _argument(word: str) -> str:
    """One kernel argument as a word: without its double quotes, for GRUB puts them around words with blanks by itself.

    Backslashes and single quotes are refused: some versions put a backslash before them, others do not.
    """
    for bad in ("\\", "'"):
        if bad in word:
            raise InexpressibleError(f"GRUB has no safe spelling for the argument {named(word)}: it contains {bad}")
    _no_control(word)
    return word.replace('"', "")


def _no_control(word: str) -> None:
    if not word.isprintable() and any(ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 for letter in word):
        raise InexpressibleError(f"a control character stands in {word!r}; remove it")


def _title(title: str) -> str:
    return "".join(c for c in title if c.isprintable()).strip()[:70] or "untitled"

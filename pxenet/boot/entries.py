"""What a boot text says, whatever the loader: entries to boot, the one that is taken, and how long a person may think about it.

The dialects (``pxelinux``, ``grub``, ``ipxe``) turn the same value into text, each by its own rules of quoting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from pxenet.model import Exit

MAX_COMMAND_LINE_BYTES = 2047
"""COMMAND_LINE_SIZE of x86 and arm64 kernels without its NUL. A longer line is cut in silence, which loses the answer file's URL."""


class InexpressibleError(ValueError):
    """Something that a dialect has no spelling for. The message names it and says what would be right."""


@dataclass(frozen=True, slots=True)
class KernelEntry:
    """A kernel to start."""

    name: str
    """Letters, digits, dots, dashes and underscores: what menus and ``goto`` call it."""
    title: str
    kernel: str
    """Path in the content tree."""
    initrd: tuple[str, ...] = ()
    args: str = ""
    """As the kernel shall see them. Double quotes keep a value with blanks together, as the kernel reads it."""


@dataclass(frozen=True, slots=True)
class LocalEntry:
    """The local disk."""

    name: str = "local"
    title: str = "Boot from the local disk"
    exit: Exit = Exit.AUTO


Entry = KernelEntry | LocalEntry


@dataclass(frozen=True, slots=True)
class BootText:
    """One entry: it is booted at once. Several: a menu."""

    entries: tuple[Entry, ...]
    default: int = 0
    """Index of the entry that is taken when the time is over."""
    timeout_s: int = 0
    """How long the menu waits for a key."""
    title: str = "Network boot"

    def __post_init__(self) -> None:
        if not 0 <= self.default < len(self.entries):
            raise ValueError(f"no entry has index {self.default}")
        if len(self.entries) > 1 and self.timeout_s < 1:
            raise ValueError("a menu must wait for at least a second")
        for entry in self.entries:
            if not _NAME.fullmatch(entry.name):
                raise InexpressibleError(f"{entry.name!r} cannot name a menu entry: use letters, digits, . _ and -")


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads the text, and how it reaches us."""

    server_url: str = ""
    """Base of our URLs without a slash at the end; empty when there is no HTTP."""
    server_address: str = ""
    """Dotted quad; empty when not known."""
    mac: bytes = b""
    """Hardware address of the interface it boots from; empty when not known."""
    http: bool = False
    """It is able to fetch by HTTP."""
    efi: bool = False
    """It runs on UEFI."""


def bootif(mac: bytes) -> str:
    """``01-52-54-00-…``: hardware type and address as PXELINUX made them customary. Empty unless an Ethernet address is known."""
    return f"01-{mac.hex('-')}" if len(mac) == 6 else ""


def has_argument(args: str, key: str) -> bool:
    """The kernel arguments give ``key`` a value (``key`` with its ``=``) or name it as a word."""
    return any(word == key or (key.endswith("=") and word.startswith(key)) for word in words(args))


def words(args: str) -> list[str]:
    """Kernel arguments split as the kernel splits them: at blanks outside double quotes."""
    if '"' not in args:
        return [word for word in args.replace("\t", " ").split(" ") if word]
    found: list[str] = []
    current = ""
    quoted = False
    for letter in args:
        quoted ^= letter == '"'
        if letter in " \t" and not quoted:
            if current:
                found.append(current)
            current = ""
        else:
            current += letter
    if quoted:
        raise InexpressibleError(f"a double quote is not closed in the argument {named(current)}")
    return [*found, current] if current else found


def named(word: str) -> str:
    """A kernel argument as messages tell it: without its value, which may be a secret."""
    name, equals, _ = word.partition("=")
    return f"{name}=…" if equals else name


def clean_args(args: str) -> str:
    """The arguments on one line, words apart by one blank. Raises :class:`InexpressibleError` for control characters and open quotes.

    A template may spread them over several lines; a line break between words is a blank, one inside quotes an error.
    """
    return " ".join(words(_one_line(args)))


def _one_line(args: str) -> str:
    if args.isprintable():  # neither line breaks nor control characters
        return args
    quoted = False
    out = ""
    for letter in args:
        quoted ^= letter == '"'
        if letter in "\r\n\t" and not quoted:
            out += " "
            continue
        if ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0:
            word = named(out.rpartition(" ")[2])
            raise InexpressibleError(f"a control character ({letter!r}) stands in the argument {word}; remove it")
        out += letter
    return out


def check_command_line(line: str) -> None:
    """Raise :class:`InexpressibleError` when the kernel would cut the line."""
    size = len(line.encode())
    if size > MAX_COMMAND_LINE_BYTES:
        raise InexpressibleError(
            f"the kernel's command line has {size} bytes, and kernels take {MAX_COMMAND_LINE_BYTES}: shorten args"
        )


def url_of(reader: Reader, path: str) -> str:
    """The URL of a name in the tree; percent-encoded, so that no name can break out of a line."""
    return f"{reader.server_url}/{quote(path, safe='/~+,=@')}"

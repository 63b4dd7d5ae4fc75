"""PXELINUX, lpxelinux and syslinux.efi: their search for a configuration, and its dialect.

Sources: syslinux ``core/fs/pxe``, ``com32/elflink/ldlinux/readconfig.c``, ``doc/pxelinux.txt``; captures ``bios-*``. Keywords are read
in any case; unknown ones are passed over, as the real one does. Nobody presses a key: the default is taken when the time is over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from pxenet.sim import http, tftp
from pxenet.sim.body import Body, BootError, RebootError, Stage, Steps, pause
from pxenet.sim.programs import Disk, Kernel, Outcome, Reader, Start, host_address, open_url, read_file, try_file
from pxenet.wire.iana import OptionCode
from pxenet.wire.text import address_text, mac_dashes, uuid_text_wire

GIVES_UP_S = 300.0
"""Without a configuration it waits for a key this long, then resets (option 211 says otherwise)."""
MAX_NAME_BYTES = 127
MENU_MODULES = ("libutil.c32", "libcom32.c32")
"""What menu.c32 and vesamenu.c32 are linked to."""
_MODULES = ("menu.c32", "vesamenu.c32")

# What the machine of the captures told in its cookie about itself; ``ip`` and BOOTIF come before it.
_COOKIE_TAIL = (
    ("CPU", "6PXLS"), ("SYSVENDOR", "QEMU"), ("SYSPRODUCT", "Standard PC (i440FX + PIIX, 1996)"),
    ("SYSVERSION", "pc-i440fx-7.2"), ("BIOSVENDOR", "SeaBIOS"), ("BIOSVERSION", "1.16.2-debian-1.16.2-1"), ("SYSFF", "1"),
)  # fmt: skip


@dataclass(slots=True)
class Label:
    """One entry."""

    name: str
    kernel: str = ""
    kind: str = ""
    """``linux`` when that is certain; ``kernel``: to be told by the name; ``localboot``, ``config``, ``boot``."""
    initrd: tuple[str, ...] = ()
    append: str | None = None
    sysappend: int | None = None
    default: bool = False


@dataclass(slots=True)
class Config:
    """A configuration as it was read."""

    default: str = ""
    ontimeout: str = ""
    ui: str = ""
    prompt: bool = False
    timeout_s: float = 0.0
    append: str = ""
    sysappend: int = 0
    labels: dict[str, Label] = field(default_factory=dict)
    includes: list[str] = field(default_factory=list)


def run(body: Body, start: Start, program: str) -> Steps[Outcome]:
    """From ldlinux to a kernel or the disk. BootError, RebootError: as the real one gives up."""
    work = _Pxelinux(body, start, program)
    return (yield from work.run())


def parse(text: str) -> Config:
    """The configuration in a text."""
    config = Config()
    label: Label | None = None
    for word, rest in _directives(text):
        if word == "label":
            label = config.labels.setdefault(rest, Label(rest))
        elif label is not None and _in_label(label, word, rest):
            continue
        else:
            _global(config, word, rest)
    return config


def _directives(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        word, _, rest = line.strip().partition(" ")
        word, rest = word.lower(), rest.strip()
        if word == "menu":  # of the menu's own directives these two decide what is booted
            second, _, value = rest.partition(" ")
            if second.lower() in ("default", "include"):
                yield f"menu {second.lower()}", value.strip()
        elif word and not word.startswith("#"):
            yield word, rest


def _in_label(label: Label, word: str, rest: str) -> bool:
    if word in ("kernel", "linux", "boot", "bss", "pxe", "fdimage", "com32", "config", "localboot"):
        label.kernel, label.kind = rest, word
    elif word == "initrd":
        label.initrd = tuple(rest.split(","))
    elif word == "append":
        label.append = rest
    elif word in ("ipappend", "sysappend"):
        label.sysappend = _number(rest)
    elif word == "menu default":
        label.default = True
    else:
        return False
    return True


def _global(config: Config, word: str, rest: str) -> None:
    if word == "default":
        config.default = rest
    elif word == "ontimeout":
        config.ontimeout = rest
    elif word == "ui":
        config.ui = rest
    elif word == "prompt":
        config.prompt = _number(rest) != 0
    elif word == "timeout":
        config.timeout_s = _number(rest) / 10 or config.timeout_s
    elif word == "append":
        config.append = rest
    elif word in ("ipappend", "sysappend"):
        config.sysappend = _number(rest)
    elif word in ("include", "menu include"):
        config.includes.append(rest.split(" ")[0])


def _number(text: str) -> int:
    try:
        return int(text.split(" ")[0], 0)
    except ValueError:
        return 0


class _Pxelinux:
    """One run of it."""

    def __init__(self, body: Body, start: Start, program: str) -> None:
        self.body, self.start = body, start
        traits = tftp.PXELINUX if program == "pxelinux" else tftp.LPXELINUX
        agent = http.SYSLINUX if program != "pxelinux" else None
        # siaddr, else 54; the prefix is 210, else the directory of ``file`` (facts: dhcp.md §6)
        told = start.proxy if start.proxy is not None and start.proxy.file and not start.ack.file else start.ack
        self.server = told.message.siaddr or told.server_id or start.server
        self.prefix = start.ack.text(OptionCode.PATH_PREFIX) or start.directory
        self.efi = program == "syslinux"
        self.reader = Reader(traits, agent, (("Cookie", self._cookie()),) if agent is not None else ())

    def run(self) -> Steps[Outcome]:
        module = "ldlinux.c32" if not self.efi else "ldlinux.e32" if self.start.arch == "ia32" else "ldlinux.e64"
        yield from self._read(module)
        self.body.enter(Stage.CONFIG)
        name, text = yield from self._search()
        config = parse(text)
        for included in config.includes[:16]:
            more = parse((yield from self._read(included, keep=True)).decode("utf-8", "replace"))
            config.labels.update(more.labels)
            config.default = config.default or more.default
        return (yield from self._obey(config, name))

    def _search(self) -> Steps[tuple[str, str]]:
        for name in self._names():
            data = yield from try_file(self.body, self.reader, self.server, self.prefix + name)
            if data is not None:
                return name, data.decode("utf-8", "replace")
        self.body.note("PXELINUX: Unable to locate configuration file")
        wait = (
            self.start.ack.address(OptionCode.REBOOT_TIME) if self.start.ack.raw(OptionCode.REBOOT_TIME) else GIVES_UP_S
        )
        yield from pause(self.body, wait)
        raise RebootError("PXELINUX found no configuration and resets")

    def _names(self) -> Iterator[str]:
        body = self.body
        told = self.start.ack.text(OptionCode.CONFIG_FILE)
        if told:
            yield told
        # Captured: OVMF's and SeaBIOS's ids of QEMU machines have no valid variant in byte 6, so no name is made of them.
        if 0x10 <= body.uuid[6] <= 0xEF:
            yield f"pxelinux.cfg/{uuid_text_wire(body.uuid)}"
        yield f"pxelinux.cfg/01-{mac_dashes(body.mac)}"
        number = f"{body.address:08X}"
        for length in range(8, 0, -1):
            yield f"pxelinux.cfg/{number[:length]}"
        yield "pxelinux.cfg/default"

    def _read(self, name: str, keep: bool = False) -> Steps[bytes]:
        """By the rules of its names: URL, ``ip::path``, ``::path``, or below the prefix."""
        if "://" in name:
            return (yield from open_url(self.body, self.reader, name, keep=keep))
        if len(name.encode()) > MAX_NAME_BYTES:
            raise BootError(f"PXELINUX: the name {name[:40]}… is longer than {MAX_NAME_BYTES} bytes")
        server, path = self.server, self.prefix + name
        if "::" in name:
            host, _, path = name.partition("::")
            server = host_address(host) if host else server
        elif self.prefix.startswith("http") and self.reader.http is not None:
            return (yield from open_url(self.body, self.reader, path, keep=keep))
        return (yield from read_file(self.body, self.reader, server, path, keep=keep))

    def _obey(self, config: Config, name: str) -> Steps[Outcome]:
        marked = next((label.name for label in config.labels.values() if label.default), "")
        wanted = config.default
        if config.ui or wanted.split(" ")[0] in _MODULES:
            module = (config.ui or wanted).split(" ")[0]
            yield from self._read(module)
            for needed in MENU_MODULES:
                yield from self._read(needed)
            yield from self._read(name, keep=True)  # a menu reads the configuration for itself
            wanted = marked or ("" if wanted == module else wanted) or next(iter(config.labels), "")
            yield from self._wait(config)
        elif config.prompt:
            yield from self._wait(config)
        wanted = config.ontimeout or wanted or ("linux" if "linux" in config.labels else next(iter(config.labels), ""))
        label = config.labels.get(wanted)
        if label is None:  # a command line of its own
            kernel, _, args = wanted.partition(" ")
            label = config.labels.get(kernel) or Label(kernel, kernel, "kernel")
            label = replace(label, append=" ".join(filter(None, (label.append, args))))
        return (yield from self._boot(config, label))

    def _wait(self, config: Config) -> Steps[None]:
        if not config.timeout_s:
            raise BootError("PXELINUX waits at a prompt or menu for somebody who presses a key: TIMEOUT is 0")
        yield from pause(self.body, config.timeout_s)

    def _boot(self, config: Config, label: Label) -> Steps[Outcome]:
        body = self.body
        if label.kind == "localboot":
            return Disk(f"LOCALBOOT {label.kernel}")
        if label.kind == "config":
            text = (yield from self._read(label.kernel, keep=True)).decode("utf-8", "replace")
            return (yield from self._obey(parse(text), label.kernel))
        if not label.kernel:
            raise BootError(f"PXELINUX: Could not find kernel image: {label.name}")
        if label.kernel.endswith(".c32") and label.kind in ("kernel", "com32"):
            yield from self._read(label.kernel)
            if label.kernel.endswith(("localboot.c32", "chain.c32", "poweroff.c32")):
                return Disk(label.kernel)
            raise BootError(f"PXELINUX: the module {label.kernel} is not known to this simulation")
        body.enter(Stage.KERNEL)
        yield from self._read(label.kernel)
        args = config.append if label.append is None else "" if label.append == "-" else label.append
        given = [word.partition("=")[2] for word in args.split() if word.startswith("initrd=")]
        initrds = label.initrd or tuple(given[-1].split(",") if given else ())
        if initrds:
            body.enter(Stage.INITRD)
        for initrd in initrds:
            yield from self._read(initrd)
        bits = config.sysappend if label.sysappend is None else label.sysappend
        more = [f"initrd={','.join(initrds)}"] if initrds and not given else []
        line = " ".join(filter(None, (f"BOOT_IMAGE={label.kernel}", args, *more, *self._sysappend(bits))))
        return Kernel(line, label.kernel, initrds)

    def _sysappend(self, bits: int) -> Iterator[str]:
        if bits & 1:
            yield f"ip={self._ip()}"
        if bits & 2:
            yield f"BOOTIF=01-{mac_dashes(self.body.mac)}"
        if bits & 4:
            yield f"SYSUUID={uuid_text_wire(self.body.uuid)}"

    def _ip(self) -> str:
        body = self.body
        return ":".join(map(address_text, (body.address, self.server, body.router, body.netmask)))

    def _cookie(self) -> str:
        values = (("ip", self._ip()), ("BOOTIF", f"01-{mac_dashes(self.body.mac)}"), *_COOKIE_TAIL)
        return "".join(f"_Syslinux_{name}={_cookie_quote(value)};" for name, value in values)


def _cookie_quote(value: str) -> str:
    """Blanks become plus signs; captured."""
    return quote(value, safe=" +-_.").replace(" ", "+")

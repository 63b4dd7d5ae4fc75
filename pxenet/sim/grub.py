"""GRUB: where it looks for its configuration, and what the configuration makes it do.

Sources: ``net/net.c``, ``net/bootp.c``, ``normal/main.c``, capture ``uefi-pxe-grub`` (Debian's signed GRUB 2.06: four lists that are
not there, then ``/grub/grub.cfg`` and no search). Disks are taken to hold whatever boot loader a text searches for.
"""

from __future__ import annotations

import itertools
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field

from pxenet.sim import http, tftp
from pxenet.sim.body import Body, BootError, RebootError, Stage, Steps, pause
from pxenet.sim.grub_shell import Block, Command, GrubSyntaxError, If, Loop, Node, expand, parse
from pxenet.sim.programs import KEEP_BYTES, Disk, Kernel, Outcome, Start, host_address
from pxenet.wire.iana import OptionCode
from pxenet.wire.text import address_text, mac_dashes, mac_text, parse_address, uuid_text_wire

LISTS = ("command.lst", "fs.lst", "crypto.lst", "terminal.lst")
MAX_COMMANDS = 20_000

_TARGETS = {"x64": ("x86_64-efi", "x86_64", "efi"), "ia32": ("i386-efi", "i386", "efi"), "aa64": ("arm64-efi", "arm64", "efi"),
            "bios": ("i386-pc", "i386", "pc")}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Build:
    """One distribution's GRUB."""

    name: str
    prefix: str | None
    """Built in; None: the directory of the boot file."""
    searches: bool
    """It asks for the names with UUID, hardware address and IPv4 address first (facts: tftp.md §6)."""
    http: bool
    """It has a network after HTTP boot. Debian's signed one has none (measured)."""


DEBIAN = Build("Debian", "/grub", searches=False, http=False)
RED_HAT = Build("Red Hat", None, searches=True, http=True)
BUILDS = {build.name: build for build in (DEBIAN, RED_HAT)}


@dataclass(slots=True)
class _Entry:
    title: str
    id: str
    body: list[Node]


@dataclass(slots=True)
class _Loaded:
    kernel: str = ""
    args: str = ""
    initrds: list[str] = field(default_factory=list)
    chain: str = ""


def run(body: Body, start: Start) -> Steps[Outcome]:
    """From its lists to a kernel or the disk. BootError: it ends at a prompt or a menu that waits."""
    grub = _Grub(body, start, BUILDS[start.grub])
    return (yield from grub.run())


class _Grub:
    """One run of it."""

    def __init__(self, body: Body, start: Start, build: Build) -> None:
        self.body, self.start, self.build = body, start, build
        if start.url and not build.http:
            raise BootError(f"{start.name}: GRUB finds no network after HTTP boot")
        self.server = self._server()
        self.by_http = bool(start.url)
        directory = posixpath.dirname(
            "/" + start.url.partition("://")[2].partition("/")[2] if start.url else "/" + start.name.lstrip("/")
        )
        self.prefix = build.prefix if build.prefix is not None else directory.rstrip("/")
        self.target, cpu, platform = _TARGETS[start.arch]
        self.host = start.url.partition("://")[2].partition("/")[0] if start.url else address_text(self.server)
        self.device = f"({'http' if self.by_http else 'tftp'},{self.host})"
        self.variables = {
            "prefix": self.device + self.prefix,
            "root": self.device[1:-1],
            "grub_cpu": cpu,
            "grub_platform": platform,
            "net_default_mac": mac_text(body.mac),
            "net_default_ip": address_text(body.address),
            "net_default_server": address_text(self.server),
            "cmdpath": self.device + directory,
        }
        self.entries: list[_Entry] = []
        self.functions: dict[str, list[Node]] = {}
        self.loaded = _Loaded()
        self.outcome: Outcome | None = None
        self.count = 0

    def _server(self) -> int:
        """``siaddr``, else 66, else ``sname`` (``bootp.c``); what an iPXE script has set goes before."""
        told = self.start.variables.get("set next-server", "")
        ack = self.start.ack
        for text in (
            told,
            "" if not ack.message.siaddr else address_text(ack.message.siaddr),
            ack.text(OptionCode.TFTP_SERVER),
            ack.message.server_name,
        ):
            try:
                return parse_address(text)
            except ValueError:
                continue
        if self.start.url:
            return 0
        raise BootError("GRUB knows no server: neither siaddr nor 66 nor sname of the ACK name one")

    def run(self) -> Steps[Outcome]:
        for name in LISTS:
            yield from self._try(f"{self.prefix}/{self.target}/{name}")
        self.body.enter(Stage.CONFIG)
        for name in self._names():
            text = yield from self._try(f"{self.prefix}/{name}")
            if text is not None:
                yield from self._script(text)
                if self.outcome is None and self.entries:
                    yield from self._menu()
                if self.outcome is not None:
                    return self.outcome
                raise BootError("GRUB stands at its prompt: the configuration ended without booting anything")
        raise BootError(f"GRUB stands at its prompt: no configuration below {self.prefix}")

    def _names(self) -> Iterator[str]:
        if self.build.searches and not self.by_http:
            uuid = self.start.ack.raw(OptionCode.MACHINE_ID)  # echoed by the server, or there is none
            if len(uuid) == 17:
                yield f"grub.cfg-{uuid_text_wire(uuid[1:])}"
            yield f"grub.cfg-01-{mac_dashes(self.body.mac)}"
            number = f"{self.body.address:08X}"
            for length in range(8, 0, -1):
                yield f"grub.cfg-{number[:length]}"
        yield "grub.cfg"

    # -- files -------------------------------------------------------------------------------------------------------------------

    def _try(self, path: str) -> Steps[str | None]:
        try:
            data = yield from self._read(path)
        except BootError as error:
            self.body.note(f"error: {error}")
            return None
        return data.decode("utf-8", "replace")

    def _read(self, name: str) -> Steps[bytes]:
        """``(tftp,host)/path``, ``(http,host:port)/path``, or a path on ``$root``."""
        device, path = self.variables["root"], name
        if name.startswith("("):
            device, _, path = name[1:].partition(")")
        protocol, _, host = device.partition(",")
        path = "/" + path.lstrip("/")
        while "//" in path:
            path = path.replace("//", "/")
        if protocol == "http":
            reply = yield from http.get(self.body, http.GRUB, f"http://{host or self.host}{path}", keep=True)
            return http.whole(http.GRUB, path, reply).body
        if protocol not in ("tftp", "pxe"):
            raise BootError(f"{name} is on the device {device}, which the simulated machine does not have")
        server = host_address(host.partition(":")[0]) if host else self.server
        got = yield from tftp.read(self.body, tftp.GRUB, server, path, KEEP_BYTES)
        return got.data

    # -- the script --------------------------------------------------------------------------------------------------------------

    def _script(self, text: str) -> Steps[bool]:
        try:
            nodes = parse(text)
        except GrubSyntaxError as error:
            raise BootError(f"GRUB: syntax error: {error}") from error
        return (yield from self._all(nodes))

    def _menu(self) -> Steps[None]:
        timeout = self.variables.get("timeout", "")
        if not timeout.isdecimal():
            raise BootError("GRUB waits in its menu for somebody who presses a key: no timeout")
        yield from pause(self.body, int(timeout))
        wanted = self.variables.get("default", "0")
        entries = self.entries
        chosen = next((entry for entry in entries if wanted in (entry.id, entry.title)), None)
        if chosen is None:
            chosen = entries[int(wanted)] if wanted.isdecimal() and int(wanted) < len(entries) else entries[0]
        yield from self._all(chosen.body)
        if self.outcome is None and (self.loaded.kernel or self.loaded.chain):
            self._boot()
        if self.outcome is None:
            raise BootError(f"GRUB is back in its menu: {chosen.title} booted nothing")

    def _all(self, nodes: list[Node]) -> Steps[bool]:
        passed = True
        for node in nodes:
            passed = yield from self._one(node)
            if self.outcome is not None:
                return True
        return passed

    def _one(self, node: Node) -> Steps[bool]:
        self.count += 1
        if self.count > MAX_COMMANDS:
            raise BootError("GRUB: the configuration goes round in circles")
        if isinstance(node, Command):
            return (yield from self._command(self._words(node)))
        if isinstance(node, If):
            for condition, body in node.arms:
                if not condition or (yield from self._all(condition)):
                    return True if self.outcome is not None else (yield from self._all(body))
            return True
        if isinstance(node, Loop):
            return (yield from self._loop(node))
        self._block(node)
        return True

    def _words(self, node: Command) -> list[str]:
        return [text for word in node.words for text in expand(word, self._get)]

    def _get(self, name: str) -> str:
        return self.variables.get(name, "")

    def _loop(self, node: Loop) -> Steps[bool]:
        if node.kind == "for":
            for value in [text for word in node.words for text in expand(word, self._get)]:
                self.variables[node.variable] = value
                yield from self._all(node.body)
                if self.outcome is not None:
                    break
            return True
        while self.outcome is None and (yield from self._all(node.condition)) == (node.kind == "while"):
            yield from self._all(node.body)
        return True

    def _block(self, node: Block) -> None:
        words = [text for word in node.words for text in expand(word, self._get)]
        if not words:
            return
        if node.kind == "function":
            self.functions[words[0]] = node.body
            return
        id = next((b for a, b in itertools.pairwise(words) if a == "--id"), "")
        self.entries.append(_Entry(words[0], id, node.body))

    def _command(self, words: list[str]) -> Steps[bool]:
        if not words:
            return True
        name, arguments = words[0], words[1:]
        negated = name == "!"
        if negated:
            return not (yield from self._command(arguments))
        if name in self.functions:
            return (yield from self._all(self.functions[name]))
        if name in ("linux", "linuxefi", "linux16", "initrd", "initrdefi", "initrd16"):
            return (yield from self._load(name, arguments))
        if name in ("configfile", "source", ".") and arguments:
            text = yield from self._try(arguments[0])
            return text is not None and (yield from self._script(text))
        if name == "sleep":
            yield from pause(self.body, float(next((word for word in arguments if word.isdecimal()), "0")))
            return True
        return self._simple(name, arguments)

    def _load(self, name: str, arguments: list[str]) -> Steps[bool]:
        if not arguments:
            return False
        kernel = name.startswith("linux")
        self.body.enter(Stage.KERNEL if kernel else Stage.INITRD)
        files = arguments[:1] if kernel else arguments
        for file in files:
            try:
                yield from self._read(file)
            except BootError as error:
                self.body.note(f"error: {error}")
                return False
        if kernel:
            path = arguments[0].partition(")")[2] if arguments[0].startswith("(") else arguments[0]
            shown = [f'"{word}"' if " " in word else word for word in arguments[1:]]
            self.loaded = _Loaded(arguments[0], " ".join([f"BOOT_IMAGE={path}", *shown]))
        else:
            self.loaded.initrds += files
        return True

    def _simple(self, name: str, arguments: list[str]) -> bool:
        plain = [word for word in arguments if not word.startswith("-")]
        match name:
            case "set" | "export":
                for word in arguments:
                    key, mark, value = word.partition("=")
                    if mark:
                        self.variables[key] = value
            case "unset":
                self.variables.pop(arguments[0] if arguments else "", None)
            case "[" | "test":
                return _test([word for word in arguments if word != "]"])
            case "true":
                return True
            case "false":
                return False
            case "search" | "search.file" | "search.fs_uuid" | "search.fs_label":
                variable = next((word[6:] for word in arguments if word.startswith("--set=")), "root")
                self.variables[variable] = "hd0,gpt1"
            case "chainloader":
                self.loaded = _Loaded(chain=" ".join(plain))
            case "boot":
                return self._boot()
            case "exit":
                self.outcome = Disk("exit to the firmware")
            case "reboot":
                raise RebootError("the GRUB configuration resets the machine")
            case "halt":
                raise BootError("the GRUB configuration switches the machine off")
            case _:  # echo, insmod, terminal_output, …: nothing that the network would notice
                self.body.note(" ".join([name, *arguments]))
        return True

    def _boot(self) -> bool:
        if self.loaded.chain:
            self.outcome = Disk(f"chainloader {self.loaded.chain}")
        elif self.loaded.kernel:
            self.outcome = Kernel(self.loaded.args, self.loaded.kernel, tuple(self.loaded.initrds))
        else:
            self.body.note("error: you need to load the kernel first")
        return self.outcome is not None


def _test(words: list[str]) -> bool:
    if words[:1] == ["!"]:
        return not _test(words[1:])
    for joint, both in (("-o", any), ("-a", all)):
        if joint in words:
            at = words.index(joint)
            return both((_test(words[:at]), _test(words[at + 1 :])))
    match words:
        case ["-z", *rest]:
            return not "".join(rest)
        case ["-n", *rest]:
            return bool("".join(rest))
        case ["-e" | "-f" | "-d" | "-s", *_]:
            return False
        case [first, "=" | "==", second]:
            return first == second
        case [first, "!=", second]:
            return first != second
        case [first, "-eq" | "-ne" | "-lt" | "-gt" | "-le" | "-ge" as how, second] if (
            first.isdecimal() and second.isdecimal()
        ):
            a, b = int(first), int(second)
            return {"-eq": a == b, "-ne": a != b, "-lt": a < b, "-gt": a > b, "-le": a <= b, "-ge": a >= b}[how]
        case ["=" | "==", second]:  # an empty variable in front
            return not second
        case ["!=", second]:
            return bool(second)
    return any(words)

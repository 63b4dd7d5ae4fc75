"""iPXE: what it does once its interface is configured, and its scripts.

Sources: iPXE ``usr/autoboot.c``, ``image/script.c``, ``core/exec.c``, ``hci/commands``; captures ``bios-ipxe-script``, ``uefi-*-ipxe``.
A script ends when a command without ``||`` fails; labels are looked for from the top. Nobody presses a key.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from pxenet.sim import http, tftp
from pxenet.sim.body import Body, BootError, RebootError, Stage, Steps, pause
from pxenet.sim.ipxe_dhcp import Network, boot_menu, configure
from pxenet.sim.programs import Disk, Kernel, Outcome, Reader, Start, kind_of, open_url, tftp_url
from pxenet.sim.url import join, split
from pxenet.sim.voices import Voice
from pxenet.wire.iana import OptionCode
from pxenet.wire.pxe import IpxeFeature
from pxenet.wire.text import address_text, mac_dashes, mac_text, uuid_text

READER = Reader(tftp.IPXE, http.IPXE)
MAX_COMMANDS = 5000
"""A script that goes round in circles without waiting is a failure."""
MAX_EXPANSIONS = 200

Run = Callable[[Body, Start], Steps[Outcome]]


def rom(body: Body, voice: Voice, arch: str, settles_s: float, run: Run) -> Steps[Outcome]:
    """iPXE as the machine's own firmware."""
    network = yield from configure(body, voice)
    body.enter(Stage.LEASE)
    yield from pause(body, settles_s)
    start = Start(arch, network.ack.message.siaddr, "", network.ack, network.proxy, voice, run)
    return (yield from _autoboot(body, start, network))


def program(body: Body, start: Start) -> Steps[Outcome]:
    """iPXE as a program that another firmware loaded: it asks for itself (captures ``uefi-*-ipxe``)."""
    if start.ipxe is not None and start.variables.get("ipxe"):
        raise BootError("iPXE is given iPXE again, for ever")
    network = yield from configure(body, start.ipxe)
    start.ack, start.proxy = network.ack, network.proxy
    return (yield from _autoboot(body, start, network))


def _autoboot(body: Body, start: Start, network: Network) -> Steps[Outcome]:
    start.variables["ipxe"] = "1"
    loads = yield from boot_menu(body, start.ipxe, network)
    name = expand(loads.name, _Settings(body, start, network).get)
    url = tftp_url(type(loads)(loads.server, name))
    body.enter(Stage.LOADER)
    image = yield from open_url(body, READER, url, keep=True)
    return (yield from _image(body, start, network, url, image))


def _image(body: Body, start: Start, network: Network, url: str, image: bytes) -> Steps[Outcome]:
    if image.startswith((b"#!ipxe", b"#!gpxe")):
        body.enter(Stage.CONFIG)
        return (yield from _Script(body, start, network, url, image.decode("utf-8", "replace")).run())
    parts = split(url)
    start.name = parts.path.lstrip("/")
    start.url = url if parts.scheme.startswith("http") else ""
    if kind_of(start.name) == "ipxe":
        raise BootError(f"iPXE is given {start.name} again: it would load itself for ever")
    if not start.url:
        start.server = network.ack.message.siaddr or start.server
    return (yield from start.run(body, start))


def expand(text: str, get: Callable[[str], str]) -> str:
    """``${setting}`` replaced by its value, innermost first. BootError: settings that name one another for ever."""
    for _ in range(MAX_EXPANSIONS):
        at, end = _innermost(text)
        if at < 0:
            return text
        text = text[:at] + get(text[at + 2 : end]) + text[end + 1 :]
    raise BootError(f"iPXE: settings that name one another for ever: {text[:60]}…")


def _innermost(text: str) -> tuple[int, int]:
    """Where the first ``${`` that holds no other begins and ends; (-1, -1): there is none."""
    end = text.find("}")
    while end >= 0:
        at = text.rfind("${", 0, end)
        if at >= 0:
            return at, end
        end = text.find("}", end + 1)
    return -1, -1


class _Settings:
    """What ``${…}`` stands for."""

    def __init__(self, body: Body, start: Start, network: Network) -> None:
        self._body, self._start = body, start
        self._network = network

    def get(self, name: str) -> str:
        name, _, kind = name.partition(":")
        name = name.rpartition("/")[2] if not name.startswith(("http", "tftp")) else name
        value = self._start.variables.get(f"set {name}")
        if value is None:
            value = self._built_in(name)
        if kind == "hexhyp" and name in ("mac", "netX/mac"):
            return mac_dashes(self._body.mac)
        if kind == "hexraw" and name == "mac":
            return self._body.mac.hex()
        return value

    def _built_in(self, name: str) -> str:
        body, start = self._body, self._start
        settings = self._network.proxy or self._network.ack
        efi = start.arch != "bios"
        table = {
            "mac": mac_text(body.mac),
            "ip": address_text(body.address),
            "netmask": address_text(body.netmask),
            "gateway": address_text(body.router),
            "next-server": address_text(settings.message.siaddr),
            "filename": settings.header_file or settings.text(OptionCode.BOOT_FILE),
            "dhcp-server": address_text(self._network.ack.server_id),
            "hostname": self._network.ack.text(OptionCode.HOST_NAME),
            "domain": self._network.ack.text(OptionCode.DOMAIN_NAME),
            "uuid": uuid_text(body.uuid),
            "serial": body.serial,
            "platform": "efi" if efi else "pcbios",
            "buildarch": {"bios": "i386", "ia32": "i386", "aa64": "arm64"}.get(start.arch, "x86_64"),
            "manufacturer": "QEMU",
            "product": "Standard PC",
            "version": "1.0.0+",
            "chip": "virtio-net",
        }
        return table.get(name, "")


@dataclass(slots=True)
class _Loaded:
    """What a script has loaded so far."""

    kernel: str = ""
    args: str = ""
    image: bytes = b""
    initrds: list[str] = field(default_factory=list)


class _Script:
    """One script under way."""

    def __init__(self, body: Body, start: Start, network: Network, url: str, text: str) -> None:
        self.body, self.start, self.network, self.url = body, start, network, url
        self.settings = _Settings(body, start, network)
        self.lines = text.replace("\\\n", " ").splitlines()
        self.loaded = _Loaded()
        self.items: list[str] = []
        self.outcome: Outcome | None = None
        self.at = 1
        self.count = 0

    def run(self) -> Steps[Outcome]:
        while self.at < len(self.lines):
            line = self.lines[self.at].strip()
            self.at += 1
            if not line or line.startswith((":", "#")):
                continue
            passed = yield from self._line(line)
            if self.outcome is not None:
                return self.outcome
            if not passed:
                raise BootError(f"iPXE: the script {self.url} failed at {line.split()[0]!r}: {self.why}")
        raise BootError(f"iPXE: the script {self.url} ended without booting anything")

    why = "unknown command"

    def _line(self, line: str) -> Steps[bool]:
        """Commands joined by ``&&``, ``||`` and ``;``: the last result counts."""
        passed = True
        joint = "&&"
        for command, following in _commands(line):
            if (joint == "&&") == passed or joint == ";":
                passed = yield from self._command(command)
                if self.outcome is not None:
                    return True
            joint = following
        return passed

    def _command(self, words: list[str]) -> Steps[bool]:
        self.count += 1
        if self.count > MAX_COMMANDS:
            raise BootError(f"iPXE: the script {self.url} goes round in circles")
        if not words:
            return True
        name, *arguments = expand(" ".join(words), self.settings.get).split(" ")
        arguments = [word for word in arguments if word]
        act = _LOADING.get(name)
        if act is not None:
            try:
                return (yield from act(self, arguments))
            except RebootError:
                raise
            except BootError as error:
                self.why = str(error)
                self.body.note(self.why)
                return False
        return self._simple(name, arguments)

    def _simple(self, name: str, arguments: list[str]) -> bool:
        variables = self.start.variables
        match name, arguments:
            case ("set", [key, *value]):
                variables[f"set {key.rpartition('/')[2].partition(':')[0]}"] = " ".join(value)
            case ("clear", [key, *_]):
                variables.pop(f"set {key.rpartition('/')[2].partition(':')[0]}", None)
            case ("isset", values):
                return bool(values)
            case ("iseq", [first, second]):
                return first == second
            case ("iseq", values):
                return not values
            case ("goto", [label, *_]):
                return self._goto(label)
            case ("item", values):
                plain = [word for word in values if not word.startswith("--")]
                if "--gap" not in values and plain:
                    self.items.append(plain[0])
            case ("menu", _):
                self.items.clear()
            case ("imgfree", _):
                self.loaded = _Loaded()
            case ("imgargs", [_, *args]):
                self.loaded.args = " ".join(args)
            case ("echo" | "ifopen" | "ifclose" | "ifconf" | "dhcp" | "ifstat" | "imgstat" | "console" | "colour", _):
                self.body.note(" ".join(arguments))
            case (
                "cpair" | "param" | "params" | "login" | "cpuid" | "sync" | "ntp" | "config" | "route" | "imgtrust",
                _,
            ):
                return name != "cpuid" or "--ext" in arguments
            case ("exit", values):
                self.outcome = Disk(f"exit {' '.join(values)}".strip())
            case ("reboot", _):
                raise RebootError("the iPXE script resets the machine")
            case ("poweroff", _):
                raise BootError("the iPXE script switches the machine off")
            case ("shell" | "prompt", _):
                raise BootError(f"iPXE waits for a person: {name}")
            case _:
                self.why = f"{name}: command not found"
                return False
        return True

    def _goto(self, label: str) -> bool:
        for number, line in enumerate(self.lines):
            if line.strip() == f":{label}":
                self.at = number + 1
                return True
        self.why = f"no label {label}"
        return False

    # -- commands that take time -------------------------------------------------------------------------------------------------

    def _get(self, uri: str, keep: bool = False) -> Steps[tuple[str, bytes]]:
        url = join(self.url, uri)
        features = dict(self.start.ipxe.discover).get(OptionCode.IPXE)
        if url.startswith("http") and isinstance(features, bytes) and bytes((IpxeFeature.HTTP, 1, 1)) not in features:
            raise BootError(f"{url}: this iPXE has no HTTP (http://ipxe.org/3c092083)")
        return url, (yield from open_url(self.body, READER, url, keep=keep))

    def kernel(self, words: list[str]) -> Steps[bool]:
        plain = _after_options(words)
        if plain:
            self.body.enter(Stage.KERNEL)
            url, image = yield from self._get(plain[0], keep=True)
            self.loaded.kernel, self.loaded.args, self.loaded.image = url, " ".join(plain[1:]), image
        return True

    def initrd(self, words: list[str]) -> Steps[bool]:
        plain = _after_options(words)
        if plain:
            self.body.enter(Stage.INITRD)
            url, _ = yield from self._get(plain[0])
            self.loaded.initrds.append(url)
        return True

    def chain(self, words: list[str]) -> Steps[bool]:
        plain = _after_options(words)
        if plain:
            self.body.enter(Stage.CONFIG)
            url, image = yield from self._get(plain[0], keep=True)
            if kind_of(split(url).path) or image.startswith((b"#!ipxe", b"#!gpxe")):
                self.start.depth += 1
                if self.start.depth > 16:
                    raise RebootError(f"iPXE scripts chain one another for ever: {url}")
                self.outcome = yield from _image(self.body, self.start, self.network, url, image)
                return True
            self.loaded.kernel, self.loaded.args, self.loaded.image = url, " ".join(plain[1:]), image
        return (yield from self.boot([]))

    def boot(self, words: list[str]) -> Steps[bool]:
        plain = _after_options(words)
        if plain and "/" in plain[0]:
            return (yield from self.chain(words))
        loaded = self.loaded
        if not loaded.kernel:
            self.why = "nothing to boot: no image is loaded"
            return False
        if loaded.image.startswith((b"#!ipxe", b"#!gpxe")) or kind_of(split(loaded.kernel).path):
            self.outcome = yield from _image(self.body, self.start, self.network, loaded.kernel, loaded.image)
            return True
        self.outcome = Kernel(loaded.args, loaded.kernel, tuple(loaded.initrds))
        return True

    def sanboot(self, words: list[str]) -> Steps[bool]:
        yield from ()
        plain = _after_options(words, {"--drive"})
        if plain:
            raise BootError(f"sanboot {plain[0]}: no SAN is simulated")
        self.outcome = Disk("sanboot of the first disk")
        return True

    def sleep(self, words: list[str]) -> Steps[bool]:
        yield from pause(self.body, float(words[0]) if words and words[0].isdecimal() else 0.0)
        return True

    def choose(self, words: list[str]) -> Steps[bool]:
        """The default, when its time is over; without a time somebody has to press a key."""
        default, timeout_ms, key = "", 0, words[-1] if words else "selected"
        for option, value in itertools.pairwise(words):
            if option in ("--default", "-d"):
                default = value
            elif option in ("--timeout", "-t") and value.isdecimal():
                timeout_ms = int(value)
        if not timeout_ms:
            raise BootError("iPXE waits in a menu for somebody who presses a key: no --timeout")
        yield from pause(self.body, timeout_ms / 1000)
        chosen = default or next(iter(self.items), "")
        self.start.variables[f"set {key.rpartition('/')[2]}"] = chosen
        return bool(chosen)


_LOADING: dict[str, Callable[[_Script, list[str]], Steps[bool]]] = {
    "kernel": _Script.kernel,
    "imgselect": _Script.kernel,
    "imgload": _Script.kernel,
    "initrd": _Script.initrd,
    "module": _Script.initrd,
    "imgfetch": _Script.initrd,
    "chain": _Script.chain,
    "imgexec": _Script.boot,
    "boot": _Script.boot,
    "sanboot": _Script.sanboot,
    "sleep": _Script.sleep,
    "choose": _Script.choose,
}

_VALUED = {"--name", "-n", "--timeout", "-t", "--drive", "-d", "--filename"}


def _after_options(words: list[str], valued: set[str] | None = None) -> list[str]:
    """The words behind a command's options."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in (valued or _VALUED) else 1
    return words[at:]


def _commands(line: str) -> list[tuple[list[str], str]]:
    """(words, what joins it to the next) of each command in a line; ``#`` begins a comment."""
    found: list[tuple[list[str], str]] = []
    words: list[str] = []
    for word in line.split():
        if word.startswith("#"):
            break
        if word in ("&&", "||", ";"):
            found.append((words, word))
            words = []
        else:
            words.append(word)
    return [*found, (words, ";")]

"""A captured machine that follows our answers: firmware, boot loader and installer, each asking as its own kind does.

DHCP messages and HTTP heads are the captured ones; TFTP requests have the captured options. What is asked for comes from our own
answers: the boot file's name, its directory as prefix, the text's kernel, the arguments' answer file. Each answer is judged by the
rules of the client that reads it. Sources of the orders: PXELINUX ``core/fs/pxe``, Debian's GRUB 2.06 as captured, iPXE
``image/script``.

    Machine(scene, boot).power_on()  ->  Started(kernel=…, initrd=…, args="…") or LocalDisk
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import cycle
from urllib.parse import urlsplit

import firmware_rules as firmware
import http_rules
from captured_words import exchanges, others_words, plain_words, with_path
from rack_scene import NEIGHBOUR, OTHER_SERVER, SERVER, Exchange, RackScene
from tftp_harness import EDK2, GRUB, IPXE, PXELINUX, Client, Personality

from pxenet.capture.boots import Boot, DhcpStep
from pxenet.engine.dhcp.client import boot_client
from pxenet.engine.surface import NEVER
from pxenet.model import BootClient, ClientKind
from pxenet.net.datagram import pack_peer
from pxenet.wire.dhcp import parse, serialize
from pxenet.wire.iana import MessageType, OptionCode
from pxenet.wire.text import address_text, mac_dashes, parse_address, uuid_text_wire
from pxenet.wire.tftp import Error, Oack

EDK2_PROBE = replace(EDK2, options=(("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")))
SHIM = replace(EDK2, name="shim", options=(("blksize", "512"), ("windowsize", "4")))
GRUB_LISTS = ("command.lst", "fs.lst", "crypto.lst", "terminal.lst")
IPXE_HEAD = b"GET / HTTP/1.1\r\nConnection: keep-alive\r\nUser-Agent: iPXE/1.21.1\r\nHost: 10.77.0.1\r\n\r\n"
WGET_HEAD = b"GET / HTTP/1.1\r\nHost: 10.77.0.1\r\nUser-Agent: Wget\r\nConnection: close\r\n\r\n"
PXELINUX_HEAD = b"GET / HTTP/1.0\r\nHost: 10.77.0.1\r\nUser-Agent: Syslinux/6.04\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Started:
    """A kernel runs."""

    kernel: bytes
    initrd: bytes
    args: str

    def argument(self, *names: str) -> str:
        """The value of the one argument with one of these names."""
        (value,) = [word.partition("=")[2] for word in self.args.split() if word.partition("=")[0] in names]
        return value


@dataclass(frozen=True)
class LocalDisk:
    """The machine's own disk is next."""


Outcome = Started | LocalDisk


class Reader(Client):
    """A TFTP client of the harness that judges the OACK as closely as the strictest firmware."""

    oack: tuple[tuple[str, str], ...] | None = None

    def _check(self, packet: Oack) -> None:
        super()._check(packet)
        asked = dict(self.is_like.options)
        assert [name for name, _ in packet.options] == list(dict(packet.options)), "an option twice"
        for name, value in packet.options:
            assert name in asked, f"{name} was not asked for, or not in that spelling"
            assert str(int(value)) == value, "GRUB reads a leading zero as octal"
        self.oack = packet.options


class Probe(Reader):
    """EDK2 asks the size alone: it takes the OACK's and ends the transfer; DATA instead makes the boot fail."""

    def _oack(self, packet: Oack, port: int, now: float) -> None:
        super()._oack(packet, port, now)
        assert self.tsize is not None
        self._say(Error(8, "User aborted the transfer"), port, now)
        self.done, self.deadline = True, NEVER

    def _data(self, packet: object, port: int, now: float) -> None:
        raise AssertionError("EDK2 takes DATA for a failed probe")


@dataclass
class Machine:
    """One machine of a capture at our rack. ``at_text`` is called when it has read its boot text."""

    scene: RackScene
    boot: Boot
    second: Boot | None = None
    """Where its iPXE's DHCP is taken from, when its own capture shows none."""
    beside: bool = False
    """Another server gives the addresses, and says nothing of booting; the captured REQUESTs are turned to it."""
    at_text: Callable[[], None] = lambda: None
    address: int = 0
    read: list[str] = field(default_factory=list)
    """What it has read whole, in order."""
    refused: list[str] = field(default_factory=list)
    text: str = ""
    """The boot text that it obeyed."""

    def __post_init__(self) -> None:
        self._exchanges = exchanges(self.boot)
        ports = [step.packet.source_port for step in self.boot.tftp if step.packet.version == 4]
        self._ports: Iterator[int] = cycle(ports or [49152])  # of lpxelinux one for all, of the others one each
        self._by_http = False
        self._next_server = 0

    # -- the firmware --------------------------------------------------------------------------------------------------------

    def power_on(self) -> Outcome:
        """From the first DISCOVER to a kernel or the local disk."""
        client, steps = self._exchanges[0]
        loads = self._asks(client, steps)
        if client.kind is ClientKind.IPXE:
            return self._ipxe(loads)
        if client.kind is ClientKind.HTTP:
            self._by_http = True
            self._firmware_http(loads)
            return self._ipxe_asks()
        return self._run(self._firmware_tftp(loads), self._edk2)

    def _asks(self, client: BootClient, steps: list[DhcpStep]) -> firmware.Loads:
        """The captured words, verbatim; what the client does by our answers, with the other server's where it has its address from."""
        exchange = self.exchange(steps)
        others = plain_words(steps, self.address) if self.beside else others_words(self.boot, steps)
        offers, ack = exchange.offers[-1:], exchange.ack
        if others is not None:
            offers, ack = [*others.offers, *offers], others.ack
        assert ack is not None
        if client.kind is ClientKind.HTTP:
            return firmware.edk2_http(offers, ack, exchange.request)
        if client.kind is ClientKind.IPXE:
            loads = firmware.ipxe(offers, ack, exchange.request)
            if others is None:
                assert loads == firmware.pxelinux(ack) or loads.server == 0
            elif not self.beside:
                assert loads.name == self._boot_server().name
            return loads
        if others is not None:
            return firmware.edk2_pxe(offers, ack, exchange.request, lambda server: self._ask(server, steps[0]))
        loads = firmware.edk2_pxe(offers, ack, exchange.request)
        assert loads == firmware.shim(ack) == firmware.grub(ack) == firmware.u_boot(ack)
        return loads

    def exchange(self, steps: list[DhcpStep]) -> Exchange:
        """One client's DISCOVER and REQUEST, as they were captured, and our answers."""
        offers: list[bytes] = []
        ack = None
        for step in steps:
            said = step.message
            self.address = said.options.address(OptionCode.REQUESTED_ADDRESS) or self.address
            payload = step.packet.payload
            if self.beside and said.message_type == MessageType.REQUEST:
                payload = serialize(replace(said, options=said.options.with_({OptionCode.SERVER_ID: OTHER_SERVER})))
            answers = self.scene.dhcp(payload)
            assert len(answers) <= 1
            if said.message_type == MessageType.DISCOVER:
                offers += answers
            else:
                ack = next(iter(answers), None)
        return Exchange(steps[0].packet.payload, offers, ack)

    def _boot_server(self) -> firmware.Loads:
        """The answer to the captured question on port 4011."""
        (step,) = [step for step in self.boot.dhcp if step.packet.destination_port == 4011]
        (answer,) = self.scene.dhcp(
            step.packet.payload, source=self.address, source_port=68, port=4011, broadcast=False
        )
        assert self.address == parse(answer).yiaddr
        firmware.answers(firmware.read(answer), step.packet.payload)
        return firmware.shim(answer)

    def _ask(self, server: int, step: DhcpStep) -> bytes | None:
        """EDK2's question on port 4011: from its own address and that port, with a new xid, without 50 and 54."""
        assert SERVER == server
        said = step.message
        options = said.options.without(OptionCode.REQUESTED_ADDRESS, OptionCode.SERVER_ID)
        question = replace(
            said,
            xid=said.xid ^ 1,
            ciaddr=self.address,
            options=options.with_({OptionCode.MESSAGE_TYPE: MessageType.REQUEST}),
        )
        answers = self.scene.dhcp(question, source=self.address, source_port=4011, port=4011, broadcast=False)
        return next(iter(answers), None)

    def _firmware_tftp(self, loads: firmware.Loads) -> str:
        assert SERVER == loads.server
        self.scene.read(probe := self._reader(EDK2_PROBE, loads.name, Probe))
        assert probe.error is None
        assert probe.tsize == len(self._get(EDK2, loads.name))
        return loads.name

    def _firmware_http(self, loads: firmware.Loads) -> None:
        path = self._path(loads.name)
        assert path.endswith(("/ipxe.efi", "/snponly.efi")), "measured: nothing else has a network after HTTP boot"
        head, get = (self.scene.http(with_path(step.head, path), self.address) for step in self.boot.http[:2])
        assert self._file(path) == http_rules.edk2(head, get)
        self.read.append(path)

    # -- what the firmware started -------------------------------------------------------------------------------------------

    def _run(self, name: str, get: Callable[[str], bytes]) -> Outcome:
        """The program of that name, read already."""
        assert not self._by_http, "measured: after HTTP boot neither GRUB nor syslinux has a network"
        directory, program = posixpath.split(name)
        if program in ("pxelinux.0", "lpxelinux.0", "syslinux.efi"):
            return self._pxelinux(directory, "ldlinux.e64" if program.endswith(".efi") else "ldlinux.c32")
        if program.startswith("shim"):
            get(second := f"{directory}/{program.replace('shim', 'grub')}")
            return self._run(second, get)
        if program.startswith("grub"):
            return self._grub()
        assert program in ("ipxe.efi", "snponly.efi", "undionly.kpxe")
        return self._ipxe_asks()

    def _edk2(self, name: str) -> bytes:
        return self._get(SHIM, name)

    def _pxelinux(self, directory: str, module: str) -> Outcome:
        """PXELINUX: its module, its configuration in the order of the names, its kernel."""
        prefix = f"{directory}/" if directory else ""
        self._get(PXELINUX, prefix + module)
        for name in self._pxelinux_names():
            data = self._try(PXELINUX, f"{prefix}pxelinux.cfg/{name}")
            if data is not None:
                return self._pxelinux_text(data.decode(), prefix)
        raise AssertionError("no configuration: an error message, and a reboot after five minutes")

    def _pxelinux_names(self) -> list[str]:
        uuid = boot_client(self.boot.dhcp[0].message).uuid
        names = [uuid_text_wire(uuid)] if uuid is not None and 0x10 <= uuid[6] <= 0xEF else []
        number = f"{self.address:08X}"
        return [
            *names,
            f"01-{mac_dashes(self.boot.hardware)}",
            *(number[:length] for length in range(8, 0, -1)),
            "default",
        ]

    def _pxelinux_text(self, text: str, prefix: str) -> Outcome:
        self._obey(text)
        lines = dict(line.strip().split(" ", 1) for line in text.split("\n") if " " in line.strip())
        assert "UI" not in lines
        if "LOCALBOOT" in lines:
            assert "0" == lines["LOCALBOOT"]
            return LocalDisk()
        kernel = self._pxelinux_file(lines["LINUX"], prefix)
        initrd = b"".join(self._pxelinux_file(name, prefix) for name in lines["INITRD"].split(","))
        assert "2" == lines["IPAPPEND"]
        args = f"{lines['APPEND']} BOOTIF=01-{mac_dashes(self.boot.hardware)}"
        return Started(kernel, initrd, args)

    def _pxelinux_file(self, name: str, prefix: str) -> bytes:
        assert len(name) <= 127
        if name.startswith("http://"):
            path = self._path(name)
            answer = self.scene.http(with_path(self._head(b"Syslinux", PXELINUX_HEAD), path), self.address)
            self.read.append(path)
            return http_rules.pxelinux(answer)
        return self._get(PXELINUX, name[2:] if name.startswith("::") else prefix + name)

    def _grub(self) -> Outcome:
        """Debian's signed GRUB: lists that are not there, and the generic name below its built-in prefix."""
        assert not self.beside or SERVER == self._next_server, "measured: it would look at the other DHCP server"
        for name in GRUB_LISTS:
            assert self._try(GRUB, f"/grub/x86_64-efi/{name}") is None
        text = self._get(GRUB, "/grub/grub.cfg").decode()
        self._obey(text)
        kernel = re.search(r"^ *if linux (.*); then$", text, re.MULTILINE)
        if kernel is None:
            assert "chainloader" in text
            return LocalDisk()
        initrd = re.search(r"^ *if initrd (.*); then boot; fi$", text, re.MULTILINE)
        assert initrd is not None
        name, *args = shlex.split(kernel[1])
        read = [self._get(GRUB, self._grub_file(path)) for path in (name, *shlex.split(initrd[1]))]
        return Started(read[0], b"".join(read[1:]), " ".join(args))

    def _grub_file(self, name: str) -> str:
        device = f"(tftp,{address_text(SERVER)})"
        assert name.startswith(device)
        return name.removeprefix(device)

    def _ipxe_asks(self) -> Outcome:
        """iPXE as a program asks for itself, in words of its own."""
        for boot in (self.boot, self.second):
            for client, steps in exchanges(boot) if boot is not None else ():
                if client.kind is ClientKind.IPXE:
                    return self._ipxe(self._asks(client, steps))
        raise AssertionError("no captured iPXE")

    def _ipxe(self, loads: firmware.Loads) -> Outcome:
        uri = loads.name if loads.server == 0 else f"tftp://{address_text(loads.server)}/{loads.name}"
        return self._ipxe_image(uri, self._ipxe_get(uri))

    def _ipxe_image(self, uri: str, image: bytes) -> Outcome:
        if not image.startswith(b"#!ipxe\n"):
            name = self._path(uri).lstrip("/")
            assert not name.endswith(("ipxe.efi", "snponly.efi", "undionly.kpxe")), "iPXE would load itself for ever"
            return self._run(name, lambda file: self._get(IPXE, file))
        kernel, initrds, args = b"", [], ""
        self._obey(image.decode())
        for line in image.decode().split("\n")[1:]:
            command, *words = line.partition(" || ")[0].split(" ")
            if command == "kernel":
                kernel, args = self._ipxe_get(words[0]), " ".join(words[1:])
            elif command == "initrd":
                initrds.append(self._ipxe_get(words[2]))
                assert f"initrd={words[1]}" in args.split(" ")
            elif command == "set":
                assert "netX/next-server" == words[0]
                self._next_server = parse_address(words[1])
            elif command == "chain":
                return self._ipxe_image(words[0], self._ipxe_get(words[0]))
            elif command == "sanboot":
                return LocalDisk()
            elif command == "boot":
                return Started(kernel, b"".join(initrds), args)
        raise AssertionError(f"a script without an end:\n{image.decode()}")

    def _ipxe_get(self, uri: str) -> bytes:
        if uri.startswith("http://"):
            path = self._path(uri)
            self.read.append(path)
            return http_rules.ipxe(self.scene.http(with_path(IPXE_HEAD, path), self.address))
        return self._get(IPXE, self._path(uri).lstrip("/"))

    def _obey(self, text: str) -> None:
        self.text = text
        self.at_text()

    # -- the kernel and its installer ----------------------------------------------------------------------------------------

    def system(self) -> None:
        """The DHCP of the kernel and the installer, as it was captured: the same address."""
        for client, steps in self._exchanges:
            if client.kind is ClientKind.OTHER:
                exchange = self.exchange(steps)
                if self.beside:  # an operating system is none of a proxy's business
                    assert ([], None) == (exchange.offers, exchange.ack)
                    continue
                if exchange.ack is not None:  # the capture may end before
                    assert self.address == firmware.system(exchange.offers[-1], exchange.ack, exchange.request)
                assert self.address == parse(exchange.offers[-1]).yiaddr

    def fetch(self, url: str) -> http_rules.Answer:
        """The installer reads something of ours."""
        heads = [step.head for step in self.boot.http if b"Wget\r\n" in step.head or b"debian-installer" in step.head]
        return self.scene.http(with_path(heads[0] if heads else WGET_HEAD, self._path(url)), self.address)

    # -- transfers -----------------------------------------------------------------------------------------------------------

    def _get(self, like: Personality, name: str) -> bytes:
        data = self._try(like, name)
        assert data is not None, f"{like.name} cannot do without {name}"
        return data

    def _try(self, like: Personality, name: str) -> bytes | None:
        """The file, or None for an ERROR 1, which must come at once."""
        began_at = self.scene.now
        client = self._reader(like, name)
        self.scene.read(client)
        if client.error is not None:
            assert 1 == client.error.code, client.error
            assert self.scene.now - began_at < 0.4 or self.scene.rough, "silence costs a time-out for every name"
            self.refused.append(name)
            return None
        assert client.tsize in (None, len(client.data))
        assert (client.oack is not None) == bool(like.options)
        assert dict(client.oack or ()).keys() == dict(like.options).keys()
        self.read.append(name)
        return client.data

    def _reader(self, like: Personality, name: str, kind: type[Reader] = Reader) -> Reader:
        return kind(like, name, pack_peer(self.address, next(self._ports)))

    def _head(self, agent: bytes, otherwise: bytes) -> bytes:
        return next((step.head for step in self.boot.http if agent in step.head), otherwise)

    def _path(self, url: str) -> str:
        parts = urlsplit(url)
        assert address_text(SERVER) == parts.netloc
        return parts.path

    def _file(self, path: str) -> bytes:
        root = self.scene.rack.settings.server.root
        assert root is not None
        return (root / path.lstrip("/")).read_bytes()


def recorded(machine: Machine, name: str, options: tuple[tuple[str, str], ...]) -> Reader:
    """A captured request with another name."""
    reader = Reader(Personality("captured", options), name, pack_peer(machine.address or NEIGHBOUR, 2070))
    machine.scene.read(reader)
    return reader

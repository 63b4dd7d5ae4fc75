"""A server of a few files, for boot programs alone: TFTP and HTTP by hand, at once, without loss. Time jumps to what is waited for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from pxenet.sim.body import Body, ClientSend, HttpReply, SimDatagram, Steps
from pxenet.sim.dhcp import Reply
from pxenet.sim.firmware import run_program
from pxenet.sim.ipxe_dhcp import Network
from pxenet.sim.programs import Outcome, Start
from pxenet.sim.voices import IPXE_BIOS, IPXE_EFI
from pxenet.wire.dhcp import Message, parse, serialize
from pxenet.wire.iana import OptionCode
from pxenet.wire.options import Options
from pxenet.wire.text import parse_address
from pxenet.wire.tftp import Ack, Data, Error, ErrorCode, Oack, Request
from pxenet.wire.tftp import parse as parse_tftp
from pxenet.wire.tftp import serialize as tftp_bytes

SERVER, ME = parse_address("10.0.0.1"), parse_address("10.0.0.91")
MAC = bytes.fromhex("020000000a01")
MAX_WAIT_S = 3600.0


def ack(options: Mapping[int, object] | None = None, *, file: str = "", siaddr: int = SERVER, sname: str = "") -> Reply:
    """The ACK that a boot program finds."""
    values = {OptionCode.MESSAGE_TYPE: 5, OptionCode.SERVER_ID: SERVER, OptionCode.SUBNET_MASK: 0xFFFFFF00}
    built = Options.build({**values, **(options or {})})  # type: ignore[dict-item]
    message = Message(
        2,
        yiaddr=ME,
        siaddr=siaddr,
        chaddr=MAC.ljust(16, b"\0"),
        file=file.encode(),
        sname=sname.encode(),
        options=built,
    )
    payload = serialize(message)
    return Reply(parse(payload), payload, SERVER, 67)


class World:
    """``files`` by name as it is asked for by TFTP, or by URL. ``asked`` has every name and URL, in order."""

    def __init__(self, files: Mapping[str, str | bytes]) -> None:
        self.files = {name: data.encode() if isinstance(data, str) else data for name, data in files.items()}
        self.asked: list[str] = []
        self.options: Mapping[int, object] = {}
        """What is said in DHCP beside the address."""
        self.body = Body(MAC, 1, relay=None, uuid=None, serial="S1", pace=1.0)
        self.body.address, self.body.netmask, self.body.router = ME, 0xFFFFFF00, SERVER

    def boot(
        self, name: str, arch: str = "bios", reply: Reply | None = None, *, grub: str = "Debian", url: str = ""
    ) -> Outcome:
        """Run the program of that name."""
        voice = IPXE_BIOS if arch == "bios" else IPXE_EFI
        start = Start(arch, SERVER, name, reply or ack(file=name), None, voice, run_program, url, grub)
        return self.finish(run_program(self.body, start))

    def script(
        self, text: str, make: Callable[[Body, Start, Network, str, str], Steps[Outcome]], arch: str = "bios"
    ) -> Outcome:
        """Run an iPXE script."""
        told = ack(file="again${filename}")
        start = Start(arch, SERVER, "", told, None, IPXE_BIOS if arch == "bios" else IPXE_EFI, run_program)
        return self.finish(make(self.body, start, Network(told, None, None), "http://10.0.0.1/dir/boot.ipxe", text))

    def finish(self, steps: Steps[Outcome]) -> Outcome:
        """Its outcome; what it raises is raised."""
        self._sending: tuple[bytes, int] = (b"", 0)
        heard: list[SimDatagram | tuple[int, HttpReply] | None] = [None]
        until = 0.0
        try:
            while True:
                for one in heard:
                    until = steps.send(one)
                heard = [answer for answer in map(self._answer, self.body.said.sends) if answer is not None]
                heard += self._fetched()
                self.body.said.sends.clear()
                if not heard:
                    assert until - self.body.now < MAX_WAIT_S
                    self.body.now = max(until, self.body.now)
                    heard = [None]
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome

    def _fetched(self) -> list[tuple[int, HttpReply]]:
        fetches, self.body.said.fetches = self.body.said.fetches, []
        found = []
        for fetch in fetches:
            self.asked.append(fetch.url)
            data = self.files.get(fetch.url)
            status = 200 if data is not None else 404
            data = data or b""
            headers = (("Content-Length", str(len(data))),)
            found.append((fetch.id, HttpReply(status, headers, len(data), data)))
        return found

    def _answer(self, send: ClientSend) -> SimDatagram | None:
        if send.to_port == 67:
            return self._dhcp(send)
        said = parse_tftp(send.payload)
        port = send.from_port
        if isinstance(said, Request):
            self.asked.append(said.filename)
            data = self.files.get(said.filename)
            if data is None:
                return SimDatagram(tftp_bytes(Error(ErrorCode.FILE_NOT_FOUND, "no")), SERVER, 3000, ME, port)
            blksize = int(dict(said.options).get("blksize", "512"))
            options = tuple((k, str(len(data)) if k == "tsize" else v) for k, v in said.options if k != "windowsize")
            self._sending = (data, blksize)
            if said.options:
                return SimDatagram(tftp_bytes(Oack(options)), SERVER, 3000, ME, port)
            said = Ack(0)
        if isinstance(said, Ack) and said.block * self._sending[1] <= len(self._sending[0]):
            data, blksize = self._sending
            block = Data(said.block + 1, data[said.block * blksize : (said.block + 1) * blksize])
            return SimDatagram(tftp_bytes(block), SERVER, 3000, ME, port)
        return None

    def _dhcp(self, send: ClientSend) -> SimDatagram:
        said = parse(send.payload)
        self.asked.append(f"dhcp {said.message_type}")
        told = ack({**self.options, OptionCode.MESSAGE_TYPE: 2 if said.message_type == 1 else 5}).message
        return SimDatagram(serialize(replace(told, xid=said.xid)), SERVER, 67, 0xFFFFFFFF, 68)

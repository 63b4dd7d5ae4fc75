"""Captures of talks that are put together word by word: who says what, and when, in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from pxenet.capture import dissect
from pxenet.capture.boots import Boot, Capture, HttpRequest, Transfer
from pxenet.capture.frames import ETHERNET
from pxenet.capture.made import Conversation, End, Frame, hardware_of, udp_frame
from pxenet.wire import dhcp, tftp
from pxenet.wire.iana import MessageType
from pxenet.wire.iana import OptionCode as Code
from pxenet.wire.options import Options

MS = 1_000_000
MAC = bytes.fromhex("525400123456")
SERVER_MAC = bytes.fromhex("020000000001")
CLIENT, SERVER, OTHER_SERVER, RELAY = 0x0A000005, 0x0A000001, 0x0A000002, 0x0A0000FE
TID = 40000

OPTION_55 = bytes(
    (1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 66, 67, 97)
)
EDK2 = {
    Code.VENDOR_CLASS: "PXEClient:Arch:00007:UNDI:003016",
    Code.PARAMETER_LIST: tuple(OPTION_55),
    Code.ARCHITECTURE: (7,),
}
ROM = {Code.VENDOR_CLASS: "PXEClient:Arch:00000:UNDI:002001", Code.ARCHITECTURE: (0,)}
UDHCPC = {Code.VENDOR_CLASS: "udhcp 1.35.0"}
IPXE = {Code.USER_CLASS: b"iPXE", Code.IPXE: bytes((0xEB, 3, 1, 21, 1)), Code.ARCHITECTURE: (7,)}


@dataclass
class Talk:
    """What goes over the wire; ``now`` is the time of the next packet in nanoseconds, and a millisecond passes with each."""

    frames: list[Frame] = field(default_factory=list)
    now: int = 1_700_000_000 * 10**9

    def wait(self, seconds: float) -> Talk:
        """Nothing happens."""
        self.now += round(seconds * 10**9)
        return self

    def add(self, *frames: Frame) -> Talk:
        """Frames as they are."""
        self.frames += frames
        self.now += MS
        return self

    # -- DHCP ---------------------------------------------------------------------------------------------------------------

    def dhcp(
        self, kind: MessageType, *, mac: bytes = MAC, xid: int = 1, says: dict[Code, object] | None = None,
        yiaddr: int = 0, server: int = 0, giaddr: int = 0, port: int = 67, ciaddr: int = 0,
    ) -> Talk:  # fmt: skip
        """A message of the machine's, or of ``server``."""
        options: dict[int, object] = {Code.MESSAGE_TYPE: kind, **(says or {})}
        if server:
            options |= {Code.SERVER_ID: server, Code.LEASE_TIME: 3600} if yiaddr else {Code.SERVER_ID: server}
        message = dhcp.Message(
            2 if server else 1, xid=xid, chaddr=mac.ljust(16, b"\0"), yiaddr=yiaddr, giaddr=giaddr, ciaddr=ciaddr,
            options=Options.build(options),
        )  # fmt: skip
        machine = End(ciaddr, 68, mac)
        if server:
            source, target = End(server, port, hardware_of(server)), End(0xFFFFFFFF, 68, b"\xff" * 6)
        else:
            source, target = machine, End(SERVER if port == 4011 else 0xFFFFFFFF, port, b"\xff" * 6)
        if giaddr:
            relay = End(giaddr, 67, hardware_of(giaddr))
            source, target = (source, relay) if server else (relay, End(SERVER, 67, SERVER_MAC))
        return self.add(udp_frame(self.now, source, target, dhcp.serialize(message)))

    def lease(
        self, says: dict[Code, object], *, mac: bytes = MAC, address: int = CLIENT, xid: int = 1, server: int = SERVER,
        giaddr: int = 0,
    ) -> Talk:  # fmt: skip
        """DISCOVER to ACK."""
        who = {"mac": mac, "xid": xid, "giaddr": giaddr}
        self.dhcp(MessageType.DISCOVER, says=says, **who)  # type: ignore[arg-type]
        self.dhcp(MessageType.OFFER, yiaddr=address, server=server, **who)  # type: ignore[arg-type]
        self.dhcp(MessageType.REQUEST, says=says, **who)  # type: ignore[arg-type]
        return self.dhcp(MessageType.ACK, yiaddr=address, server=server, **who)  # type: ignore[arg-type]

    # -- TFTP ---------------------------------------------------------------------------------------------------------------

    def up(
        self, said: tftp.Packet, *, port: int = 2000, tid: int = TID, address: int = CLIENT, mac: bytes = MAC
    ) -> Talk:
        """The client says it; a request to port 69."""
        to = 69 if isinstance(said, tftp.Request) else tid
        source, target = End(address, port, mac), End(SERVER, to, SERVER_MAC)
        return self.add(udp_frame(self.now, source, target, tftp.serialize(said)))

    def down(
        self, said: tftp.Packet, *, port: int = 2000, tid: int = TID, address: int = CLIENT, mac: bytes = MAC
    ) -> Talk:
        """The server does."""
        source, target = End(SERVER, tid, SERVER_MAC), End(address, port, mac)
        return self.add(udp_frame(self.now, source, target, tftp.serialize(said)))

    def block(self, number: int, size: int = 512) -> Talk:
        """DATA."""
        return self.down(tftp.Data(number, bytes((number & 0xFF,)) * size))

    def ack(self, number: int) -> Talk:
        """ACK."""
        return self.up(tftp.Ack(number))

    def rrq(self, name: str = "file", *options: tuple[str, str]) -> Talk:
        """A read request."""
        return self.up(tftp.Request(tftp.OpCode.RRQ, name, options=options))

    # -- HTTP ---------------------------------------------------------------------------------------------------------------

    def http(self, port: int = 5000, *, address: int = CLIENT, mac: bytes = MAC) -> Conversation:
        """A connection; what it makes is to be added."""
        return Conversation(End(address, port, mac), End(SERVER, 80, SERVER_MAC))

    # -- what it comes to -----------------------------------------------------------------------------------------------------

    def capture(self) -> Capture:
        """Dissected."""
        return dissect.dissect(
            (frame.at_ns, 0, ETHERNET, frame.data, 0, len(frame.data), frame.length) for frame in self.frames
        )

    def boot(self) -> Boot:
        """The only one."""
        (boot,) = self.capture().boots
        return boot

    def transfer(self) -> Transfer:
        """The only one."""
        (found,) = self.boot().tftp
        return found

    def request(self) -> HttpRequest:
        """The only one."""
        (found,) = self.boot().http
        return found

"""A stage for scripts about the DHCP engine: messages as clients send them, and what the engine does said in one line each.

A line is ``OFFER 10.0.0.7 to 10.0.0.7:68 frame 52:54:00:00:00:01``, ``NAK to 255.255.255.255:68``, ``write 10.0.0.7 bound``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pxenet.engine.dhcp import BootChooser, DhcpServer, DhcpSettings, Subnet
from pxenet.engine.surface import Blocks, Output
from pxenet.model import BootClient, BootFile, ClientKind, Host, Lease, Verdict
from pxenet.net.datagram import Datagram, Interface, Send, pack_peer, peer_text
from pxenet.wire.dhcp import FLAG_BROADCAST, Message, parse, serialize
from pxenet.wire.iana import BOOTREQUEST, MessageType, OptionCode, message_type_name
from pxenet.wire.options import Options
from pxenet.wire.text import address_text, mac_text, parse_address, parse_mac

A = parse_address
MAC1 = parse_mac("52:54:00:00:00:01")
MAC2 = parse_mac("52:54:00:00:00:02")
MAC3 = parse_mac("52:54:00:00:00:03")
SERVER = A("10.0.0.1")
RELAY = A("10.5.0.1")
ETH0 = Interface(2, "eth0", parse_mac("02:00:00:00:00:01"), ((SERVER, 24),))
LAN = Subnet(
    network=A("10.0.0.0"),
    prefix=24,
    pools=((A("10.0.0.100"), A("10.0.0.199")),),
    routers=(A("10.0.0.254"),),
    dns=(A("10.0.0.53"), A("10.0.0.54")),
    domain="rack.example",
    lease_s=3600,
)
FAR = Subnet(network=A("10.5.0.0"), prefix=24, pools=((A("10.5.0.100"), A("10.5.0.199")),), lease_s=7200)
SETTINGS = DhcpSettings(subnets=(LAN, FAR))
BIOS_CLASS = "PXEClient:Arch:00000:UNDI:002001"
X64_CLASS = "PXEClient:Arch:00007:UNDI:003016"
HTTP_CLASS = "HTTPClient:Arch:00016:UNDI:003001"


def message(
    kind: MessageType | None,
    mac: bytes = MAC1,
    options: Mapping[int, object] | None = None,
    *,
    xid: int = 0x1234,
    ciaddr: int = 0,
    giaddr: int = 0,
    broadcast: bool = False,
    htype: int = 1,
) -> Message:
    """A client's message; option 53 in front, typed values encoded by the table."""
    values: dict[int, object] = {} if kind is None else {OptionCode.MESSAGE_TYPE: kind}
    return Message(
        op=BOOTREQUEST,
        htype=htype,
        hlen=len(mac),
        xid=xid,
        flags=FLAG_BROADCAST if broadcast else 0,
        ciaddr=ciaddr,
        giaddr=giaddr,
        chaddr=mac.ljust(16, b"\0"),
        options=Options.build(values | dict(options or {})),
    )


def discover(mac: bytes = MAC1, options: Mapping[int, object] | None = None, **header: int) -> Message:
    """DISCOVER."""
    return message(MessageType.DISCOVER, mac, options, **header)  # type: ignore[arg-type]


def select(address: int, mac: bytes = MAC1, server: int = SERVER, **header: int) -> Message:
    """REQUEST in SELECTING: the offer of ``server`` is taken."""
    options = {OptionCode.REQUESTED_ADDRESS: address, OptionCode.SERVER_ID: server}
    return message(MessageType.REQUEST, mac, options, **header)  # type: ignore[arg-type]


def reboot(address: int, mac: bytes = MAC1, **header: int) -> Message:
    """REQUEST in INIT-REBOOT: may I go on with this address?"""
    return message(MessageType.REQUEST, mac, {OptionCode.REQUESTED_ADDRESS: address}, **header)  # type: ignore[arg-type]


def renew(address: int, mac: bytes = MAC1, **header: int) -> Message:
    """REQUEST in RENEWING or REBINDING, which differ only in how they are sent."""
    return message(MessageType.REQUEST, mac, ciaddr=address, **header)  # type: ignore[arg-type]


def release(address: int, mac: bytes = MAC1, server: int = SERVER) -> Message:
    """RELEASE."""
    return message(MessageType.RELEASE, mac, {OptionCode.SERVER_ID: server}, ciaddr=address)


def decline(address: int, mac: bytes = MAC1, server: int = SERVER) -> Message:
    """DECLINE."""
    options = {OptionCode.REQUESTED_ADDRESS: address, OptionCode.SERVER_ID: server}
    return message(MessageType.DECLINE, mac, options)


def pxe(mac: bytes = MAC1, vendor_class: str = BIOS_CLASS, arch: int = 0, **more: object) -> Message:
    """The DISCOVER of a boot client."""
    kind = more.pop("kind", MessageType.DISCOVER)
    assert isinstance(kind, MessageType)
    options = {OptionCode.VENDOR_CLASS: vendor_class, OptionCode.ARCHITECTURE: (arch,)}
    extra = more.pop("options", {})
    assert isinstance(extra, dict)
    return message(kind, mac, options | extra, **more)  # type: ignore[arg-type]


def boots(client: BootClient, server: int, proxied: bool) -> BootFile:
    """A chooser: every boot client has a file, an operating system has none."""
    if client.kind is ClientKind.OTHER:
        return BootFile(reason="operating-system")
    if client.platform is None:
        return BootFile(reason="unknown-arch")
    if client.kind is ClientKind.HTTP:
        return BootFile(url=f"http://{address_text(server)}/x64/ipxe.efi", reason="http-loader")
    return BootFile(path=f"{client.platform.value}/loader", reason="loader")


def nothing(client: BootClient, server: int, proxied: bool) -> BootFile:
    """A chooser without a file for anybody."""
    return BootFile(reason="installed", detail="it has its own disk")


class Scene:
    """An engine, a store that obeys, and a wire that is written down."""

    def __init__(
        self,
        settings: DhcpSettings = SETTINGS,
        *,
        boot: BootChooser = boots,
        hosts: Iterable[Host] = (),
        leases: Iterable[Lease] = (),
        interfaces: tuple[Interface, ...] = (ETH0,),
    ) -> None:
        by_mac = {mac: host for host in hosts for mac in host.macs}
        self.server = DhcpServer(settings, interfaces, boot, lambda client: by_mac.get(client.mac), leases)
        self.verdict: Verdict | None = Verdict.DURABLE
        """What the store says of every commit at once; None: it has not answered yet (see :meth:`settle`)."""
        self.waiting: list[int] = []
        self.outputs: list[Output] = []

    def hear(
        self,
        said: Message | bytes,
        now: float = 0.0,
        *,
        source: int | None = None,
        source_port: int | None = None,
        port: int = 67,
        unicast: bool = False,
        interface: int = 2,
    ) -> list[str]:
        """The engine hears a message; what it does."""
        data = said if isinstance(said, bytes) else serialize(said)
        if isinstance(said, bytes):
            address, asked_from = source or 0, 68
        else:
            address = source if source is not None else said.giaddr or said.ciaddr
            asked_from = 67 if said.giaddr else 68
        peer = pack_peer(address, source_port or asked_from)
        broadcast = not unicast and not (not isinstance(said, bytes) and said.giaddr)
        datagram = Datagram(data, peer, SERVER, port, interface, broadcast)
        return self._follow(self.server.receive([datagram], now), now)

    def settle(self, verdict: Verdict, now: float = 0.0) -> list[str]:
        """The store answers the oldest commit that waits."""
        return self._follow(self.server.committed(self.waiting.pop(0), verdict, now), now)

    def reconfigure(self, settings: DhcpSettings, now: float = 0.0) -> list[str]:
        """Other settings from now on; what the engine does."""
        return self._follow(self.server.reconfigure(settings, now), now)

    def sent(self) -> list[Message]:
        """Every answer so far."""
        return [parse(payload_of(send)) for out in self.outputs for send in sends_of(out)]

    def events(self) -> list[str]:
        """The kinds of all events so far."""
        return [event.kind for out in self.outputs for event in out.events]

    def sightings(self) -> list[tuple[str, int]]:
        """Evidence and address of all sightings so far."""
        return [(sighting.evidence, sighting.address) for out in self.outputs for sighting in out.sightings]

    def _follow(self, out: Output, now: float) -> list[str]:
        self.outputs.append(out)
        lines = [line_of(send) for send in sends_of(out)]
        for commit in out.commits:
            for change in commit.changes:
                assert isinstance(change, Lease)
                lines.append(f"write {address_text(change.address)} {change.state.value}")
            if commit.id and self.verdict is None:
                self.waiting.append(commit.id)
            elif commit.id and self.verdict is not None:
                lines += self._follow(self.server.committed(commit.id, self.verdict, now), now)
        return lines


def sends_of(out: Output) -> list[Send]:
    """The datagrams of an output; this engine sends nothing else."""
    found = [send for send in out.sends if not isinstance(send, Blocks)]
    assert len(found) == len(out.sends)
    return found


def payload_of(send: Send) -> bytes:
    """What the datagram carries."""
    return b"".join(bytes(part) for part in send.parts)


def line_of(send: Send) -> str:
    """An answer in one line."""
    answer = parse(payload_of(send))
    yiaddr = f" {address_text(answer.yiaddr)}" if answer.yiaddr else ""
    frame = f" frame {mac_text(send.hardware)}" if send.hardware is not None else ""
    return f"{message_type_name(answer.message_type)}{yiaddr} to {peer_text(send.to)}{frame}"


def with_subnet(settings: DhcpSettings = SETTINGS, **changes: object) -> DhcpSettings:
    """The settings with the first subnet changed."""
    first, *others = settings.subnets
    return replace(settings, subnets=(replace(first, **changes), *others))  # type: ignore[arg-type]

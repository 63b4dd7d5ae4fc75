"""A capture taken apart into boots: what each machine said and was told, step by step, in order of time.

    read(path) -> Capture              all boots of a file
    boots(reader) -> Iterator[Boot]    each as soon as it has ended: memory is bounded by those that are open
    dissect(records) -> Capture        of packets from anywhere

The values are in ``boots``. Here is what hands packets to whom they concern: DHCP to ``machines``, TFTP to ``transfers``, TCP to
``web``; and most of all to what ``flows`` knows already, which skims DATA, ACKs and the bodies of files without making values of
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pxenet.capture import frames
from pxenet.capture.boots import ArpStep, Boot, Capture, Counts, Damage, DhcpStep, PacketRef
from pxenet.capture.fingerprints import http_sign, tftp_sign
from pxenet.capture.flows import ConnectionSide, Flows, StrangerSide, TransferSide, flow_key, may_begin, reverse_key
from pxenet.capture.fragments import Fragments
from pxenet.capture.frames import ACK, ETHERNET, RST, SYN, TCP, Arp, Fragment, Packet, TruncatedError
from pxenet.capture.machines import Machines, OpenBoot
from pxenet.capture.reading import CaptureReader, Record, open_capture
from pxenet.capture.transfers import OpenTransfer
from pxenet.capture.web import Connection, OpenRequest
from pxenet.wire import dhcp, tftp
from pxenet.wire.reader import WireError

MAX_DAMAGE = 1000
"""So many damaged packets are named; all are counted."""
MAX_WAITING = 65536
"""TFTP requests without an answer that are remembered."""

Progress = Callable[[int, int | None], None]
"""How many bytes of the file have been read, and of how many; None for a pipe."""

_DHCP_PORTS = frozenset({67, 68, 4011})
_TFTP_PORT = 69
_PROGRESS_PACKETS = 1 << 15


def read(path: Path, progress: Progress | None = None) -> Capture:
    """The boots in a pcap or pcapng file, packed by gzip or not; ``-`` is standard input. CaptureError, OSError: ``open_capture``."""
    with open_capture(path) as reader:
        work = Dissection(reader)
        found = sorted(work.boots(progress), key=lambda boot: boot.steps[0].ref.number)
        return Capture(work.began_at_ns or 0, tuple(found), tuple(work.damage), work.counts(), work.ended_at_ns)


def boots(reader: CaptureReader, progress: Progress | None = None) -> Iterator[Boot]:
    """Each boot when it has ended: another power-on, long silence, or the end of the capture."""
    return Dissection(reader).boots(progress)


def dissect(records: Iterable[Record]) -> Capture:
    """The boots in a row of packets."""
    work = Dissection(records)
    found = sorted(work.boots(), key=lambda boot: boot.steps[0].ref.number)
    return Capture(work.began_at_ns or 0, tuple(found), tuple(work.damage), work.counts(), work.ended_at_ns)


class Dissection:
    """One capture on its way. ``skimming`` False: every packet goes the plain way (to compare both)."""

    def __init__(self, records: Iterable[Record], *, skimming: bool = True) -> None:
        self.began_at_ns: int | None = None
        """Time of the first packet."""
        self.ended_at_ns = 0
        """Time of the last one."""
        self.damage: list[Damage] = []
        self._records = records
        self._reader = records if isinstance(records, CaptureReader) else None
        self._skimming = skimming
        self._machines = Machines()
        self._flows = Flows()
        self._fragments = Fragments()
        self._waiting: dict[bytes, tuple[OpenBoot, OpenTransfer, bytes]] = {}  # client's address and port → … request
        self._packets = self._bytes = self._other = self._malformed = self._truncated = 0

    def boots(self, progress: Progress | None = None) -> Iterator[Boot]:
        """Runs through the packets; boots come when they have ended."""
        skims = self._flows.skims if self._skimming else {}
        closed = self._machines.closed
        number = recorded = at_ns = 0
        for record in self._records:
            at_ns, _, link, buffer, start, end, wire = record
            number += 1
            recorded += end - start
            if link == ETHERNET:
                skim = skims.get(buffer[start + 26 : start + 38])
                if skim is not None and skim(buffer, start, end, wire, at_ns, number):
                    continue
            self._packets, self._bytes = number, recorded
            self._plain(number, record)
            if closed:
                yield from self._ended()
            if progress and self._reader and not number % _PROGRESS_PACKETS:
                progress(self._reader.read_bytes, self._reader.total_bytes)
        self._packets, self._bytes, self.ended_at_ns = number, recorded, at_ns
        self._fragments.finish()
        self._machines.finish()
        yield from self._ended()
        if self._reader is not None:
            if self._reader.damage is not None:
                self.damage.append(self._reader.damage)
            if progress:
                progress(self._reader.read_bytes, self._reader.total_bytes)

    def counts(self) -> Counts:
        """What was read so far."""
        return Counts(
            self._packets, self._bytes, self._malformed, self._truncated, self._other + self._flows.passed_by,
            self._fragments.dropped, self._machines.closed_early,
        )  # fmt: skip

    def _ended(self) -> Iterator[Boot]:
        closed = self._machines.closed
        while closed:
            boot = closed.pop(0)
            for connection in self._flows.drop(boot):
                connection.finish()
            boot.closed = True
            for client in boot.asking:
                del self._waiting[client]
            if boot.steps:
                yield boot.freeze()

    # -- packets ------------------------------------------------------------------------------------------------------------

    def _plain(self, number: int, record: Record) -> None:
        at_ns, interface, link, buffer, start, end, wire = record
        if self.began_at_ns is None:
            self.began_at_ns = at_ns
        self._machines.sweep(at_ns)
        try:
            found = frames.decode(buffer[start:end], link, wire)
            if isinstance(found, Fragment):
                found = self._fragments.take(found, at_ns)
            taken = found is not None and self._take(PacketRef(number, at_ns, interface), found)
        except WireError as error:
            cut = isinstance(error, TruncatedError)
            self._truncated += cut
            self._malformed += not cut
            if len(self.damage) < MAX_DAMAGE:
                offset = self._reader.offset(start) if self._reader is not None else 0
                self.damage.append(Damage(number, at_ns, offset, str(error), cut))
            return
        self._other += not taken

    def _take(self, ref: PacketRef, found: Packet | Arp) -> bool:
        """False: it is no part of a boot."""
        if isinstance(found, Arp):
            return self._machines.arp(_arp_step(ref, found))
        if found.protocol == TCP:
            return self._tcp(ref, found)
        side = self._flows.sides.get(flow_key(found))
        if found.destination_port == _TFTP_PORT and (side is None or found.payload[:2] in (b"\0\1", b"\0\2")):
            return self._request(ref, found)
        if isinstance(side, TransferSide):
            return _transfer_packet(ref, found, side)
        client = _end(found.version, found.destination, found.destination_port)
        if client in self._waiting:
            return self._answer(ref, found, client)
        if found.version == 4 and {found.source_port, found.destination_port} & _DHCP_PORTS:
            if found.cut_bytes:
                raise TruncatedError(len(found.payload), "DHCP", f"the recorder left out {found.cut_bytes} bytes of it")
            self._machines.dhcp(DhcpStep(ref, found, dhcp.parse(found.payload)))
            return True
        return False

    # -- TFTP ---------------------------------------------------------------------------------------------------------------

    def _request(self, ref: PacketRef, packet: Packet) -> bool:
        said = tftp.parse(packet.payload)
        if not isinstance(said, tftp.Request):
            return False
        client = _end(packet.version, packet.source, packet.source_port)
        before = self._waiting.get(client)
        if before is not None:
            boot, transfer, server = before
            if not (transfer.begun or boot.closed) and transfer.packet.payload == packet.payload:
                transfer.again(ref)
                return True
            if server:
                self._flows.drop_keys(boot, (server, reverse_key(server)))
            self._forget(client)
        boot = self._machines.who(packet, ref.at_ns)
        transfer = OpenTransfer(ref, packet, said)
        boot.add(transfer)
        boot.loaded = said.filename
        sign = tftp_sign(said)
        if sign:
            boot.sign(sign, ref.number)
        self._waiting[client] = (boot, transfer, b"")
        boot.asking[client] = None
        if len(self._waiting) > MAX_WAITING:
            self._forget(next(iter(self._waiting)))
        return True

    def _forget(self, client: bytes) -> None:
        del self._waiting.pop(client)[0].asking[client]

    def _answer(self, ref: PacketRef, packet: Packet, client: bytes) -> bool:
        """The first packet to a client that asked."""
        boot, transfer, _ = self._waiting[client]
        if transfer.agreed or boot.closed:
            return False  # from another port than the one that answered first
        said = tftp.parse(packet.payload)
        transfer.begin(ref, said, packet.source_port)
        key = flow_key(packet)
        self._waiting[client] = (boot, transfer, key)
        answers, asks = TransferSide(boot, transfer, False), TransferSide(boot, transfer, True)
        self._flows.put(key, answers, boot)
        self._flows.put(reverse_key(key), asks, boot)
        return _transfer_packet(ref, packet, answers) if isinstance(said, tftp.Data | tftp.Ack) else True

    # -- TCP ----------------------------------------------------------------------------------------------------------------

    def _tcp(self, ref: PacketRef, packet: Packet) -> bool:
        key = flow_key(packet)
        side = self._flows.sides.get(key)
        begins = packet.flags & (SYN | ACK | RST) == SYN
        if isinstance(side, ConnectionSide) and not (begins and side.boot is not None):
            side.connection.take(ref, packet, side.from_client)
            if side.boot is None and side.from_client and side.connection.requests.lost:
                self._flows.put(key, StrangerSide(self._flows), None)  # it does not speak HTTP
                self._flows.put(reverse_key(key), StrangerSide(self._flows), None)
            return side.boot is not None
        if isinstance(side, ConnectionSide):  # a port used again
            side.connection.finish()
        elif not begins and not may_begin(packet.payload):
            if side is None:
                self._flows.put(key, StrangerSide(self._flows), None)
            return False
        client = self._connection(key)
        client.connection.take(ref, packet, True)
        return client.boot is not None

    def _connection(self, key: bytes) -> ConnectionSide:
        """The client's side of a new one, whose packets have this key."""

        def began(request: OpenRequest) -> None:
            boot = asks.boot or self._machines.who(request.packet, request.ref.at_ns)
            if asks.boot is None:
                asks.boot = answers.boot = boot
                self._flows.put(key, asks, boot)
                self._flows.put(reverse_key(key), answers, boot)
            boot.add(request)
            boot.loaded = request.target
            sign = http_sign(request.head)
            if sign:
                boot.sign(sign, request.ref.number)

        connection = Connection(began, self._flows.room)
        asks, answers = (ConnectionSide(self._flows, connection, by_client) for by_client in (True, False))
        self._flows.put(key, asks, None)
        self._flows.put(reverse_key(key), answers, None)
        return asks


def _transfer_packet(ref: PacketRef, packet: Packet, side: TransferSide) -> bool:
    said, transfer = tftp.parse(packet.payload), side.transfer
    if isinstance(said, tftp.Data):
        if side.from_client is transfer.reading:
            return False
        size = len(said.payload) + packet.cut_bytes
        transfer.data(ref.number, ref.at_ns, said.block, size, None if packet.cut_bytes else said.payload)
    elif isinstance(said, tftp.Ack):
        if side.from_client is not transfer.reading:
            return False
        transfer.ack(ref.number, ref.at_ns, said.block)
    else:
        transfer.other(ref, said, side.from_client)
    return True


def _end(version: int, address: int, port: int) -> bytes:
    return address.to_bytes(4 if version == 4 else 16, "big") + port.to_bytes(2, "big")


def _arp_step(ref: PacketRef, found: Arp) -> ArpStep:
    packet = Packet(
        found.sender, 0, found.target, 0, b"", 0, 4,
        found.sender_hardware, found.destination_hardware if found.request else found.target_hardware,
    )  # fmt: skip
    return ArpStep(ref, packet, found.request)

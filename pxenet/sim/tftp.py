"""Reading by TFTP as boot clients do: lock-step or windowed, each with its options, its patience and its faults.

Knows RFC 1350, 2347, 2348, 2349 and 7440 from the reader's side, and how the known clients depart from them (:data:`IPXE` to
:data:`RASPBERRY`; facts: client behaviour from source). Must not know what is read.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pxenet.sim.body import Body, BootError, Read, SimDatagram, Steps
from pxenet.wire.reader import WireError
from pxenet.wire.text import address_text
from pxenet.wire.tftp import Ack, Data, Error, ErrorCode, Oack, OpCode, Packet, Request, option_number, parse, serialize

TFTP_PORT = 69
_DATA = b"\0\3"


@dataclass(frozen=True, slots=True)
class Traits:
    """How one kind of client reads. Sources are named at the instances."""

    name: str
    options: tuple[tuple[str, str], ...] = ()
    """In its RRQ, in its order."""
    retry_s: float = 1.0
    backs_off: bool = False
    """The time-out doubles."""
    longest_s: float = 10.0
    adds_s: float = 0.0
    """What is added to the time-out at each try."""
    tries: int = 6
    acks_own_number: bool = False
    """An old block is acknowledged by its own number instead of the newest in order."""
    each_gap: bool = False
    """Every block that cannot be used is answered with the last one in order; others do so once until there is progress."""
    needs_oack: bool = False
    refuses: int | None = None
    """The code of the ERROR with which an OACK is refused that grants what was not asked for, or more; None: such is tolerated."""
    any_blksize: tuple[int, int] | None = None
    """Block sizes taken in an OACK whatever was asked for."""
    ports: tuple[int, int] | None = (49152, 65535)
    """Source ports are counted up from the first of these; the same twice: one for all; None: a random one each."""
    abort: str = ""
    """The text of the ERROR with which it ends a transfer early."""


IPXE = Traits(
    "iPXE", (("blksize", "1432"), ("tsize", "0")), retry_s=0.25, backs_off=True, tries=8, ports=None
)  # net/udp/tftp.c; captured
PXELINUX = Traits(
    "PXELINUX", (("tsize", "0"), ("blksize", "1408")), retry_s=0.5, backs_off=True, longest_s=5.0, tries=8,
    refuses=ErrorCode.OPTION_REFUSED, any_blksize=(64, 2048),
)  # fmt: skip  # core/fs/pxe/tftp.c; captured
LPXELINUX = replace(PXELINUX, name="lpxelinux", ports=(49153, 49153))  # captured: one port for all requests of a boot
GRUB = Traits(
    "GRUB", (("blksize", "1024"), ("tsize", "0")), retry_s=0.4, adds_s=0.02, tries=40, acks_own_number=True, needs_oack=True,
    ports=(25300, 65535),
)  # fmt: skip  # grub-core/net/tftp.c; captured
EDK2 = Traits(
    "EDK2", (("blksize", "1468"), ("windowsize", "4")), retry_s=4.0, each_gap=True, refuses=ErrorCode.ILLEGAL_OPERATION,
    ports=(1849, 65535), abort="User aborted the transfer",
)  # fmt: skip  # Mtftp4Dxe; captured
EDK2_SIZE = replace(EDK2, name="EDK2 size probe", options=(("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")))
SHIM = replace(EDK2, name="shim", options=(("blksize", "512"), ("windowsize", "4")))  # the same driver, with 512
U_BOOT = Traits(
    "U-Boot", (("timeout", "5"), ("tsize", "0"), ("blksize", "1468")), retry_s=5.0, tries=10,
    refuses=ErrorCode.OPTION_REFUSED, ports=None,
)  # fmt: skip  # net/tftp.c
RASPBERRY = Traits("Raspberry Pi boot ROM", (), retry_s=5.0, tries=5, ports=(49152, 65535))  # facts: pxe.md §7


class TftpError(BootError):
    """The server refused, with an ERROR."""

    def __init__(self, name: str, error: Error) -> None:
        super().__init__(f"TFTP error {error.code} for {name}: {error.text}")
        self.code = error.code


@dataclass(slots=True)
class Got:
    """What was read."""

    size: int = 0
    tsize: int | None = None
    data: bytes = b""
    """The first bytes, as many as were to be kept."""


@dataclass(slots=True)
class _Transfer:
    """One read under way."""

    body: Body
    traits: Traits
    name: str
    server: int
    port: int
    keep: int
    got: Got = field(default_factory=Got)
    kept: list[bytes] = field(default_factory=list)
    tid: int = 0
    expected: int = 1
    blksize: int = 512
    windowsize: int = 1
    since_ack: int = 0
    gap_told: bool = False
    tries: int = 0
    last: tuple[bytes, int] = (b"", TFTP_PORT)
    until: float = 0.0
    done: bool = False
    read: Read = field(default_factory=lambda: Read(0.0, "", ""))
    readable_bytes: int = 0

    def window(self, first: int, count: int, blksize: int, port: int, at: float) -> bytes | None:
        """Fast path: what ``_data`` does with each of these blocks, see ``body.Reading``; a test proves it equal."""
        expected = (self.expected, self.windowsize, self.blksize, self.tid, 0)
        if (first, count, blksize, port, self.since_ack) != expected or self.got.size < self.keep:
            return None
        body = self.body
        body.now = at
        self.got.size += count * blksize
        body.bytes_read += count * blksize
        self.expected += count
        self.gap_told = False
        ack = _acknowledgment(self)
        _wait(body, self)
        return ack


def source_port(body: Body, traits: Traits) -> int:
    """The port of the next request."""
    return body.next_port(*traits.ports) if traits.ports is not None else body.random.randrange(1024, 65536)


def read(body: Body, traits: Traits, server: int, name: str, keep: int = 0) -> Steps[Got]:
    """Read a file to its end. TftpError: the server refused it; BootError: it fell silent, or cannot be understood."""
    work = _start(body, traits, server, name, keep)
    try:
        return (yield from _read(body, work))
    except BootError as error:
        work.read.failure = str(error)
        raise
    finally:
        _ended(body, work)


def _ended(body: Body, work: _Transfer) -> None:
    work.read.size, work.read.ended_at = work.got.size, body.now
    if body.reading is work:
        body.reading = None


def _read(body: Body, work: _Transfer) -> Steps[Got]:
    server = work.server
    body.reading = work
    while not work.done:
        heard = yield work.until
        if heard is None:
            if body.now < work.until:
                continue  # told of a window meanwhile
            _again(body, work)
        elif isinstance(heard, SimDatagram) and heard.to_port == work.port and heard.from_address == server:
            if work.tid and heard.from_port != work.tid:
                continue  # iPXE, EDK2 and GRUB filter on the server's port
            payload = heard.payload
            # Fast path: nearly all that comes is DATA; tests prove that it equals the packet values.
            if payload[:2] == _DATA and len(payload) >= 4:
                _data(body, work, payload[2] << 8 | payload[3], payload, heard.from_port)
            else:
                _other(body, work, payload, heard.from_port)
    work.got.data = b"".join(work.kept)
    return work.got


def size_of(body: Body, traits: Traits, server: int, name: str) -> Steps[int]:
    """EDK2's question for the size: the OACK's tsize, and an ERROR 8 to end the transfer (``PxeBcTftpGetFileSize``; captured)."""
    work = _start(body, traits, server, name, 0)
    try:
        size = yield from _size_of(body, work)
        work.got.size = size
        return size
    except BootError as error:
        work.read.failure = str(error)
        raise
    finally:
        _ended(body, work)


def _size_of(body: Body, work: _Transfer) -> Steps[int]:
    traits, server, name = work.traits, work.server, work.name
    while True:
        heard = yield work.until
        if heard is None:
            _again(body, work)
            continue
        if not isinstance(heard, SimDatagram) or heard.to_port != work.port or heard.from_address != server:
            continue
        packet = _parse(heard.payload)
        if isinstance(packet, Error):
            raise TftpError(name, packet)
        if isinstance(packet, Oack):
            _check(body, work, packet, heard.from_port)
            body.send(serialize(Error(ErrorCode.OPTION_REFUSED, traits.abort)), server, heard.from_port, work.port)
            if work.got.tsize is None:
                raise BootError(f"PXE-E23: the server does not tell the size of {name}")
            return work.got.tsize
        if isinstance(packet, Data):
            refusal = Error(ErrorCode.ILLEGAL_OPERATION, "User aborted the transfer")
            body.send(serialize(refusal), server, heard.from_port, work.port)
            raise BootError(f"PXE-E23: DATA instead of an OACK when asked for the size of {name}")


def exists(body: Body, traits: Traits, server: int, name: str) -> Steps[bool]:
    """Take the first block and end the transfer, as the Raspberry Pi's ROM tests for a file (facts: pxe.md §7)."""
    work = _start(body, traits, server, name, 0)
    while True:
        heard = yield work.until
        if heard is None:
            _again(body, work)
        elif isinstance(heard, SimDatagram) and heard.to_port == work.port and heard.from_address == server:
            packet = _parse(heard.payload)
            if isinstance(packet, Error):
                work.read.failure = f"TFTP error {packet.code} for {name}: {packet.text}"
                _ended(body, work)
                return False
            if isinstance(packet, Data):
                _ended(body, work)
                body.send(serialize(Error(0, traits.abort)), server, heard.from_port, work.port)
                return True


def _start(body: Body, traits: Traits, server: int, name: str, keep: int) -> _Transfer:
    if not server:
        raise BootError(f"no server to read {name} from: the answer names none (siaddr)")
    options = body.manners.tftp.get(traits.name)
    if options is not None and options != traits.options:
        traits = replace(traits, options=options)
    work = _Transfer(body, traits, name, server, source_port(body, traits), keep)
    work.read = body.asks(Read(body.now, traits.name, f"tftp://{address_text(server)}/{name}", asked=traits.options))
    body.file = name
    try:
        request = Request(OpCode.RRQ, name, "octet", traits.options)
    except WireError as error:
        raise BootError(f"{traits.name} cannot ask for {name!r}: {error}") from error
    _say(body, work, request, TFTP_PORT)
    return work


def _say(body: Body, work: _Transfer, packet: Packet, port: int) -> None:
    work.last = (serialize(packet), port)
    work.tries = 0
    body.send(*_addressed(work))
    _wait(body, work)


def _addressed(work: _Transfer) -> tuple[bytes, int, int, int]:
    return work.last[0], work.server, work.last[1], work.port


def _wait(body: Body, work: _Transfer) -> None:
    traits = work.traits
    pause = traits.retry_s * (1 << work.tries if traits.backs_off else 1) + traits.adds_s * work.tries
    work.until = body.now + min(pause, traits.longest_s)


def _again(body: Body, work: _Transfer) -> None:
    """Silence: say the last thing again, until patience ends."""
    work.tries += 1
    body.retries += 1
    if work.tries > work.traits.tries:
        raise BootError(f"{work.traits.name}: time-out while reading {work.name} (block {work.expected})")
    work.gap_told = False
    body.send(*_addressed(work))
    _wait(body, work)


def _parse(payload: bytes) -> Packet | None:
    try:
        return parse(payload)
    except WireError:
        return None


def _other(body: Body, work: _Transfer, payload: bytes, port: int) -> None:
    packet = _parse(payload)
    if isinstance(packet, Error):
        raise TftpError(work.name, packet)
    if isinstance(packet, Oack) and work.expected == 1 and not work.since_ack:
        _check(body, work, packet, port)
        work.tid = port
        _say(body, work, Ack(0), port)


def _check(body: Body, work: _Transfer, packet: Oack, port: int) -> None:
    """Take over what was granted; refuse, with an ERROR, what this client does not take."""
    work.read.granted = packet.options
    asked = {name.lower(): value for name, value in work.traits.options}
    for spelled, value in packet.options:
        name, number = spelled.lower(), option_number(value)
        if not _granted(work.traits, asked, name, number):
            if work.traits.refuses is None:
                continue
            refusal = Error(work.traits.refuses, "option not asked for, or out of range")
            body.send(serialize(refusal), work.server, port, work.port)
            raise BootError(f"{work.traits.name} refuses the OACK for {work.name}: {spelled}={value} was not asked for")
        if name == "blksize":
            work.blksize = number or 512
        elif name == "windowsize":
            work.windowsize = number or 1
        elif name == "tsize":
            work.got.tsize = number


def _granted(traits: Traits, asked: dict[str, str], name: str, number: int | None) -> bool:
    if name not in asked or number is None:
        return False
    if name == "blksize" and traits.any_blksize is not None:
        return traits.any_blksize[0] <= number <= traits.any_blksize[1]
    if name in ("blksize", "windowsize"):
        return 0 < number <= int(asked[name])
    return name != "timeout" or number == int(asked[name])


def _data(body: Body, work: _Transfer, block: int, payload: bytes, port: int) -> None:
    if not work.tid:
        if block != 1:
            return  # of an earlier transfer from the same port
        if work.traits.needs_oack:
            raise BootError(f"{work.traits.name} wants an OACK for {work.name}, and got DATA")
        work.tid = port
    size = len(payload) - 4
    if size > work.blksize:
        raise BootError(f"{work.traits.name}: a block of {size} bytes in {work.name}, {work.blksize} were agreed")
    if block != work.expected & 0xFFFF:
        _out_of_order(body, work, block)
        return
    if work.got.size < work.keep:
        work.kept.append(payload[4 : 4 + work.keep - work.got.size])
    work.got.size += size
    body.bytes_read += size
    work.expected += 1
    work.since_ack += 1
    work.gap_told = False
    work.done = size < work.blksize
    if work.done or work.since_ack >= work.windowsize:
        _ack(body, work)
    else:
        work.tries = 0
        _wait(body, work)


def _out_of_order(body: Body, work: _Transfer, block: int) -> None:
    old = 0 < (work.expected - block) & 0xFFFF < 0x8000
    if work.traits.each_gap:
        _ack(body, work)
    elif old and work.windowsize == 1:
        number = block if work.traits.acks_own_number else work.expected - 1
        body.send(serialize(Ack(number & 0xFFFF)), work.server, work.tid, work.port)
    elif work.windowsize > 1 and not work.gap_told:
        work.gap_told = True  # U-Boot: once per place, for old blocks too
        _ack(body, work)


def _ack(body: Body, work: _Transfer) -> None:
    _acknowledgment(work)
    body.send(*_addressed(work))
    _wait(body, work)


def _acknowledgment(work: _Transfer) -> bytes:
    work.since_ack = 0
    block = (work.expected - 1) & 0xFFFF
    work.last = (b"\0\4" + block.to_bytes(2, "big"), work.tid)
    work.tries = 0
    return work.last[0]

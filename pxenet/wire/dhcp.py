"""DHCP and BOOTP messages: bytes ↔ ``Message``.

     0       1       2       3
    +-------+-------+-------+-------+
    | op    | htype | hlen  | hops  |    0   op 1 from clients, 2 from servers
    +-------+-------+-------+-------+
    | xid                           |    4   the client's number for this conversation
    +---------------+---------------+
    | secs          | flags         |    8   flags: bit 15 = answer by broadcast
    +---------------+---------------+
    | ciaddr                        |   12   the client's address, if it has one and answers on it
    | yiaddr                        |   16   "your" address, given by the server
    | siaddr                        |   20   the next server: where the boot file is
    | giaddr                        |   24   the relay through which the message came
    +-------------------------------+
    | chaddr               16 bytes |   28   hardware address, hlen bytes of it
    | sname                64 bytes |   44   server name, or options (overload)
    | file                128 bytes |  108   boot file, or options (overload)
    +-------------------------------+
    | 63 82 53 63                   |  236   the cookie: what follows are options
    | options                       |  240
    +-------------------------------+

Knows the layout (RFC 951, RFC 2131 §2), overloading (RFC 2131 §4.1), joined options (RFC 3396), sizes (RFC 2131 §2, RFC 2132
§9.10). Must not know who answers what.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pxenet.wire.iana import OptionCode
from pxenet.wire.options import END, NO_OPTIONS, Defect, Options, read_options, split
from pxenet.wire.reader import WireError
from pxenet.wire.shapes import show

# op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file
HEADER = struct.Struct("!4B I HH 4I 16s 64s 128s")

COOKIE = b"\x63\x82\x53\x63"

_OPTIONS_AT = HEADER.size + len(COOKIE)
_SNAME_AT, _FILE_AT, _COOKIE_AT = 44, 108, HEADER.size

FLAG_BROADCAST = 0x8000

MIN_BYTES = 300
"""The shortest message ever sent: BOOTP has 64 bytes of vendor area (RFC 951), and U-Boot drops anything shorter."""
DEFAULT_MAX_BYTES = 548
"""What every client has to accept: an IP datagram of 576 bytes (RFC 2131 §2), less 28 of IP and UDP headers."""
LARGEST_BYTES = 1472
"""An Ethernet frame's worth. EDK2 announces 65 280 and still drops what is longer than this."""

_NO_LIMIT = 1 << 30

_OVERLOAD_FILE = 1
_OVERLOAD_SNAME = 2

ESSENTIAL = frozenset(
    {
        OptionCode.SUBNET_MASK,  # EDK2 declines a lease without it
        OptionCode.ROUTERS,
        OptionCode.VENDOR_SPECIFIC,
        OptionCode.REQUESTED_ADDRESS,
        OptionCode.LEASE_TIME,
        OptionCode.OVERLOAD,
        OptionCode.MESSAGE_TYPE,
        OptionCode.SERVER_ID,
        OptionCode.VENDOR_CLASS,
        OptionCode.CLIENT_ID,
        OptionCode.TFTP_SERVER,
        OptionCode.BOOT_FILE,
        OptionCode.USER_CLASS,
        OptionCode.ARCHITECTURE,
        OptionCode.NIC,
        OptionCode.MACHINE_ID,
        OptionCode.CLASSLESS_ROUTES,
        OptionCode.IPXE,
        OptionCode.PXELINUX_MAGIC,
        OptionCode.CONFIG_FILE,
        OptionCode.PATH_PREFIX,
        OptionCode.REBOOT_TIME,
    }
)
"""Without these a message does not do its work, or the client boots something else. All others may go when space is short."""


@dataclass(frozen=True, slots=True)
class Message:
    """One DHCP or BOOTP message. Addresses are ints; what is constructed can be serialized (ValueError otherwise)."""

    op: int
    htype: int = 1
    hlen: int = 6
    hops: int = 0
    """How many relays it has passed."""
    xid: int = 0
    secs: int = 0
    """Seconds since the client began, as it says; iPXE uses the field for something else."""
    flags: int = 0
    ciaddr: int = 0
    yiaddr: int = 0
    siaddr: int = 0
    giaddr: int = 0
    chaddr: bytes = bytes(16)
    """All 16 bytes; a server copies them even beyond ``hlen``."""
    sname: bytes = b""
    """Without the NULs at its end; empty when the field held options."""
    file: bytes = b""
    """Like ``sname``. 128 bytes without any NUL are possible."""
    options: Options = NO_OPTIONS
    """Of all fields together. Keeps option 52 (overload), which lets ``serialize`` use ``file`` and ``sname`` again."""
    defects: tuple[Defect, ...] = ()
    """Damage met while parsing the options; says nothing when serialized."""
    vend: bytes | None = None
    """BOOTP's vendor area as it came, when it does not begin with the cookie (RFC 951); then there are no options."""

    def __post_init__(self) -> None:
        if self.hlen > 16 or len(self.chaddr) != 16:
            raise ValueError(f"chaddr has 16 bytes, of which hlen count: {self.chaddr.hex()}, {self.hlen}")
        if len(self.sname) > 64 or len(self.file) > 128:
            raise ValueError(f"sname holds 64 bytes, file 128: {self.sname!r}, {self.file!r}")
        overload = _overload(self.options)
        if (overload & _OVERLOAD_FILE and self.file) or (overload & _OVERLOAD_SNAME and self.sname):
            raise ValueError(f"option 52 ({overload}) gives file or sname to options, but they hold text")

    @property
    def hardware(self) -> bytes:
        """The hardware address: ``hlen`` bytes of chaddr."""
        return self.chaddr[: self.hlen]

    @property
    def broadcast(self) -> bool:
        """The client cannot take a unicast answer yet (RFC 2131 §4.1)."""
        return bool(self.flags & FLAG_BROADCAST)

    @property
    def message_type(self) -> int | None:
        """Option 53, an ``iana.MessageType`` where it has a name; None: BOOTP. A damaged 53 raises WireError."""
        return self.options.number(OptionCode.MESSAGE_TYPE)

    @property
    def boot_file(self) -> str:
        """``file`` as text, up to the first NUL."""
        return show(self.file.partition(b"\0")[0])

    @property
    def server_name(self) -> str:
        """``sname`` as text, up to the first NUL."""
        return show(self.sname.partition(b"\0")[0])


def payload_limit(max_message_size: int | None) -> int:
    """Bytes of UDP payload a client takes, from its option 57 (an IP datagram's size); None: it did not say.

    Never below 548, whatever it says (RFC 2132 §9.10), nor above 1472.
    """
    if max_message_size is None:
        return DEFAULT_MAX_BYTES
    return min(max(max_message_size - 28, DEFAULT_MAX_BYTES), LARGEST_BYTES)


def parse(data: bytes) -> Message:
    """The message in a UDP payload.

    WireError: it is no DHCP or BOOTP message at all. Damage within the options is not an error: they are read up to there, and
    ``defects`` tells where and why.
    """
    if len(data) < _OPTIONS_AT:
        raise WireError(len(data), "header", f"{len(data)} bytes, a message has {_OPTIONS_AT} or more")
    fields = HEADER.unpack_from(data)
    op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file = fields
    if op not in (1, 2):
        raise WireError(0, "op", f"{op} is neither request (1) nor reply (2)")
    if hlen > 16:
        raise WireError(2, "hlen", f"{hlen} bytes do not fit into chaddr")
    raw: dict[int, bytes] = {}
    defects: list[Defect] = []
    vend = None
    if data[_COOKIE_AT:_OPTIONS_AT] == COOKIE:
        used = _read_areas(data, raw, defects)
        file = b"" if used & _OVERLOAD_FILE else file.rstrip(b"\0")
        sname = b"" if used & _OVERLOAD_SNAME else sname.rstrip(b"\0")
    elif len(data) < MIN_BYTES:
        raise WireError(_COOKIE_AT, "cookie", "neither DHCP's cookie nor BOOTP's 64 bytes of vendor area")
    else:
        vend, file, sname = data[_COOKIE_AT:], file.rstrip(b"\0"), sname.rstrip(b"\0")
    return Message(
        op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file,
        Options.of_parsed(raw), tuple(defects), vend,
    )  # fmt: skip


def _read_areas(data: bytes, raw: dict[int, bytes], defects: list[Defect]) -> int:
    """Read the options of all fields that hold some, in the order of RFC 2131 §4.1: options, file, sname. Which fields: see 52.

    Option 52 counts only in the options field itself: inside ``file`` or ``sname`` it could send a reader round in circles.
    """
    ended = read_options(data, _OPTIONS_AT, len(data), raw, defects)
    if not ended and not defects:
        defects.append(Defect(END, len(data), "the options have no end"))
    overload = raw.get(OptionCode.OVERLOAD)
    if overload is None:
        return 0
    if len(overload) != 1 or not 1 <= overload[0] <= 3:
        defects.append(Defect(OptionCode.OVERLOAD, _OPTIONS_AT, f"overload {overload.hex()} is none of 1, 2, 3"))
        return 0
    for bit, start, end in ((_OVERLOAD_FILE, _FILE_AT, _COOKIE_AT), (_OVERLOAD_SNAME, _SNAME_AT, _FILE_AT)):
        if overload[0] & bit:
            before = len(defects)
            if not read_options(data, start, end, raw, defects) and len(defects) == before:
                defects.append(Defect(END, end, "the options in an overloaded field have no end"))
    raw[OptionCode.OVERLOAD] = overload
    return overload[0]


def serialize(message: Message, *, max_size: int = DEFAULT_MAX_BYTES, min_size: int = MIN_BYTES) -> bytes:
    """The message as a UDP payload, zeros behind the end up to ``min_size``.

    When it would be longer than ``max_size`` (see ``payload_limit``), options that are not ESSENTIAL are dropped, the last one
    first, then option 82. Essential ones never: a client that refuses a long answer would boot nothing with a short one
    either. The fields ``file`` and ``sname`` take options only if the message has option 52. Option 82 goes last, and never
    into those two (RFC 3046 §2.2).
    """
    file, sname = message.file, message.sname
    if message.vend is not None:
        body = message.vend
    else:
        _, (options, in_file, in_sname) = _fit(message.options, max_size - _OPTIONS_AT)
        body = COOKIE + options
        file, sname = in_file or file, in_sname or sname
    head = HEADER.pack(
        message.op, message.htype, message.hlen, message.hops, message.xid, message.secs, message.flags,
        message.ciaddr, message.yiaddr, message.siaddr, message.giaddr, message.chaddr, sname, file,
    )  # fmt: skip
    return (head + body).ljust(min_size, b"\0")


def dropped(message: Message, *, max_size: int = DEFAULT_MAX_BYTES) -> tuple[int, ...]:
    """The codes of the options that ``serialize`` would leave out for want of space."""
    kept, _ = _fit(message.options, max_size - _OPTIONS_AT)
    return tuple(code for code, _ in message.options if code not in kept)


def _fit(options: Options, room: int) -> tuple[Options, tuple[bytes, bytes, bytes]]:
    """What is kept of the options, and the bytes for the options field, ``file`` and ``sname``."""
    packed = _pack(options, room)
    if packed is not None:
        return options, packed
    kept = options
    droppable = [code for code, _ in options if code not in ESSENTIAL and code != OptionCode.RELAY_AGENT]
    if OptionCode.RELAY_AGENT in options:
        droppable.insert(0, OptionCode.RELAY_AGENT)
    while packed is None and droppable:
        kept = kept.without(droppable.pop())
        packed = _pack(kept, room)
    packed = packed or _pack(kept, _NO_LIMIT)
    assert packed is not None, "without a limit everything fits"
    return kept, packed


def _pack(options: Options, room: int) -> tuple[bytes, bytes, bytes] | None:
    """The bytes of the three fields, or None when they do not suffice. Each field in use ends with 255.

    Options stay in order and never straddle fields; only the pieces of a long one may lie in two (RFC 3396 §7 reads them in
    the order options, file, sname).
    """
    overload = _overload(options)
    pieces = [tlv for code, raw in options if code != OptionCode.RELAY_AGENT for tlv in split(code, raw)]
    relay = b"".join(split(OptionCode.RELAY_AGENT, options.raw(OptionCode.RELAY_AGENT) or b""))
    relay = relay if OptionCode.RELAY_AGENT in options else b""
    rooms = [room - len(relay), 128 if overload & _OVERLOAD_FILE else 0, 64 if overload & _OVERLOAD_SNAME else 0]
    if overload and sum(map(len, pieces)) >= rooms[0]:  # some go elsewhere: the option that says so must not
        pieces.sort(key=lambda tlv: tlv[0] != OptionCode.OVERLOAD)
    if rooms[0] < 1:
        return None
    areas = [bytearray(), bytearray(), bytearray()]
    at = 0
    for tlv in pieces:
        while at < 3 and len(areas[at]) + len(tlv) >= rooms[at]:  # one byte is for the end
            at += 1
        if at == 3:
            return None
        areas[at] += tlv
    in_file = bytes(areas[1]) + b"\xff" if rooms[1] else b""
    in_sname = bytes(areas[2]) + b"\xff" if rooms[2] else b""
    return bytes(areas[0]) + relay + b"\xff", in_file, in_sname


def _overload(options: Options) -> int:
    """The bits of option 52, 0 when it is absent or makes no sense."""
    overload = options.raw(OptionCode.OVERLOAD)
    return overload[0] if overload is not None and len(overload) == 1 and overload[0] <= 3 else 0

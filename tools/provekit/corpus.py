"""Real packets to begin with: everything that clients said in ``captures/``, and what a grammar adds to it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pxenet.capture import frames, pcap
from pxenet.wire.dhcp import FLAG_BROADCAST, Message, serialize
from pxenet.wire.iana import BOOTREQUEST, MessageType, OptionCode
from pxenet.wire.options import Options
from pxenet.wire.reader import WireError

CAPTURES = Path(__file__).resolve().parents[2] / "captures"

NAMES = (
    b"bios/pxelinux.0",
    b"bios/ldlinux.c32",
    b"x64/grubx64.efi",
    b"bios/pxelinux.cfg/default",
    b"bios/pxelinux.cfg/01-02-50-52-00-00-00",
    b"x64/grub.cfg",
    b"x64/grub.cfg-01-02-50-52-00-00-00",
    b"boot.ipxe",
    b"autoexec.ipxe",
    b"profile/plain/linux",
    b"profile/plain/initrd.gz",
    b"/../../etc/passwd",
    b"..\\..\\state\\pxenet.db",
    b"answer/" + b"0" * 32 + b"/answer.cfg",
    b"installed/" + b"0" * 32,
    b"failed/" + b"0" * 32,
    b"%2e%2e/%00",
    b"",
)


@cache
def spoken() -> dict[str, tuple[bytes, ...]]:
    """Protocol to what clients sent, each once: "dhcp", "tftp", "http"."""
    found: dict[str, dict[bytes, None]] = {"dhcp": {}, "tftp": {}, "http": {}}
    for path in sorted(CAPTURES.glob("*.pcap")):
        for _, frame in pcap.read(path):
            try:
                packet = frames.parse(frame)
            except WireError:
                continue
            if packet is None or not packet.payload:
                continue
            if packet.protocol == frames.TCP:
                if packet.payload.startswith((b"GET ", b"HEAD ", b"POST ")):
                    found["http"][packet.payload[:1500]] = None
            elif packet.destination_port in (67, 4011) and packet.payload[0] == BOOTREQUEST:
                found["dhcp"][packet.payload] = None
            elif len(packet.payload) < 600 and packet.payload[0] == 0 and packet.version == 4:
                found["tftp"][packet.payload] = None
    # of the many ACKs and blocks a few are enough
    return {name: tuple(packets)[:400] for name, packets in found.items()}


def tftp_requests() -> tuple[bytes, ...]:
    """Requests for what there is, with every option in every mood."""
    moods = (
        (),
        (b"tsize", b"0"),
        (b"blksize", b"1468"),
        (b"blksize", b"8", b"windowsize", b"65535"),
        (b"blksize", b"65464", b"tsize", b"0", b"timeout", b"255"),
        (b"BLKSIZE", b"1432", b"windowsize", b"16", b"timeout", b"0"),
        (b"tsize", b"99999999999999999999", b"utimeout", b"100"),
    )
    return tuple(
        b"\0" + op + b"\0".join((name, mode, *options)) + b"\0"
        for op in (b"\1", b"\1", b"\2")
        for name in NAMES
        for mode in (b"octet", b"netascii")
        for options in moods
    )


def dhcp_message(
    number: int, kind: MessageType, requested: int = 0, server: int = 0, ciaddr: int = 0, giaddr: int = 0
) -> bytes:
    """What a machine of this number says: an EFI or BIOS client, or a system without a boot class."""
    mac = b"\x02\x50\x52\x00" + number.to_bytes(2, "big")
    options: dict[int, object] = {OptionCode.MESSAGE_TYPE: kind, OptionCode.PARAMETER_LIST: (1, 3, 6, 66, 67)}
    if number % 3:
        options[OptionCode.VENDOR_CLASS] = _CLASSES[number % len(_CLASSES)]
        options[OptionCode.ARCHITECTURE] = (number % 3 * 7 % 9,)
        options[OptionCode.MACHINE_ID] = b"\0" + mac + bytes(10)
    if requested:
        options[OptionCode.REQUESTED_ADDRESS] = requested
    if server:
        options[OptionCode.SERVER_ID] = server
    flags = FLAG_BROADCAST if number % 2 else 0
    return serialize(
        Message(
            BOOTREQUEST,
            1,
            6,
            xid=number,
            flags=flags,
            ciaddr=ciaddr,
            giaddr=giaddr,
            chaddr=mac.ljust(16, b"\0"),
            options=Options.build(options),
        )
    )


_CLASSES = ("PXEClient:Arch:00007:UNDI:003016", "PXEClient:Arch:00000:UNDI:002001", "HTTPClient:Arch:00016", "d-i")


def dhcp_messages() -> tuple[bytes, ...]:
    """Every kind of message, from many machines, about addresses of the pool."""
    pool, server = 0x0A400100, 0x0A400001
    found = [dhcp_message(number, MessageType.DISCOVER) for number in range(64)]
    for number in range(64):
        address = pool + number
        found.append(dhcp_message(number, MessageType.REQUEST, requested=address))
        found.append(dhcp_message(number, MessageType.REQUEST, requested=address, server=server))
        found.append(dhcp_message(number, MessageType.REQUEST, ciaddr=address))
        found.append(dhcp_message(number, MessageType.RELEASE, ciaddr=address, server=server))
        found.append(dhcp_message(number, MessageType.DECLINE, requested=address, server=server))
        found.append(dhcp_message(number, MessageType.INFORM, ciaddr=address))
        found.append(dhcp_message(number, MessageType.DISCOVER, giaddr=0x0A400009))
    return tuple(found)


def dhcp_tokens() -> tuple[bytes, ...]:
    """Options that mean something, whole and cut short, and what surrounds them."""
    values = (
        b"",
        b"\0",
        b"\1",
        b"\3",
        b"\x0a\x40\0\1",
        b"\xff" * 4,
        b"PXEClient:Arch:00007:UNDI:003016",
        b"HTTPClient:Arch:00016",
        b"iPXE",
        b"\0\7",
        b"\0" + bytes(range(16)),
        b"\x13\0\x05\4\x0a\x40\0\0",
        b"\x06\1\x08\xff",
        b"\x47\4\0\0\0\0\xff",
    )
    options = [bytes((code, len(value))) + value for code in OptionCode for value in values if 0 < code < 255]
    kinds = [bytes((53, 1, kind)) for kind in range(14)]
    return (*options, *kinds, *kinds, b"\x63\x82\x53\x63", b"\xff", b"\x34\1\3", b"\0" * 64)


def http_heads() -> tuple[bytes, ...]:
    """Whole requests for every name, as clients of all kinds make them."""
    fields = (
        b"",
        b"Host: 10.64.0.1\r\nUser-Agent: iPXE/1.21.1\r\nConnection: keep-alive\r\n",
        b"Host: 10.64.0.1\r\nRange: bytes=0-99,200-\r\nIf-None-Match: *\r\n",
        b"Host: a\r\nContent-Length: 5\r\n",
        b"Host: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n",
    )
    bodies = (b"", b"", b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n")
    return tuple(
        method + b" /" + name + b" HTTP/1." + version + b"\r\n" + lines + b"\r\n" + body
        for method in (b"GET", b"GET", b"HEAD", b"POST")
        for name in (*NAMES, b"profile/plain/", b"profile/plain/linux?a=%20+&serial=x")
        for version in (b"0", b"1")
        for lines, body in zip(fields, bodies, strict=True)
    )


HTTP_TOKENS = (
    *(b"GET /" + name + b" HTTP/1.1\r\nHost: a\r\n\r\n" for name in NAMES),
    *(b"POST /" + name + b"?reason=x HTTP/1.1\r\nHost: a\r\n" for name in NAMES),
    *NAMES,
    b"HEAD /",
    b"OPTIONS * HTTP/1.1\r\n",
    b"http://a/",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b" ",
    b"HTTP/1.0",
    b"HTTP/1.1\r\n",
    b"Range: bytes=0-\r\n",
    b"Range: bytes=-1,0-0,5-2,99999999999999999999-\r\n",
    b"Range: bytes=" + b",".join(b"%d-%d" % (n, n) for n in range(200)) + b"\r\n",
    b"If-Range: Mon, 23 Nov 2026 00:00:00 GMT\r\n",
    b'If-None-Match: W/"x", *\r\n',
    b"If-Modified-Since: Mon, 31 Feb 2026 25:61:61 GMT\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked, chunked\r\n\r\nffffffffffffffffff\r\n",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n",
    b"Expect: 100-continue\r\n",
    b"?serial=%s%n%00&reason=%ff",
    b"%",
    b"%c0%ae%c0%ae/",
    b"\xff\xfe",
)

"""The TFTP codec: bytes and values are two forms of one thing, and damage is a WireError and nothing else."""

from __future__ import annotations

import string
from pathlib import Path

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxenet.wire.reader import WireError
from pxenet.wire.tftp import (
    MAX_PAYLOAD,
    MAX_REQUEST,
    OPTION_RANGES,
    Ack,
    Data,
    Error,
    ErrorCode,
    Oack,
    OpCode,
    Packet,
    Request,
    data_header,
    find_option,
    option_number,
    parse,
    serialize,
)

PACKETS: dict[str, tuple[Packet, bytes]] = {
    "RRQ": (Request(OpCode.RRQ, "pxelinux.0"), b"\0\1pxelinux.0\0octet\0"),
    "RRQ iPXE": (
        Request(OpCode.RRQ, "undionly.kpxe", "octet", (("blksize", "1432"), ("tsize", "0"))),
        b"\0\1undionly.kpxe\0octet\0blksize\x001432\0tsize\0000\0",
    ),
    "RRQ EDK2": (
        Request(OpCode.RRQ, "x64/grubx64.efi", "octet", (("tsize", "0"), ("blksize", "1468"), ("windowsize", "4"))),
        b"\0\1x64/grubx64.efi\0octet\0tsize\0000\0blksize\x001468\0windowsize\0004\0",
    ),
    "RRQ unknown and repeated options, spelled oddly": (
        Request(OpCode.RRQ, "a", "octet", (("BlkSize", "512"), ("multicast", ""), ("blksize", "1024"))),
        b"\0\1a\0octet\0BlkSize\x00512\0multicast\0\0blksize\x001024\0",
    ),
    "RRQ empty name and mode": (Request(OpCode.RRQ, "", ""), b"\0\1\0\0"),
    "RRQ name that is not UTF-8": (Request(OpCode.RRQ, "b\udcffot", "mail"), b"\0\1b\xffot\0mail\0"),
    "WRQ": (Request(OpCode.WRQ, "log", "netascii", (("tsize", "17"),)), b"\0\2log\0netascii\0tsize\x0017\0"),
    "DATA": (Data(1, b"\x7fELF"), b"\0\3\0\1\x7fELF"),
    "DATA empty": (Data(65535), b"\0\3\xff\xff"),
    "DATA 0, after a rollover": (Data(0, b"x"), b"\0\3\0\0x"),
    "ACK": (Ack(0x1234), b"\0\4\x12\x34"),
    "ACK 0": (Ack(0), b"\0\4\0\0"),
    "ERROR": (Error(ErrorCode.FILE_NOT_FOUND, "file not found"), b"\0\5\0\1file not found\0"),
    "ERROR unknown code": (Error(4711, ""), b"\0\5\x12\x67\0"),
    "OACK": (Oack((("tsize", "26460"), ("blksize", "1408"))), b"\0\6tsize\x0026460\0blksize\x001408\0"),
    "OACK empty": (Oack(), b"\0\6"),
}

both_ways = pytest.mark.parametrize(("packet", "data"), PACKETS.values(), ids=PACKETS.keys())


@both_ways
def test_parse(packet: Packet, data: bytes) -> None:
    """Bytes give the value."""
    assert packet == parse(data)


@both_ways
def test_serialize(packet: Packet, data: bytes) -> None:
    """The value gives the bytes."""
    assert data == serialize(packet)


TOLERATED: dict[str, tuple[Packet, bytes]] = {
    "mode in capitals (RFC 1350: any case)": (Request(OpCode.RRQ, "A", "octet"), b"\0\1A\0OcTeT\0"),
    "ERROR text without its NUL": (Error(0, "TFTP Aborted"), b"\0\5\0\0TFTP Aborted"),
    "ERROR without a text": (Error(8), b"\0\5\0\x08"),
    "ERROR with octets behind the text": (Error(8, "User aborted"), b"\0\5\0\x08User aborted\0\0junk"),
    "ACK with octets behind it": (Ack(7), b"\0\4\0\7\0\0"),
    "RRQ padded with NULs": (Request(OpCode.RRQ, "a", "octet", (("tsize", "0"),)), b"\0\1a\0octet\0tsize\x000\0\0\0\0"),
    "OACK padded with a NUL": (Oack((("tsize", "0"),)), b"\0\6tsize\x000\0\0"),
}


@pytest.mark.parametrize(("packet", "data"), TOLERATED.values(), ids=TOLERATED.keys())
def test_tolerated(packet: Packet, data: bytes) -> None:
    """What clients are known or likely to do wrong without harm is read as what they mean."""
    assert packet == parse(data)


DAMAGED: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 0, "opcode"),
    "half an opcode": (b"\0", 0, "opcode"),
    "opcode 0": (b"\0\0", 0, "opcode"),
    "opcode 7": (b"\0\7\0\0", 0, "opcode"),
    "RRQ without a NUL": (b"\0\1pxelinux.0", 2, "filename"),
    "RRQ without a mode": (b"\0\1pxelinux.0\0", 13, "mode"),
    "RRQ mode without its NUL": (b"\0\1a\0octet", 4, "mode"),
    "RRQ option without a value": (b"\0\1a\0octet\0tsize\0", 10, "tsize"),
    "RRQ value without its NUL": (b"\0\1a\0octet\0tsize\x000", 16, "tsize"),
    "RRQ option without a name": (b"\0\1a\0octet\0\x005\0", 11, "option name"),
    "RRQ too long": (b"\0\1" + b"a" * 504 + b"\0octet\0", MAX_REQUEST, "request"),
    "DATA without a block": (b"\0\3\0", 2, "block"),
    "ACK without a block": (b"\0\4", 2, "block"),
    "ERROR without a code": (b"\0\5\0", 2, "code"),
    "DATA beyond the largest blksize": (b"\0\3\0\1" + bytes(MAX_PAYLOAD + 1), 4, "payload"),
}


@pytest.mark.parametrize(("data", "offset", "field"), DAMAGED.values(), ids=DAMAGED.keys())
def test_damage_is_located(data: bytes, offset: int, field: str) -> None:
    """A WireError names the place and the field."""
    with pytest.raises(WireError) as caught:
        parse(data)
    assert (offset, field) == (caught.value.offset, caught.value.field)


def test_longest_request() -> None:
    """512 octets are a request, 513 are none (RFC 2347), for us too."""
    fits = Request(OpCode.RRQ, "a" * (MAX_REQUEST - 2 - 1 - 6))
    assert len(serialize(fits)) == MAX_REQUEST
    assert fits == parse(serialize(fits))
    with pytest.raises(WireError):
        Request(OpCode.RRQ, fits.filename + "a")


IMPOSSIBLE = {
    "request that is none": lambda: Request(OpCode.ACK, "a"),
    "mode not lower case": lambda: Request(OpCode.RRQ, "a", "OCTET"),
    "NUL in a name": lambda: Request(OpCode.RRQ, "a\0b"),
    "surrogate that stands for no byte": lambda: Request(OpCode.RRQ, "\ud800"),
    "NUL in an option": lambda: Oack((("tsize", "0\0"),)),
    "option without a name": lambda: Oack((("", "0"),)),
    "block over 16 bits": lambda: Ack(65536),
    "negative block": lambda: Data(-1),
    "too much payload": lambda: Data(1, bytes(MAX_PAYLOAD + 1)),
    "NUL in a text": lambda: Error(0, "a\0"),
}


@pytest.mark.parametrize("make", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_values_that_cannot_be_sent_cannot_be_made(make: object) -> None:
    """So serialize never fails."""
    assert callable(make)
    with pytest.raises(WireError):
        make()


OPTIONS = (("BLKSIZE", "1468"), ("tsize", "0"), ("blksize", "9"), ("windowsize", "0"), ("timeout", " 5"), ("x", "y"))


@pytest.mark.parametrize(("name", "value"), [("blksize", 1468), ("tsize", 0)])
def test_find_option(name: str, value: int) -> None:
    """Names match in any case; the first of a repeated option counts."""
    assert value == find_option(OPTIONS, name)


@pytest.mark.parametrize("name", ["windowsize", "timeout"])
def test_malformed_option_is_not_absent(name: str) -> None:
    """Out of range and not a number are told from absent."""
    assert find_option(OPTIONS[:3], name) is None
    with pytest.raises(WireError) as caught:
        find_option(OPTIONS, name)
    assert caught.value.field == name


@pytest.mark.parametrize("name", OPTION_RANGES)
def test_option_ranges(name: str) -> None:
    """Both ends of each range belong to it, their neighbours do not."""
    low, high = OPTION_RANGES[name]
    assert [low, high] == [find_option(((name, str(n)),), name) for n in (low, high)]
    for outside in (low - 1, high + 1):
        with pytest.raises(WireError):
            find_option(((name, str(outside)),), name)


def test_more_digits_than_a_number_can_have() -> None:
    """An OACK is not bounded as requests are: thousands of digits are no number, and no other error than any wrong value."""
    packet = parse(b"\0\6blksize\0" + b"9" * 5000 + b"\0")
    assert isinstance(packet, Oack)
    with pytest.raises(WireError):
        find_option(packet.options, "blksize")


@pytest.mark.parametrize("value", ["", "-1", "+1", "0x10", " 1", "1 ", "1_0", "１", "²", "1.0"])
def test_only_plain_decimal_is_a_number(value: str) -> None:
    """What Python would take for a number besides is none on the wire."""
    assert option_number(value) is None


def test_other_letters_are_not_ascii() -> None:
    """The Kelvin sign folds to k in Unicode, but not in an option's name."""
    assert find_option((("bl\u212asize", "1468"),), "blksize") is None


# Properties

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20) | st.binary(max_size=20).map(
    lambda raw: raw.replace(b"\0", b"").decode("utf-8", "surrogateescape")
)
options = st.lists(st.tuples(texts.filter(bool), texts), max_size=4).map(tuple)
modes = st.sampled_from(["octet", "netascii", "mail", ""]) | st.text(string.ascii_lowercase, max_size=5)
blocks = st.integers(0, 0xFFFF)
packets = st.one_of(
    st.builds(Request, st.sampled_from([OpCode.RRQ, OpCode.WRQ]), texts, modes, options),
    st.builds(Data, blocks, st.binary(max_size=600)),
    st.builds(Ack, blocks),
    st.builds(Error, blocks, texts),
    st.builds(Oack, options),
)


@given(packets)
def test_round_trip(packet: Packet) -> None:
    """Whatever can be made comes back from its bytes unchanged."""
    assert packet == parse(serialize(packet))


def only_wire_errors(data: bytes) -> None:
    """Parse; what parses must be a fixed point from then on."""
    try:
        packet = parse(data)
    except WireError as error:
        offset = error.offset
    else:
        offset = 0
        assert packet == parse(serialize(packet))
    assert 0 <= offset <= len(data)


@given(
    st.binary(max_size=64) | st.builds(bytes.__add__, st.sampled_from([bytes((0, n)) for n in range(8)]), st.binary())
)
def test_arbitrary_bytes(data: bytes) -> None:
    """Anything is a packet or a WireError."""
    only_wire_errors(data)


@both_ways
def test_every_truncation_and_single_byte_change(packet: Packet, data: bytes) -> None:
    """Of each packet in the table: every prefix, and every value of every byte."""
    for end in range(len(data)):
        only_wire_errors(data[:end])
    for at in range(len(data)):
        for value in range(256):
            only_wire_errors(data[:at] + bytes((value,)) + data[at + 1 :])


# Fast path


@given(blocks, st.binary(max_size=8))
def test_fast_data_equals_serialize(block: int, payload: bytes) -> None:
    """A DATA header in front of a payload is the serialized DATA; the number rolls over to 0 (facts: every boot client's rule)."""
    assert serialize(Data(block, payload)) == data_header(block) + payload
    assert data_header(block) == data_header(block + 0x10000)


# Real packets

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcap"))


def tftp_payloads(path: Path) -> list[bytes]:
    """The UDP payloads over IPv4 and IPv6 of all TFTP flows in a capture: those of which a request to port 69 is the beginning."""
    clients: set[tuple[bytes, int]] = set()
    found: list[bytes] = []
    with path.open("rb") as file:
        for _, frame in dpkt.pcap.Reader(file):
            ip = dpkt.ethernet.Ethernet(frame).data
            if not isinstance(ip, (dpkt.ip.IP, dpkt.ip6.IP6)) or not isinstance(ip.data, dpkt.udp.UDP):
                continue
            udp = ip.data
            if udp.dport == 69:
                clients.add((ip.src, udp.sport))
            if (ip.src, udp.sport) in clients or (ip.dst, udp.dport) in clients:
                found.append(bytes(udp.data))
    return found


@pytest.mark.parametrize("path", CAPTURES, ids=lambda p: p.stem)
def test_captured_packets(path: Path) -> None:
    """Every TFTP packet of the real boots parses, and comes back byte for byte (its mode in lower case)."""
    for data in tftp_payloads(path):
        assert serialize(parse(data)) in (data, data.replace(b"OCTET", b"octet"))


@settings(max_examples=10)
@given(st.data())
def test_captured_packets_damaged(data: st.DataObject) -> None:
    """Every truncation, and at each place one other byte, of the real requests, OACKs, ERRORs and of the heads of real DATA."""
    if not CAPTURES:
        pytest.skip("no captures")
    path = data.draw(st.sampled_from(CAPTURES))
    for payload in {p[:64] for p in tftp_payloads(path)}:
        other = data.draw(st.integers(1, 255)) if payload[1] != OpCode.DATA else 0x55
        for at in range(len(payload)):
            only_wire_errors(payload[:at])
            only_wire_errors(payload[:at] + bytes((payload[at] ^ other,)) + payload[at + 1 :])

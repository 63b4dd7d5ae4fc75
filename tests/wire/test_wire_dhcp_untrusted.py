"""Bytes of the network: nothing but WireError ever comes out of the codec, and what parses serializes to the same again.

Tried on every DHCP message of the reference captures, on each of their truncations and single-byte changes, and on invented ones.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pxenet.capture import dissect
from pxenet.wire import dhcp
from pxenet.wire.dhcp import COOKIE, LARGEST_BYTES, Message
from pxenet.wire.iana import OptionCode as Code
from pxenet.wire.options import DHCP, Options, encode
from pxenet.wire.pxe import IPXE, PXE, PxeCode
from pxenet.wire.reader import WireError
from pxenet.wire.relay import RELAY
from pxenet.wire.shapes import Space

CAPTURES = Path(__file__).resolve().parents[2] / "captures"


def captured() -> list[tuple[str, bytes]]:
    """(name, payload) of every DHCP message in the captures."""
    return [
        (f"{path.stem}-{number}", step.packet.payload)
        for path in sorted(CAPTURES.glob("*.pcap"))
        for boot in dissect.read(path).boots
        for number, step in enumerate(boot.dhcp)
    ]


MESSAGES = captured()
DISTINCT = list({payload[:3] + payload[240:]: payload for _, payload in MESSAGES}.values())


def tells_where(error: WireError, size: int = 1 << 16) -> None:
    """An error has a reason, and a place within what was parsed."""
    assert error.reason
    assert 0 <= error.offset <= size


def look_at_everything(message: Message) -> None:
    """Ask for every value in every way; WireError is the only answer besides a value."""
    asks: list[Callable[[], object]] = [
        lambda: message.message_type,
        lambda: (message.hardware, message.broadcast, message.boot_file, message.server_name),
        message.options.relay,
        message.options.pxe,
        message.options.ipxe,
    ]
    asks += [lambda code=code: message.options.get(code) for code, _ in message.options]  # type: ignore[misc]
    for ask in asks:
        try:
            found = ask()
        except WireError as error:
            tells_where(error)
            continue
        if isinstance(found, Options):
            for code, _ in found:
                try:
                    found.get(code)
                except WireError:
                    continue


def parses_the_same_again(data: bytes) -> None:
    """Whatever parses serializes, and parses to the same: defects apart, which are not sent."""
    try:
        message = dhcp.parse(data)
    except WireError:
        return
    look_at_everything(message)
    again = dhcp.parse(dhcp.serialize(message, max_size=1 << 16))
    if message.vend is not None:
        assert again.vend == message.vend
    assert dict(again.options) == dict(message.options)
    assert (again.op, again.xid, again.chaddr, again.giaddr) == (
        message.op,
        message.xid,
        message.chaddr,
        message.giaddr,
    )
    assert (again.sname, again.file) == (message.sname, message.file)


def test_there_are_captures() -> None:
    """The tests below mean something."""
    assert len(MESSAGES) > 80


@pytest.mark.parametrize("payload", [payload for _, payload in MESSAGES], ids=[name for name, _ in MESSAGES])
def test_captured_messages_survive(payload: bytes) -> None:
    """Real messages come out byte for byte, up to the pad at the end, and are without defects."""
    message = dhcp.parse(payload)
    assert message.defects == ()
    written = dhcp.serialize(message, max_size=LARGEST_BYTES, min_size=0)
    assert written.rstrip(b"\0") == payload.rstrip(b"\0")


@pytest.mark.parametrize("payload", [payload for _, payload in MESSAGES], ids=[name for name, _ in MESSAGES])
def test_captured_values_survive(payload: bytes) -> None:
    """Each typed value of a real message serializes to the bytes it came from, but for NULs that text does not need."""
    message = dhcp.parse(payload)
    for code, raw in message.options:
        value = message.options.get(code)
        if value is not None:
            written = encode(code, value)
            assert written in (raw, raw.rstrip(b"\0"))


@pytest.mark.parametrize("payload", DISTINCT, ids=range(len(DISTINCT)))
def test_truncated(payload: bytes) -> None:
    """Every truncation either raises WireError or parses, and says that the end is missing unless only pad was cut."""
    whole = dhcp.parse(payload)
    needed = len(payload.rstrip(b"\0"))
    for size in range(len(payload)):
        try:
            message = dhcp.parse(payload[:size])
        except WireError:
            assert size < 240
            continue
        look_at_everything(message)
        assert size >= needed or message.defects
        assert size < needed or message == whole


@pytest.mark.parametrize("payload", DISTINCT, ids=range(len(DISTINCT)))
def test_one_byte_changed(payload: bytes) -> None:
    """Every byte in turn set to values that hurt: lengths too long, too short, codes that pad or end."""
    payload = payload.rstrip(b"\0")
    for at in range(len(payload)):
        for value in {0, 1, 0x7F, 0xFF, payload[at] ^ 1, payload[at] ^ 0x80, Code.OVERLOAD}:
            changed = bytearray(payload)
            changed[at] = value
            try:
                message = dhcp.parse(bytes(changed))
            except WireError:
                continue
            look_at_everything(message)


HEADERS = st.binary(min_size=235, max_size=235).map(lambda rest: b"\1" + rest)
CODES = st.one_of(st.sampled_from(sorted(DHCP.rows)), st.integers(1, 254))
WELL_FORMED = st.lists(st.tuples(CODES, st.binary(max_size=40)), max_size=12)


@settings(max_examples=300)
@given(HEADERS, st.binary(max_size=120))
def test_any_bytes_as_options(header: bytes, options: bytes) -> None:
    """Any bytes behind the cookie, any header before it."""
    parses_the_same_again(header + COOKIE + options)


@settings(max_examples=200)
@given(st.binary(max_size=600))
def test_any_bytes(data: bytes) -> None:
    """Any bytes at all."""
    parses_the_same_again(data)


@settings(max_examples=300)
@given(HEADERS, WELL_FORMED, st.sampled_from([None, 1, 2, 3]), st.booleans())
def test_any_options(header: bytes, options: list[tuple[int, bytes]], overload: int | None, end: bool) -> None:
    """Well-formed lists of any options with any values, in overloaded fields too."""
    listed = b"".join(bytes((code, len(raw))) + raw for code, raw in options)
    if overload is not None:
        listed = bytes((Code.OVERLOAD, 1, overload)) + listed
    parses_the_same_again(header + COOKIE + listed + (b"\xff" if end else b""))


@settings(max_examples=200)
@given(
    st.dictionaries(
        st.integers(1, 254).filter(lambda code: code != Code.OVERLOAD), st.binary(max_size=600), max_size=8
    ),
    st.sampled_from([None, 1, 2, 3]),
    st.integers(300, 1472),
)
def test_any_message_round_trips(raw: dict[int, bytes], overload: int | None, max_size: int) -> None:
    """What serialize keeps comes back the same, fits when anything could be dropped, and is what ``dropped`` does not name."""
    items = list(raw.items())
    if overload is not None:
        items.insert(0, (Code.OVERLOAD, bytes((overload,))))
    message = Message(2, options=Options(items))
    data = dhcp.serialize(message, max_size=max_size)
    missing = dhcp.dropped(message, max_size=max_size)
    again = dhcp.parse(data)
    assert again.defects == ()
    assert dict(again.options) == {code: value for code, value in items if code not in missing}
    assert not dhcp.ESSENTIAL & set(missing)
    assert len(data) <= max_size or {code for code, _ in again.options} <= dhcp.ESSENTIAL


SPACES: list[Space] = [DHCP, RELAY, PXE, IPXE]


@settings(max_examples=500)
@given(st.sampled_from([(space, code) for space in SPACES for code in space.rows]), st.binary(max_size=80))
@example((PXE, PxeCode.MENU_PROMPT), b"\0\0")
@example((PXE, PxeCode.BOOT_MENU), b"\x80\0\x02\0x")
def test_any_value_of_any_option(row: tuple[Space, int], raw: bytes) -> None:
    """Any bytes as any option's value: a typed value that serializes and parses to itself, or WireError."""
    space, code = row
    options = Options([(code, raw)], space)
    try:
        value = options.get(code)
    except WireError as error:
        tells_where(error, len(raw))
        return
    if value is not None:
        assert Options.build({code: value}, space).get(code) == value


def test_pointers_to_pointers() -> None:
    """A domain search list of nothing but pointers, each to the one before it: refused as soon as no name needs so many."""
    pointers = [0xC000, *(0xC000 | at for at in range(3, 8000, 2))]
    raw = b"\1a\0" + b"".join(pointer.to_bytes(2, "big") for pointer in pointers)
    assert Options([(Code.DOMAIN_SEARCH, raw[: 3 + 2 * 127])]).get(Code.DOMAIN_SEARCH) == ("a",) * 128
    with pytest.raises(WireError) as caught:
        Options([(Code.DOMAIN_SEARCH, raw)]).get(Code.DOMAIN_SEARCH)
    assert "127" in caught.value.reason


LABELS = st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=5)


@settings(max_examples=200)
@given(st.lists(LABELS, min_size=1, max_size=5))
def test_any_domain_search(names: list[list[bytes]]) -> None:
    """Labels of any bytes survive as text, dots and backslashes too, and compression never makes them longer."""
    raw = b"".join(b"".join(bytes((len(label),)) + label for label in labels) + b"\0" for labels in names)
    value = Options([(Code.DOMAIN_SEARCH, raw)]).get(Code.DOMAIN_SEARCH)
    compressed = encode(Code.DOMAIN_SEARCH, value)
    assert Options([(Code.DOMAIN_SEARCH, compressed)]).get(Code.DOMAIN_SEARCH) == value
    assert len(compressed) <= len(raw)
    assert len(names) > 1 or compressed == raw

"""Addresses and ids as text: both ways the same, and what is no such text is refused by naming it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxenet.wire import text

UUID = bytes.fromhex("33221100554477668899aabbccddeeff")


@pytest.mark.parametrize(
    ("value", "written"), [(0, "0.0.0.0"), (0x0A000005, "10.0.0.5"), (0xFFFFFFFF, "255.255.255.255")]
)
def test_address(value: int, written: str) -> None:
    """A dotted quad and its int are the same thing."""
    assert text.address_text(value) == written
    assert text.parse_address(written) == value


@given(st.integers(0, 0xFFFFFFFF))
def test_every_address(value: int) -> None:
    """Every address survives."""
    assert text.parse_address(text.address_text(value)) == value


@pytest.mark.parametrize(
    "wrong", ["", "10.0.0", "10.0.0.256", "10.0.0.0x5", "10.0.0.05", "10.0.0.5 ", "1.2.3.4.5", "10.0.0.²", "-1.0.0.0"]
)
def test_no_address(wrong: str) -> None:
    """Anything else is refused, naming it; leading zeros too, which some readers take as octal."""
    with pytest.raises(ValueError) as caught:
        text.parse_address(wrong)
    assert repr(wrong) in str(caught.value)


def test_mac() -> None:
    """Colons, dashes and bare digits are read; both forms are written."""
    mac = bytes.fromhex("525400abcdef")
    assert text.mac_text(mac) == "52:54:00:ab:cd:ef"
    assert text.mac_dashes(mac) == "52-54-00-ab-cd-ef"
    for written in ("52:54:00:ab:cd:ef", "52-54-00-AB-CD-EF", "525400abcdef"):
        assert text.parse_mac(written) == mac


@pytest.mark.parametrize("wrong", ["", "52:54:00:ab:cd", "52:54:00:ab:cd:eg", "52:54-00:ab:cd:ef", "5:54:00:ab:cd:eff"])
def test_no_mac(wrong: str) -> None:
    """Anything else is refused, naming it."""
    with pytest.raises(ValueError) as caught:
        text.parse_mac(wrong)
    assert repr(wrong) in str(caught.value)


def test_uuid_orders() -> None:
    """SMBIOS text swaps the first three fields of the wire's bytes, PXELINUX and GRUB do not."""
    assert text.uuid_text(UUID) == "00112233-4455-6677-8899-aabbccddeeff"
    assert text.uuid_text_wire(UUID) == "33221100-5544-7766-8899-aabbccddeeff"
    assert text.parse_uuid(text.uuid_text_wire(UUID)) == UUID
    assert text.parse_uuid("00112233445566778899AABBCCDDEEFF") == text.swap_uuid(UUID)
    assert text.swap_uuid(text.swap_uuid(UUID)) == UUID


@pytest.mark.parametrize(
    "wrong", ["", "0011", "00112233-4455-6677-8899aabbccddeeff", "g0112233445566778899aabbccddeeff"]
)
def test_no_uuid(wrong: str) -> None:
    """Dashes belong at four places or nowhere."""
    with pytest.raises(ValueError, match="machine id"):
        text.parse_uuid(wrong)

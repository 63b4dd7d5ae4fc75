"""The table of who cares: each row is about something that exists, says why, and names its source."""

from __future__ import annotations

import pytest

from pxenet.replay.cares import SYSTEM, TABLE, TFTP_OPTIONS, Field, care
from pxenet.replay.cast import FAMILIES
from pxenet.replay.compare import Answer, of_messages
from pxenet.wire.dhcp import Message
from pxenet.wire.iana import BOOTREPLY
from pxenet.wire.options import DHCP, Options

KNOWN = {*FAMILIES.values(), "BIOS PXE ROM", "*"}
HEADER = {"yiaddr", "siaddr", "file", "sname"}


@pytest.mark.parametrize(("field", "family"), TABLE, ids=str)
def test_rows(field: Field, family: str) -> None:
    """A field of the header or an option that has a name, a family that is played, words and a source."""
    row = TABLE[field, family]
    assert field in HEADER if isinstance(field, str) else not DHCP.row(field).name.startswith("option")
    assert family in KNOWN
    assert row.why
    assert row.fact


@pytest.mark.parametrize("family", sorted(KNOWN - {"*"}))
def test_every_family_has_a_word_on_its_file(family: str) -> None:
    """What decides whether a machine boots is decided for each."""
    for field in ("file", "siaddr", 67):
        assert "nothing is known" not in care(field, family).why


@pytest.mark.parametrize(
    ("field", "family", "cares", "word"),
    [
        (66, "iPXE", False, "never takes the server from option 66"),
        (119, "EDK2 PXE", False, "does not read option 119"),
        (43, "iPXE", True, "boot server"),
        (119, "operating system", True, "nothing is known"),
        (54, "U-Boot", False, "another server"),
    ],
)
def test_who_cares(field: Field, family: str, cares: bool, word: str) -> None:
    """The family's own row comes first, then everybody's, then what it reads at all; what nobody knows counts as cared for."""
    found = care(field, family)
    assert cares == found.cares
    assert word in found.why


def test_tftp_options() -> None:
    """Every option of this server has its meaning."""
    assert {"blksize", "tsize", "timeout", "windowsize"} == set(TFTP_OPTIONS)


@pytest.mark.parametrize(
    ("now", "told"), [(43_200, False), (43_190, False), (42_900, False), (42_000, True), (600, True)]
)
def test_a_lease_that_has_aged_is_the_same(now: int, told: bool) -> None:
    """What is left of it, told minutes later, is no difference; another length is."""
    before, after = (
        Answer("system", "ACK", Message(BOOTREPLY, options=Options.build({51: seconds}))) for seconds in (43_200, now)
    )
    assert told == bool(list(of_messages(before, after, SYSTEM)))

"""Who is behind an address, by the kernel's neighbour table."""

from __future__ import annotations

from pathlib import Path

from pxenet.net.interfaces import neighbours

HEADER = "IP address       HW type     Flags       HW address            Mask     Device\n"
ROW = "10.0.0.5         0x1         {flags}         {mac}     *        {device}\n"
ADDRESS = 0x0A000005


def test_the_complete_line_counts(tmp_path: Path) -> None:
    """A line for each device; one that is not resolved says nothing, and 10.0.0.5 is not 10.0.0.50."""
    table = tmp_path / "arp"
    other = ROW.replace("10.0.0.5 ", "10.0.0.50").format(flags="0x2", mac="02:00:00:00:00:03", device="a")
    table.write_text(
        HEADER
        + other
        + ROW.format(flags="0x0", mac="00:00:00:00:00:00", device="a")
        + ROW.format(flags="0x2", mac="02:00:00:00:00:01", device="b")
    )
    assert neighbours(table)(ADDRESS) == bytes.fromhex("020000000001")
    assert neighbours(table)(0x0A000032) == bytes.fromhex("020000000003")
    assert neighbours(table)(0x0A000006) is None
    assert neighbours(tmp_path / "none")(ADDRESS) is None


def test_what_was_found_is_believed_for_a_second(tmp_path: Path) -> None:
    """And what was not found may be there with the next packet."""
    table = tmp_path / "arp"
    now = 100.0
    hardware_of = neighbours(table, lambda: now)
    assert hardware_of(ADDRESS) is None
    table.write_text(HEADER + ROW.format(flags="0x2", mac="02:00:00:00:00:01", device="b"))
    assert hardware_of(ADDRESS) == bytes.fromhex("020000000001")
    table.write_text(HEADER + ROW.format(flags="0x2", mac="02:00:00:00:00:02", device="b"))
    assert hardware_of(ADDRESS) == bytes.fromhex("020000000001")
    now = 101.0
    assert hardware_of(ADDRESS) == bytes.fromhex("020000000002")

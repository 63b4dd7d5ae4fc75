"""The script by which iPXE starts GRUB behind another DHCP server."""

import pytest

from pxenet.content.chain import GrubScript
from pxenet.content.plain import read
from pxenet.model import Asker, Content

ASKER = Asker(0x0A4D0064, server=0x0A4D0001)


@pytest.mark.parametrize(
    ("platform", "grub"), [("x64", "grubx64.efi"), ("ia32", "grubia32.efi"), ("arm64", "grubaa64.efi")]
)
def test_grub_is_given_our_address(platform: str, grub: str) -> None:
    """Next-server first, then GRUB from the same address."""
    found = GrubScript().find(f"{platform}/grub.ipxe", ASKER, 0.0)
    assert isinstance(found, Content)
    lines = read(found).decode().splitlines()
    assert lines[:2] == ["#!ipxe", "set netX/next-server 10.77.0.1"]
    assert lines[2].startswith(f"chain tftp://10.77.0.1/{platform}/{grub} ")
    assert found.private


@pytest.mark.parametrize("path", ["grub.ipxe", "bios/grub.ipxe", "x64/boot.ipxe", "a/x64/grub.ipxe"])
def test_other_names_are_others(path: str) -> None:
    """It answers for its own names only."""
    assert GrubScript().find(path, ASKER, 0.0) is None

"""Configurations broken on purpose, each caught by the replay of a capture with the sentence that a person needs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from replay_scene import captured, changed, copy_rack, rack_text, replayed

from pxenet.replay.recorded import DhcpSaid, Recorded
from pxenet.wire.dhcp import serialize
from pxenet.wire.iana import OptionCode
from pxenet.wire.text import parse_address


def wrong_file(rack: Path) -> str:
    """The x64 loader is BIOS code."""
    shutil.copy(rack / "root/bios/pxelinux.0", rack / "root/x64/grubx64.efi")
    return rack_text()


def wrong_architecture(rack: Path) -> str:
    """The x64 loader is the one for arm64."""
    shutil.copy(rack / "root/arm64/grubaa64.efi", rack / "root/x64/grubx64.efi")
    return rack_text()


def pool_exhausted(rack: Path) -> str:
    """One address for two machines."""
    return changed(rack_text(), ("10.77.0.100-10.77.0.199", "10.77.0.100-10.77.0.100"))


def wrong_next_server(rack: Path) -> str:
    """Nobody is there."""
    return changed(rack_text(), ('router = "10.77.0.1"', 'router = "10.77.0.1"\nnext_server = "10.77.0.9"'))


def unknown_ignored(rack: Path) -> str:
    """No [[host]] names it."""
    return changed(rack_text(), ('unknown = "tiny"', 'unknown = "ignore"'))


def kernel_missing(rack: Path) -> str:
    """It was there when the configuration was read (see the test), and is not now."""
    return rack_text()


def template_fault(rack: Path) -> str:
    """It uses a name that does not exist."""
    (rack / "ks.cfg.j2").write_text("rootpw {{ vars.rootpw }}\n")
    return rack_text()


def proxy_alone(rack: Path) -> str:
    """Nobody gives addresses."""
    return changed(rack_text(), ('mode = "server"', 'mode = "proxy"'))


BROKEN: dict[str, tuple[str, Callable[[Path], str], str, str, str]] = {
    "wrong file for UEFI": (
        "uefi-pxe-grub", wrong_file, "at its boot program",
        "x64/grubx64.efi is no EFI program (a program for x86 BIOS?); put a boot program for x64 in place of ",
        "/root/x64/grubx64.efi, or choose another with boot.loader.x64 (it says: x64 UEFI refuses to start it",
    ),
    "wrong architecture": (
        "uefi-pxe-grub", wrong_architecture, "at its boot program",
        "x64/grubx64.efi is a program for arm64 UEFI; put a boot program for x64 in place of ",
        "or choose another with boot.loader.x64",
    ),
    "wrong next server": (
        "bios-e1000-pxelinux", wrong_next_server, "at its boot program",
        "it was sent to 10.77.0.9 for bios/pxelinux.0, and that is not this server", "set dhcp.subnet.next_server",
    ),
    "unknown machine ignored": (
        "uefi-pxe-grub", unknown_ignored, "after its address, before any file", "gets no boot file", "name it in a [[host]]",
    ),
    "answer template fault": ("uefi-pxe-grub", template_fault, "at its answer file", "rootpw", "mend the template"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_configuration_is_caught(tmp_path: Path, name: str) -> None:
    """The boot stops where the fault is, and both the reason and what would be right are told."""
    capture, break_it, place, why, right = BROKEN[name]
    rack = copy_rack(tmp_path)
    (result,) = replayed(rack, captured(capture), text=break_it(rack))
    assert result.stop is not None
    assert place in result.stop.place
    assert why in result.stop.words
    assert right in result.stop.words
    assert not result.good


def test_a_kernel_that_is_gone(tmp_path: Path) -> None:
    """A file that vanished after the configuration was read is missed by its name."""
    rack = copy_rack(tmp_path)
    text = changed(rack_text(), ('kernel = "root/vmlinuz"', 'kernel = "gone/vmlinuz"'))
    (rack / "gone").mkdir()
    (rack / "gone/vmlinuz").write_bytes(b"")
    from pxenet.config import from_text
    from pxenet.replay.play import parts_of, play
    from pxenet.replay.result import results

    settings = from_text(text, rack)
    shutil.rmtree(rack / "gone")
    (result,) = results(play(settings, parts_of([captured("bios-e1000-pxelinux")])))
    assert result.stop is not None
    assert "at its kernel" == result.stop.place
    assert "vmlinuz" in result.stop.why


def as_another(boot: Recorded, number: int) -> Recorded:
    """The same boot of another machine, later."""
    mac = boot.mac[:-1] + bytes((boot.mac[-1] + number,))

    def said(one: DhcpSaid) -> DhcpSaid:
        message = replace(one.message, chaddr=mac.ljust(16, b"\0"))
        return replace(one, message=message, payload=serialize(message))

    return replace(
        boot, number=number + 1, mac=mac, began_s=boot.began_s + 60 * number, dhcp=tuple(map(said, boot.dhcp))
    )


def test_a_pool_that_is_too_small(tmp_path: Path) -> None:
    """The second machine gets no address, and the pool is named."""
    rack = copy_rack(tmp_path)
    boot = captured("bios-e1000-pxelinux")
    first, second = replayed(rack, boot, as_another(boot, 1), text=pool_exhausted(rack))
    assert first.good
    assert second.stop is not None
    assert "before it had an address" == second.stop.place
    assert "the pool of 10.77.0.0/24 is used up" in second.stop.why
    assert "make dhcp.subnet.pool larger" in second.stop.right


def test_a_pool_that_is_too_small_for_two_at_once(tmp_path: Path) -> None:
    """Both were offered the last address; who was refused it is told of the pool, in each of its boots, and not of the refusal."""
    rack = copy_rack(tmp_path)
    boot = captured("bios-e1000-pxelinux")
    other = replace(as_another(boot, 1), began_s=boot.began_s + 0.01)
    again = replace(other, number=3, began_s=boot.began_s + 400)
    first, *others = replayed(rack, boot, other, again, text=pool_exhausted(rack))
    assert first.good
    for result in others:
        assert result.stop is not None
        assert "the pool of 10.77.0.0/24 is used up" in result.stop.why


def test_a_loader_that_is_not_there(tmp_path: Path) -> None:
    """UEFI for ia32 is to get shim, which no package here brings: the file is named. (Captured as x64, its option 93 changed.)"""
    boot = captured("uefi-pxe-grub")

    def ia32(one: DhcpSaid) -> DhcpSaid:
        if one.message.options.raw(OptionCode.ARCHITECTURE) is None:
            return one
        return replace(
            one, message=replace(one.message, options=one.message.options.with_({OptionCode.ARCHITECTURE: (6,)}))
        )

    text = changed(rack_text(), ('unknown = "tiny"', 'unknown = "tiny"\nloader.ia32 = "shim"'))
    (result,) = replayed(copy_rack(tmp_path), replace(boot, dhcp=tuple(map(ia32, boot.dhcp))), text=text)
    assert result.stop is not None
    assert "after its address, before any file" == result.stop.place
    assert "the boot loader chosen for its platform is not here" in result.stop.why
    assert "ia32/shimia32.efi is missing" in result.stop.right
    assert "PXE-E53: No boot filename received" == result.stop.says


def test_a_relay_of_a_network_that_is_not_configured(tmp_path: Path) -> None:
    """The captured relay's address is named, with the table that is missing."""
    boot = captured("bios-e1000-pxelinux")
    giaddr = parse_address("10.99.0.1")

    def relayed(one: DhcpSaid) -> DhcpSaid:
        message = replace(one.message, giaddr=giaddr)
        return replace(one, message=message, payload=serialize(message))

    (result,) = replayed(copy_rack(tmp_path), replace(boot, dhcp=tuple(map(relayed, boot.dhcp))))
    assert result.stop is not None
    assert "asked from a network that is not configured (10.99.0.1)" in result.stop.why
    assert "add a [[dhcp.subnet]] that contains 10.99.0.1" == result.stop.right


def test_a_proxy_where_nobody_gives_addresses(tmp_path: Path) -> None:
    """A capture without any server's answers cannot lend the network one."""
    rack = copy_rack(tmp_path)
    boot = captured("bios-e1000-pxelinux")
    alone = replace(boot, dhcp=boot.requests)
    (result,) = replayed(rack, alone, text=proxy_alone(rack))
    assert result.stop is not None
    assert "this configuration gives no addresses there" in result.stop.words


@pytest.mark.parametrize("name", ["proxy-bios-kea", "bios-e1000-pxelinux"])
def test_beside_the_recorded_server(tmp_path: Path, name: str) -> None:
    """As a ProxyDHCP server the configuration boots the machine with the address that the recorded server gives."""
    rack = copy_rack(tmp_path)
    boot = captured(name)
    (result,) = replayed(rack, boot, text=proxy_alone(rack))
    assert result.stop is None, result.stop
    given = next(said.message.yiaddr for said in boot.replies if said.message.yiaddr)
    assert given == parse_address(result.address)
    assert json.dumps(result.record())


def test_an_answer_file_that_reports_a_failure(tmp_path: Path) -> None:
    """It runs to its end, which is no good one."""
    rack = copy_rack(tmp_path)
    (rack / "ks.cfg.j2").write_text("text\n%post\ncurl '{{ urls.failed }}'\n%end\n")
    (result,) = replayed(rack, captured("bios-e1000-pxelinux"))
    assert result.stop is not None
    assert ("at its report", "its installation failed") == (result.stop.place, result.stop.says)
    assert "the machine failed" in result.stop.why

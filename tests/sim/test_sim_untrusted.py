"""Damage on the wire: whatever a machine hears, it goes on or fails in words; nothing escapes, nothing goes round for ever."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from capture_player import Player, Recording
from program_world import World
from test_sim_captures import CASES
from test_sim_programs import COBBLER, FOREMAN, GRUB_MENU, MODULES, SCRIPTS, SITE, make

from pxenet.sim.body import BootError, RebootError
from pxenet.sim.machine import Machine, SimDatagram

SEEDS = range(40)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, taken away, doubled, or the end cut off."""
    out = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(out)) if out else 0
        match rng.randrange(5):
            case 0 if out:
                out[at] = rng.randrange(256)
            case 1 if out:
                out[at] ^= 1 << rng.randrange(8)
            case 2:
                del out[at : at + rng.randrange(1, 9)]
            case 3:
                out[at:at] = out[at : at + rng.randrange(1, 30)]
            case 4 if rng.random() < 0.2:
                del out[at:]
    return bytes(out)


class Mutating(Player):
    """Damages a share of what the machine hears."""

    rng = random.Random(0)

    def _deliver(self, delay: float, datagram: SimDatagram) -> None:
        if self.rng.random() < 0.02:
            datagram.payload = mutated(datagram.payload, self.rng)
        super()._deliver(delay, datagram)


@pytest.mark.parametrize("name", ["bios-pxelinux-localboot", "proxy-bios-kea", "uefi-pxe-grub", "uefi-http-ipxe"])
def test_damaged_packets(name: str) -> None:
    """DHCP replies, OACKs, DATA: the machine waits, asks again, or fails."""
    for seed in range(3):
        recording = Recording(name)
        for transfer in recording.transfers:  # big files would only take time
            transfer.blocks = dict(list(transfer.blocks.items())[:2])
        play = Mutating(recording, Machine(CASES[name], recording.boot.hardware, seed=seed))
        play.compare, play.rng = False, random.Random(seed)
        try:
            play.play()
        except AssertionError:
            pass  # the captured server has nothing to say to a machine that went another way
        assert not play.machine.failure or " " in play.machine.failure


def words_of(boot: Callable[[], object]) -> str:
    """What came of it, in words."""
    try:
        return str(boot())
    except (BootError, RebootError) as error:
        return str(error)


TEXTS: dict[str, tuple[str, Callable[[World], object]]] = {
    "cobbler": (COBBLER, lambda world: world.boot("pxelinux.0")),
    "foreman": (FOREMAN, lambda world: world.boot("pxelinux.0")),
    "grub": (GRUB_MENU, lambda world: world.boot("grubx64.efi", "x64")),
}


@pytest.mark.parametrize(("text", "boot"), TEXTS.values(), ids=TEXTS.keys())
def test_damaged_texts(text: str, boot: Callable[[World], object]) -> None:
    """A configuration with any damage leads to a kernel, the disk, or a failure in words."""
    for seed in SEEDS:
        damaged = mutated(text.encode(), random.Random(seed))
        world = World({**MODULES, "pxelinux.cfg/default": damaged, "/grub/grub.cfg": damaged, "v": "k"})
        assert "" != words_of(lambda world=world: boot(world))


@pytest.mark.parametrize("text", [text for text, _ in SCRIPTS.values()], ids=SCRIPTS.keys())
def test_damaged_scripts(text: str) -> None:
    """iPXE's likewise."""
    for seed in SEEDS:
        damaged = mutated(text.encode(), random.Random(seed)).decode("utf-8", "replace")
        world = World({f"{SITE}k": "x", f"{SITE}i": "x"})
        assert "" != words_of(lambda world=world, damaged=damaged: world.script(damaged, make))

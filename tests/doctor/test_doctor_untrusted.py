"""Whatever comes back from a network, the examination ends with findings and never with an exception."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from doctor_scene import DIRECT_43, SEED, STATION, asked, offer, read, seen, transfer
from hypothesis import given
from hypothesis import strategies as st

from pxenet.cli.doctor import lines
from pxenet.doctor.choice import choose
from pxenet.doctor.diagnose import diagnose
from pxenet.doctor.examine import tftp_place
from pxenet.doctor.machines import MACHINES
from pxenet.doctor.observed import Asked, BootServer, Heard, TftpAnswer, TftpTry
from pxenet.wire.iana import OptionCode as O

PXE = {O.VENDOR_CLASS: "PXEClient", O.VENDOR_SPECIFIC: DIRECT_43}


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, or the end cut off; what makes it a reply to this machine is left, or nobody would look at it."""
    out = bytearray(data)
    for _ in range(rng.randrange(1, 8)):
        at = rng.choice((rng.randrange(12, 28), rng.randrange(44, 240), rng.randrange(240, len(out))))
        out[at] = rng.choice((0, 255, rng.randrange(256), out[at] ^ 1 << rng.randrange(8)))
    return bytes(out[: rng.randrange(240, len(out))] if rng.random() < 0.2 else out)


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("seed", range(60))
def test_damaged_replies(name: str, seed: int) -> None:
    """Damaged offers, and damaged answers from port 4011, lead to words that can be printed both ways."""
    rng = random.Random(seed)
    offers = [
        offer(name, file="grubx64.efi", options=PXE if seed % 2 else None),
        offer(name, server="10.0.0.9", gives="", file="x", options={O.VENDOR_CLASS: "PXEClient"}),
    ]
    heard = [replace(one, payload=mutated(one.payload, rng)) for one in offers]
    answers: dict[tuple[int, bytes], tuple[Heard, ...]] = {}
    boot_servers = []
    choice = choose(MACHINES[name], STATION, heard, answers, SEED)
    for _ in range(8):
        if choice.question is None:
            break
        payload = mutated(offers[1].payload[:4] + choice.question.payload[4:8] + offers[1].payload[8:], rng)
        answers[choice.question.key] = (replace(offers[1], payload=payload, port=4011),)
        boot_servers.append(BootServer(name, choice.question.server, answers[choice.question.key]))
        choice = choose(MACHINES[name], STATION, heard, answers, SEED)
    assert choice.url or choice.stops or choice.question
    tftp_place(choice.url)
    told = diagnose(seen(Asked(MACHINES[name], tuple(heard), choice), boot_servers=tuple(boot_servers)))
    assert json.dumps(told.record(), ensure_ascii=False).encode()
    assert "\n".join(lines(told)).encode()


@given(st.binary(max_size=600))
def test_any_bytes_as_a_reply(data: bytes) -> None:
    """Bytes that are no DHCP at all are no reply."""
    heard = Heard(0.1, data, 1, 67)
    told = diagnose(seen(asked("uefi", heard)))
    assert told.findings


@given(
    st.binary(max_size=5000),
    st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), max_size=5),
    st.sampled_from(TftpAnswer),
    st.booleans(),
)
def test_any_transfer(head: bytes, granted: list[tuple[str, str]], answer: TftpAnswer, last: bool) -> None:
    """A server that grants nonsense and sends anything is judged, and no more."""
    one = TftpTry(answer, transfer().asked, tuple(granted), 9, "\x1b[2J", 1, head, 3, last)
    told = diagnose(seen(tftp=(read(one, "uefi", "bios", sizes={512: False}, large=one),)))
    assert json.dumps(told.record())

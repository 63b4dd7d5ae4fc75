"""Who is behind an address, by the kernel's neighbour table."""

from __future__ import annotations

import socket

import needs
import pytest
from netlab import inside, run, wire

from pxenet.net.interfaces import neighbour_on, neighbours

ADDRESS = 0x0A4E0005
FIRST, SECOND = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


@pytest.fixture
def interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two, on whatever machine this runs."""
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo"), (2, "eth0")])


@pytest.mark.usefixtures("interfaces")
def test_what_was_found_is_believed_for_a_second() -> None:
    """And what was not found may be there with the next packet."""
    now, table, asked = 100.0, dict[int, bytes](), list[str]()

    def ask(name: str, address: int) -> bytes | None:
        asked.append(name)
        return table.get(address)

    hardware_of = neighbours(ask, lambda: now)
    assert hardware_of(ADDRESS) is None
    table[ADDRESS] = FIRST
    assert hardware_of(ADDRESS) == FIRST
    table[ADDRESS] = SECOND
    assert hardware_of(ADDRESS) == FIRST
    now = 101.0
    assert hardware_of(ADDRESS) == SECOND
    assert {"eth0"} == set(asked)


@pytest.mark.usefixtures("interfaces")
def test_many_neighbours_are_remembered_within_bounds() -> None:
    """However many there are."""
    hardware_of = neighbours(lambda name, address: address.to_bytes(6, "big"), lambda: 100.0)
    for address in range(1, 10_000):
        assert hardware_of(address) == address.to_bytes(6, "big")


@needs.root()
@needs.namespace()
@needs.tool("ip")
def test_the_kernel_is_asked() -> None:
    """An entry that is resolved counts, on its own interface; one that is not says nothing."""
    with wire() as lab:
        ip = ("ip", "-n", lab.server)
        run(*ip, "neigh", "add", "10.78.0.5", "lladdr", FIRST.hex(":"), "dev", "v0", "nud", "reachable")
        run(*ip, "neigh", "add", "10.78.0.50", "lladdr", SECOND.hex(":"), "dev", "v0", "nud", "permanent")
        run(*ip, "neigh", "add", "10.78.0.6", "dev", "v0", "nud", "incomplete")

        def answers() -> list[bytes | None]:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                ask = neighbour_on(probe)
                hardware_of = neighbours(ask)
                return [
                    ask("v0", ADDRESS),
                    ask("v0", 0x0A4E0032),
                    ask("v0", 0x0A4E0006),
                    ask("v0", 0x0A4E0007),
                    ask("lo", ADDRESS),
                    ask("gone0", ADDRESS),
                    hardware_of(ADDRESS),
                    hardware_of(0x0A4E0006),
                ]

        assert inside(lab.server, answers) == [FIRST, SECOND, None, None, None, None, FIRST, None]

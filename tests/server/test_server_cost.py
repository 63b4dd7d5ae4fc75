"""What a block costs the real program: system calls, counted by strace. They are most of its time, and depend on no clock."""

from __future__ import annotations

import contextlib
import re
import select
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import needs
import pytest
from programlab import PATIENCE_S, Program, free_ports, loopback_config, program, wait_until

pytestmark = [needs.tool("strace"), needs.root()]

BLKSIZE = 1024
ROUNDS = 100
"""Windows that are counted, of each client."""
WARM = 20
"""Windows before: memory that is taken once is not counted."""


class Client:
    """Reads in windows of ``size``: ``acknowledge`` what has come, then ``take`` the next window."""

    def __init__(self, port: int, size: int, address: str) -> None:
        self.size = size
        self.block = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.socket.settimeout(PATIENCE_S)
        asked = b"\0\1file\0octet\0blksize\0%d\0windowsize\0%d\0" % (BLKSIZE, size)
        self.socket.sendto(asked, ("127.0.0.1", port))
        packet, self.peer = self.socket.recvfrom(2000)
        assert packet.startswith(b"\0\6"), packet

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *raised: object) -> None:
        self.socket.close()

    def acknowledge(self) -> None:
        """All until here."""
        self.socket.sendto(b"\0\4" + self.block.to_bytes(2, "big"), self.peer)

    def take(self) -> None:
        """The window that follows. What is repeated is passed over: under strace all is slow."""
        wanted = self.block + self.size
        while self.block < wanted:
            packet, _ = self.socket.recvfrom(2000)
            assert packet.startswith(b"\0\3"), packet
            if int.from_bytes(packet[2:4], "big") == self.block + 1:
                self.block += 1


@contextlib.contextmanager
def serving(directory: Path, blocks: int) -> Iterator[tuple[Program, int]]:
    """The program serves a file of so many blocks; with its port."""
    ports = free_ports()
    (directory / "root").mkdir()
    (directory / "root" / "file").write_bytes(bytes(blocks * BLKSIZE))
    config = loopback_config(ports, 'root = "root"').replace("[dhcp]\n", '[dhcp]\nmode = "off"\n')
    (directory / "rack.toml").write_text(config)
    with program(directory, "--config", "rack.toml") as running:
        yield running, ports["tftp"]


@contextlib.contextmanager
def counted(running: Program, found: dict[str, int]) -> Iterator[None]:
    """``found`` gets the system calls of the program meanwhile, by their names."""
    command = ["strace", "-c", "-f", "-p", str(running.process.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        try:
            assert select.select([strace.stderr], [], [], PATIENCE_S)[0], "strace does not attach"
            said = strace.stderr.readline()
            assert "attached" in said, said
            yield
        finally:
            strace.send_signal(signal.SIGINT)
            table = strace.stderr.read()
    for calls, name in re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", table, re.MULTILINE):
        found[name] = int(calls)
    del found["total"]


@contextlib.contextmanager
def stopped(running: Program) -> Iterator[None]:
    """It waits for nothing but packets, and does not see meanwhile that some come."""
    stat = Path(f"/proc/{running.process.pid}/stat")

    def state() -> str:
        return stat.read_text().rpartition(")")[2].split()[0]

    wait_until(lambda: state() == "S", "it does not rest")
    running.signal(signal.SIGSTOP)
    wait_until(lambda: state() in "Tt", "it does not stop")
    yield
    running.signal(signal.SIGCONT)


def calls_for_each_round(directory: Path, size: int, addresses: Sequence[str]) -> dict[str, float]:
    """System calls for a window of clients at each of ``addresses``, whose acknowledgments are all there when the program is woken."""
    found: dict[str, int] = {}
    with serving(directory, (WARM + ROUNDS + 2) * size) as (running, port), contextlib.ExitStack() as closing:
        clients = [closing.enter_context(Client(port, size, address)) for address in addresses]

        def rounds(number: int) -> None:
            for _ in range(number):
                with stopped(running) if len(clients) > 1 else contextlib.nullcontext():
                    for client in clients:
                        client.acknowledge()
                for client in clients:
                    client.take()

        rounds(WARM)
        with counted(running, found):
            rounds(ROUNDS)
    if len(addresses) > 1:
        for name in ("futex", "epoll_wait"):  # waits that were stopped, and begun again
            found.pop(name, None)
    return {name: calls / ROUNDS for name, calls in found.items()}


@pytest.mark.parametrize("size", [1, 16], ids=["lock-step", "windows of 16"])
def test_one_client(size: int, tmp_path: Path) -> None:
    """The program is woken, reads, looks whether the file has changed, and sends: for a window not more often than for a block."""
    calls = calls_for_each_round(tmp_path, size, ["127.0.1.1"])
    assert sum(calls.values()) < 4.2, calls


@pytest.mark.parametrize("size", [1, 16], ids=["lock-step", "windows of 16"])
def test_many_clients(size: int, tmp_path: Path) -> None:
    """What has come together is read together and leaves together: 512 blocks take hardly more calls than one."""
    calls = calls_for_each_round(tmp_path, size, [f"127.0.1.{n}" for n in range(1, 33)])
    assert sum(calls.values()) < 5.3, calls


def test_an_address_with_many(tmp_path: Path) -> None:
    """Its late ones have turns of their own, in which several leave together."""
    calls = calls_for_each_round(tmp_path, 1, ["127.0.1.1"] * 32)
    assert sum(calls.values()) < 12, calls

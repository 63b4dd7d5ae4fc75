"""Wires: to a host beside this one, a veth pair whose other end is in a network namespace of its own; and the loopback made slow."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from types import TracebackType

from bench.generator import LoadError

NETWORK = "10.64.0.0/10"
SERVER = "10.64.0.1"
CLIENT = "10.64.0.2"
POOL = "10.65.0.0-10.80.255.255"
STORM_POOL = "10.72.0.0-10.72.255.255"
"""Addresses of machines that speak for themselves: all are the far host's, and reached through it."""
_STORM_NETWORK = "10.72.0.0/16"
INTERFACE, _FAR = "bench0", "bench1"


class Wire:
    """A context manager; ``through`` is what a command begins with that shall run on the far host. Raises LoadError."""

    def __enter__(self) -> Wire:
        self._host = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        namespace = f"/proc/{self._host.pid}/ns/net"
        until = time.monotonic() + 5
        while _same(namespace, "/proc/self/ns/net"):
            if time.monotonic() > until:
                raise LoadError("no second network namespace can be made")
            time.sleep(0.005)
        self.through = ["nsenter", f"--net={namespace}", "--"]
        length = NETWORK.partition("/")[2]
        pair = ["ip", "link", "add", INTERFACE, "type", "veth", "peer", "name", _FAR, "netns", str(self._host.pid)]
        near = (
            (["ip", "address", "add", f"{SERVER}/{length}", "dev", INTERFACE]),
            ["ip", "link", "set", INTERFACE, "up"],
            ["ip", "route", "add", _STORM_NETWORK, "via", CLIENT, "dev", INTERFACE],
        )
        far = (
            ["ip", "address", "add", f"{CLIENT}/{length}", "dev", _FAR],
            ["ip", "link", "set", _FAR, "up"],
            ["ip", "link", "set", "lo", "up"],
            ["ip", "route", "add", "local", _STORM_NETWORK, "dev", "lo"],
        )
        for command in (pair, *near, *([*self.through, *each] for each in far)):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                self.__exit__(None, None, None)
                raise LoadError(f"{' '.join(command)}: {done.stderr.strip()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(["ip", "link", "delete", INTERFACE], capture_output=True, check=False)  # its peer goes with it
        self._host.kill()
        self._host.wait()


@contextlib.contextmanager
def slow(rate: str) -> Iterator[None]:
    """The loopback carries no more than that (tc-tbf(8)), and drops what does not fit into 1.5 MB. Raises LoadError."""
    _shape("add", "tbf", "rate", rate, "burst", "128kb", "limit", "1500000")
    try:
        yield
    finally:
        _shape("del")


def _shape(verb: str, *how: str) -> None:
    try:
        command = ["tc", "qdisc", verb, "dev", "lo", "root", *how]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise LoadError("no tc, which makes a wire slow: apt-get install iproute2") from None
    if done.returncode:
        raise LoadError(f"the wire cannot be made slow: {done.stderr.strip()}")


def _same(one: str, other: str) -> bool:
    return os.readlink(one) == os.readlink(other)

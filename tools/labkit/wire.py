"""A wire of its own: a bridge with the server's address, a port for every machine, perhaps a second host, and a recording of all.

Knows network namespaces (through iproute2, nsenter and ethtool), and nothing of boot protocols. Whatever is made here vanishes with
the lab's process namespace: nothing needs tidying up.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

BRIDGE = "br0"
_BRIDGE_MAC = "52:54:00:77:ff:01"  # given, because a bridge without an own one changes it with its ports


@dataclass(slots=True)
class Namespace:
    """A network stack that lives as long as its holder process."""

    name: str
    holder: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.holder = subprocess.Popen(
            # /sys shows the network of whoever mounted it: programs inside shall see their own interfaces there
            ["unshare", "--net", "--mount", "sh", "-c", "mount -t sysfs sys /sys && echo ready && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.holder.stdout is not None
        if self.holder.stdout.readline() != b"ready\n":
            raise RuntimeError("cannot make a network namespace")
        # duplicate address detection would keep IPv6 sockets from binding for the first second
        self.run("sh", "-c", "for key in accept_dad accept_ra; do echo 0 >/proc/sys/net/ipv6/conf/default/$key; done")
        self.run("ip", "link", "set", "lo", "up")

    def argv(self, *command: str) -> list[str]:
        """``command`` as to be run inside."""
        return ["nsenter", f"--target={self.holder.pid}", "--net", "--mount", "--", *command]

    def run(self, *command: str) -> None:
        """Run to the end; what it said is part of the error when it fails."""
        done = subprocess.run(
            self.argv(*command), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")

    def start(self, *command: str, log: Path | None, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a process inside, at ``/``; it writes to ``log``, or with None to our own terminal."""
        if log is None:
            return subprocess.Popen(self.argv(*command), stdin=subprocess.DEVNULL, env=env)
        with log.open("wb") as file:
            return subprocess.Popen(
                self.argv(*command), stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, env=env
            )

    def offloads_off(self, interface: str) -> None:
        """Let every frame be what goes over a real wire: with offloading, firmware would see unfinished checksums."""
        self.run("ethtool", "-K", interface, "tx", "off", "tso", "off", "gso", "off", "gro", "off")


class Wire:
    """One broadcast domain. ``rack`` is the namespace of the server and of the machines' ports."""

    def __init__(self, name: str, network: str, logs: Path) -> None:
        self.name = name
        self.network = ipaddress.IPv4Network(network)
        self.server_address = str(self.network[1])
        self.peer_address = str(self.network[2])
        self.recording = logs / f"{name}.pcapng"
        self.logs = logs
        self.rack = Namespace("rack")
        self._recorders: list[subprocess.Popen[bytes]] = []
        ip = self.rack.run
        bridge = ("type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0")
        ip("ip", "link", "add", BRIDGE, "address", _BRIDGE_MAC, *bridge)
        ip("ip", "addr", "add", f"{self.server_address}/{self.network.prefixlen}", "dev", BRIDGE)
        self.rack.offloads_off(BRIDGE)
        ip("ip", "link", "set", BRIDGE, "up")
        advertiser = str(Path(__file__).with_name("advertise.py"))
        self.rack.start(sys.executable, advertiser, BRIDGE, log=logs / f"{name}.advertise.log")

    def plug(self, name: str, sockets: Path) -> str:
        """A port of the bridge for one machine; what QEMU's ``-netdev`` is told, without its id.

        A tap where /dev/net/tun is open to us, else a cable of our own, whose sockets are made in ``sockets``.
        """
        if os.access("/dev/net/tun", os.R_OK | os.W_OK):
            self.rack.run("ip", "tuntap", "add", name, "mode", "tap")
            self._attach(name)
            return f"tap,ifname={name},script=no,downscript=no,vnet_hdr=off"
        self.rack.run("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}m")
        self.rack.offloads_off(f"{name}m")
        self.rack.run("sh", "-c", f"echo 1 >/proc/sys/net/ipv6/conf/{name}m/disable_ipv6")
        self.rack.run("ip", "link", "set", f"{name}m", "up")
        self._attach(name)
        ours, machines = sockets / f"{name}.cable", sockets / f"{name}.machine"
        command = (sys.executable, str(Path(__file__).with_name("cable.py")), f"{name}m", str(ours), str(machines))
        self.rack.start(*command, log=self.logs / f"{self.name}.{name}.cable.log")
        return f"dgram,local.type=unix,local.path={machines},remote.type=unix,remote.path={ours}"

    def _attach(self, interface: str) -> None:
        self.rack.offloads_off(interface)
        self.rack.run("ip", "link", "set", interface, "master", BRIDGE, "up")

    def add_peer(self) -> Namespace:
        """A second host on the wire, at ``peer_address`` on its interface eth0."""
        peer = Namespace("peer")
        self.rack.run(
            "ip", "link", "add", "peer0", "type", "veth", "peer", "name", "eth0", "netns", str(peer.holder.pid)
        )
        self._attach("peer0")
        peer.offloads_off("eth0")
        peer.run("ip", "addr", "add", f"{self.peer_address}/{self.network.prefixlen}", "dev", "eth0")
        peer.run("ip", "link", "set", "eth0", "up")
        return peer

    def record(self) -> None:
        """Record every frame until :meth:`stop_recording`. Returns when the recorders listen.

        With dumpcap, into ``recording``, and with tcpdump too where it runs: it gives up its rights, which a user namespace denies.
        """
        self._start_recorder("dumpcap", "File:", "-q", "-i", BRIDGE, "-w", str(self.recording))
        if shutil.which("tcpdump") is not None:
            # -Z: by nobody else, for the files lie where only this user may write
            words = ("-i", BRIDGE, "-B", "16384", "-Z", "root", "-w", str(self.recording.with_suffix(".pcap")))
            try:
                self._start_recorder("tcpdump", "listening on", *words)
            except RuntimeError:
                self.recording.with_suffix(".pcap").unlink(missing_ok=True)

    def _start_recorder(self, program: str, ready: str, *words: str) -> None:
        log = self.logs / f"{self.name}.{program}.log"
        recorder = self.rack.start(program, *words, log=log)
        deadline = time.monotonic() + 10
        while ready not in log.read_text():
            if recorder.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{program} did not start: {log.read_text().strip()}")
            time.sleep(0.02)
        self._recorders.append(recorder)

    @property
    def recordings(self) -> list[Path]:
        """The same frames, by each recorder that ran."""
        both = (self.recording, self.recording.with_suffix(".pcap"))
        return [path for path in both if path.exists()]

    def stop_recording(self) -> None:
        """End the recording and wait until its files are complete."""
        for recorder in self._recorders:
            if recorder.poll() is None:
                recorder.send_signal(signal.SIGINT)
                recorder.wait(10)

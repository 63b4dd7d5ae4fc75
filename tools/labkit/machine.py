"""One machine: QEMU with a firmware, a network card on a wire, a disk, and its serial console read as it comes.

Knows QEMU's command lines and the lab's marks. What the machine should do is decided by who runs it.
"""

from __future__ import annotations

import enum
import os
import selectors
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from labkit import marks
from labkit.wire import Namespace

DISK_BYTES = 8 << 20


class Firmware(enum.Enum):
    """What a machine is: its board and its firmware."""

    BIOS = "bios"  # SeaBIOS; the card brings iPXE as its option ROM
    UEFI = "uefi"  # OVMF with its own PXE client
    UEFI_HTTP = "uefi-http"  # OVMF, HTTP boot only
    SECURE = "secure"  # OVMF with Microsoft's keys, Secure Boot on


def usable_kvm() -> bool:
    """Whether /dev/kvm can run firmware. Nested software KVM (kvm_pvm) starts SeaBIOS but breaks OVMF and Linux."""
    return os.access("/dev/kvm", os.R_OK | os.W_OK) and not Path("/sys/module/kvm_pvm").exists()


_OVMF = "/usr/share/OVMF/"
_PFLASH = "if=pflash,format=raw,unit="


def _uefi(code: str, variables: str) -> list[str]:
    # snapshot: what a machine writes into its variables is forgotten, so every power-on is alike
    return [
        "-drive",
        f"{_PFLASH}0,readonly=on,file={_OVMF}{code}",
        "-drive",
        f"{_PFLASH}1,snapshot=on,file={_OVMF}{variables}",
    ]


def _without(*support: str) -> list[str]:
    """OVMF's switches: leave these ways of booting from the network out."""
    return [word for name in support for word in ("-fw_cfg", f"name=opt/org.tianocore/{name},string=n")]


_PLAIN = _uefi("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd")
_BOARDS: dict[Firmware, list[str]] = {
    # graphics=off: SeaBIOS, iPXE and pxelinux write to the serial line
    Firmware.BIOS: ["-machine", "pc,graphics=off", "-vga", "none", "-m", "256"],
    Firmware.UEFI: ["-machine", "q35,smm=off", "-m", "384", *_PLAIN, *_without("IPv6PXESupport", "IPv6Support")],
    Firmware.UEFI_HTTP: [
        "-machine", "q35,smm=off", "-m", "384", *_PLAIN, *_without("IPv4PXESupport", "IPv6PXESupport", "IPv6Support"),
    ],
    Firmware.SECURE: [
        "-machine", "q35,smm=on", "-m", "512", *_uefi("OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.ms.fd"),
        "-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=1",
        *_without("IPv6PXESupport", "IPv6Support"),
    ],
}  # fmt: skip


@dataclass(slots=True)
class Machine:
    """Hardware that keeps its disk from one power-on to the next."""

    name: str
    firmware: Firmware
    mac: str
    netdev: str
    """What ``Wire.plug`` said."""
    disk: Path
    nic: str = "virtio-net-pci"
    serial: str = ""
    """Of its SMBIOS."""

    def argv(self) -> list[str]:
        """QEMU's command line. The network comes first in the boot order, the disk second, as in a rack."""
        if not self.disk.exists():
            with self.disk.open("wb") as file:
                file.truncate(DISK_BYTES)
        acceleration = ["-accel", "kvm", "-cpu", "host"] if usable_kvm() else ["-accel", "tcg,thread=multi"]
        # UEFI has its own driver; QEMU's ROM for it would be iPXE, a different machine
        rom = "" if self.firmware is Firmware.BIOS else ",romfile="
        return [
            "qemu-system-x86_64", "-name", self.name, "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
            *acceleration, *_BOARDS[self.firmware], "-smbios", f"type=1,serial={self.serial}", "-device", "virtio-rng-pci",
            "-netdev", f"{self.netdev},id=n0",
            "-device", f"{self.nic},netdev=n0,mac={self.mac},bootindex=0{rom}",
            "-device", "qemu-xhci", "-drive", f"if=none,id=d0,format=raw,file={self.disk}",
            "-device", "usb-storage,drive=d0,bootindex=1",
        ]  # fmt: skip


class Outcome(enum.Enum):
    """How a power-on ended."""

    OFF = "switched off"
    HOPELESS = "gave up"
    TIMEOUT = "took too long"


@dataclass(slots=True)
class PowerOn:
    """What happened between switching a machine on and its end."""

    at: float
    """When, in seconds since the epoch, as the recording of the wire counts."""
    marks: list[tuple[float, marks.Mark]] = field(default_factory=list)
    """Seconds after ``at``, in order."""
    tail: list[str] = field(default_factory=list)
    """The last lines of the console."""
    outcome: Outcome = Outcome.TIMEOUT
    words: str = ""
    """What the console said that was hopeless."""
    lasted_s: float = 0.0

    def mark_at(self, stage: str) -> float | None:
        """Seconds after the power-on at which ``stage`` was first reported, or None."""
        return next((at for at, mark in self.marks if mark.stage == stage), None)

    def detail(self, stage: str) -> str | None:
        """What ``stage`` said when it was first reported, or None."""
        return next((mark.detail for _, mark in self.marks if mark.stage == stage), None)


_TAIL_LINES = 25
_LOOK_EVERY_S = 0.5


def power_on(
    machine: Machine,
    place: Namespace,
    log: Path,
    timeout_s: float,
    watch: Callable[[str], None],
    alive: Callable[[], bool],
) -> PowerOn:
    """Switch ``machine`` on and watch its console until it is off, says something hopeless, or ``timeout_s`` is over.

    When the server is not ``alive`` any more, waiting is hopeless too. The console goes to ``log`` as it is and, cleaned, line by
    line to ``watch``. The machine is off on return.
    """
    power = PowerOn(at=time.time())
    started = time.monotonic()
    process = subprocess.Popen(
        place.argv(*machine.argv()),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    )
    assert process.stdout is not None
    rest = b""
    try:
        with log.open("wb") as file, selectors.DefaultSelector() as ready:
            ready.register(process.stdout, selectors.EVENT_READ)
            while (left := started + timeout_s - time.monotonic()) > 0 and power.outcome is not Outcome.HOPELESS:
                if not alive():
                    power.outcome, power.words = Outcome.HOPELESS, "the server has ended"
                    break
                if not ready.select(min(left, _LOOK_EVERY_S)):
                    continue
                data = process.stdout.read(65536)
                if not data:
                    power.outcome = Outcome.OFF
                    break
                file.write(data)
                file.flush()
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    _take(power, line.decode(errors="replace"), time.monotonic() - started, watch)
                if marks.hopeless(rest.decode(errors="replace")):
                    break  # a prompt ends no line
    finally:
        process.kill()
        process.wait()
    if rest.strip():
        _take(power, rest.decode(errors="replace"), time.monotonic() - started, watch)
    power.lasted_s = time.monotonic() - started
    return power


def _take(power: PowerOn, raw: str, at: float, watch: Callable[[str], None]) -> None:
    """One line of the console."""
    line = marks.plain(raw).rstrip()
    if not line:
        return
    power.tail = [*power.tail[1 - _TAIL_LINES :], line]
    watch(line)
    if mark := marks.parse(line):
        power.marks.append((at, mark))
        if mark.stage == "failed":
            power.words = mark.detail
    if words := marks.hopeless(line):
        power.outcome, power.words = Outcome.HOPELESS, words

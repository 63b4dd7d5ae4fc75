"""tftpd-hpa without installing it: its package and atftpd's exclude each other, and both are to be compared."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from bench.generator import BUILT

ASIDE = BUILT / "aside"
"""Where programs lie that were unpacked; part of the path on which servers are looked for."""
HPA = "in.tftpd-hpa"
_OURS = "/usr/sbin/in.tftpd"


def provide() -> None:
    """tftpd-hpa is there as ``HPA``: the one that is installed, else out of its package. Where neither can be had it stays away."""
    program = ASIDE / HPA
    if program.exists():
        return
    ASIDE.mkdir(parents=True, exist_ok=True)
    if is_hpa(_OURS):
        program.symlink_to(_OURS)
        return
    with tempfile.TemporaryDirectory(prefix="pxenet-bench-") as directory:
        for command in (["apt-get", "download", "-qq", "tftpd-hpa"], ["sh", "-c", "exec dpkg -x tftpd-hpa_*.deb ."]):
            try:
                done = subprocess.run(command, cwd=directory, capture_output=True, check=False, timeout=60)
            except (OSError, subprocess.TimeoutExpired):
                return
            if done.returncode:
                return
        unpacked = Path(directory) / "usr/sbin/in.tftpd"
        if is_hpa(str(unpacked)):
            shutil.copy(unpacked, program)


def is_hpa(program: str) -> bool:
    """Whether this is tftpd-hpa, and runs here; atftpd calls itself in.tftpd, too."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=10)
    except OSError:
        return False
    return "tftp-hpa" in done.stdout + done.stderr

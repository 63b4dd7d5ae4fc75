"""A process space of the lab's own: network, processes and mounts that vanish together with it, however it ends.

Knows namespaces (through util-linux's unshare and setpriv). The first process inside is the lab itself; when it dies, the
kernel kills every machine and server it started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

INSIDE = "--inside"
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def obstacle() -> str:
    """Why the lab cannot run here, with what would help; or "" when it can."""
    if os.geteuid() == 0:
        return ""
    probe = ["unshare", "--user", "--map-root-user", "--net", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        return "the lab needs root: user namespaces are closed to others here: sudo tools/lab"
    return ""


def outside(command: Sequence[str]) -> int:
    """Run ``command`` with ``--inside DIRECTORY`` appended, in a space of its own; its exit status.

    The directory is empty, in memory, and gone afterwards. An ending signal ends everything inside at once.
    """
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    space = ["unshare", *user, "--net", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]
    with tempfile.TemporaryDirectory(prefix="pxenet-lab-") as directory:
        # pdeathsig: even if this process is killed outright, the space goes. Own session: Ctrl-C comes to us alone
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *space, *command, INSIDE, directory],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

        def end(number: int, frame: FrameType | None) -> None:
            process.kill()

        before = {number: signal.signal(number, end) for number in _ENDING}
        try:
            status = process.wait()
        finally:
            process.kill()
            for number, handler in before.items():
                signal.signal(number, handler)
    if status == -signal.SIGKILL:
        print("lab: interrupted; machines and servers are gone", file=sys.stderr)
        return 130
    return status


def inside(directory: Path) -> None:
    """Make ``directory`` a file system in memory that only this space sees."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(directory)], check=True)

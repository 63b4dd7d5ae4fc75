"""A disk that is full, that fails to flush, or that is read-only, in the middle of a lease storm.

The state lies on a small file system in memory, in a mount namespace of the proof's own: full is really full. Failed flushes and a
disk turned read-only come from the kernel's side too, as errors that strace injects into the running server's system calls.

While the fault lasts no ACK leaves without its lease; the server says what is wrong; when it ends, leases are given again by itself.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from provekit.launch import PATIENCE_S, Place, Server, make_place
from provekit.lease_storm import LeaseStorm
from provekit.promises import Promises
from provekit.registry import CannotRunError, Options, Result
from provekit.weaken import WEAK
from pxenet.store.sqlite import DATABASE, MARKER, open_sqlite

_SIZE = "6m"
_CALM_S = 0.4
_RECOVERY_S = 20.0
"""How soon after the fault's end the first new lease must be given."""

_COMPLAINT = "cannot be written"
"""In the line that tells people."""


@dataclass(slots=True)
class _Scene:
    """The server on its small disk, and the load."""

    disk: Path
    place: Place
    server: Server
    storm: LeaseStorm
    promises: Promises
    scratch: Path
    faults: list[str] = field(default_factory=list)

    def load(self, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> int:
        """Ask for so long; how many ACKs came."""
        until, before = time.monotonic() + seconds, self.promises.acks

        def over() -> bool:
            meanwhile()
            return time.monotonic() > until

        self.storm.blow(over)
        return self.promises.acks - before

    def check(self, note: str) -> None:
        """Hold the server still, and look at what is on the disk at this instant."""
        os.kill(self.server.pid(), signal.SIGSTOP)
        try:
            self.storm.take()
            shutil.rmtree(self.scratch, ignore_errors=True)
            self.scratch.mkdir()
            for name in (DATABASE, f"{DATABASE}-wal", MARKER):
                if (self.place.state / name).exists():
                    shutil.copy(self.place.state / name, self.scratch / name)
        finally:
            os.kill(self.server.pid(), signal.SIGCONT)
        store = open_sqlite(self.scratch)
        self.promises.broken_by(store.leases(), store.installs(), note)
        store.close()

    def complaints(self) -> int:
        """Lines so far that say what is wrong."""
        return self.server.said().count(_COMPLAINT)

    def recovery_s(self) -> float:
        """Seconds until the next machine is given an address."""
        began, before = time.monotonic(), self.promises.acks
        while self.promises.acks == before and time.monotonic() - began < _RECOVERY_S:
            self.storm.blow(lambda: self.promises.acks > before or time.monotonic() - began > _RECOVERY_S)
        return time.monotonic() - began


def run(options: Options) -> Result:
    """See the module's text. ``count`` rounds of all faults."""
    command = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        command[1:1] = ["--user", "--map-root-user"]
    for tool in ("strace", "unshare", "setpriv"):
        if shutil.which(tool) is None:
            raise CannotRunError(f"{tool} is missing: apt-get install strace util-linux")
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        raise CannotRunError("no mount namespace can be made here: run it as root")
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r}); "
        f"from provekit.proofs.disk import inside; inside({str(options.directory)!r}, {options.seed}, {options.count}, {options.short})"
    )
    done = subprocess.run(
        ["setpriv", "--pdeathsig", "KILL", *command, sys.executable, "-c", code], stdout=subprocess.PIPE, check=False
    )
    if done.returncode:
        return Result([], [f"the proof itself ended with {done.returncode}"])
    figures, faults = json.loads(done.stdout)
    return Result([(name, value) for name, value in figures], faults)


def inside(directory: str, seed: int, count: int, short: bool) -> None:
    """The proof, in its own mount namespace; prints the result for ``run``."""
    options = Options(seed, count, short, Path(directory), lambda line: None)
    disk = options.directory / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=700", "tmpfs", str(disk)], check=True)
    result = Result()
    for turn in range(count):
        found = _round(options, disk, f"round {turn + 1}", FAULTS)
        result.faults += found.faults
        if turn == 0:
            result.figures = found.figures
    result.figure("rounds", count)
    result.figure("promises broken", len(result.faults))
    weak = "answer before the flush"
    caught = _round(options, disk, "weak", {"failing flush": FAULTS["failing flush"]}, WEAK[weak])
    result.figure(f"caught: {weak}", f"{len(caught.faults)} faults")
    if not caught.faults:
        result.faults.append(f"a server that gives its {weak} was not caught: this proof shows nothing")
    print(json.dumps([result.figures, result.faults]))


def _round(options: Options, disk: Path, name: str, faults: dict[str, Fault], script: str = "") -> Result:
    """One server's life through these faults."""
    result = Result()
    directory = options.directory / name.replace(" ", "-")
    directory.mkdir()
    place = make_place(directory, options.chance("place", name), disk / "state")
    promises = Promises()
    server = Server(place, script=script)
    storm = LeaseStorm(place, promises, options.chance("storm", name), machines=0)
    try:
        if not server.ready():
            raise RuntimeError(server.said())
        scene = _Scene(disk, place, server, storm, promises, directory / "copy")
        for fault in faults:
            _suffer(scene, fault, faults[fault], 0.8 if options.short else 2.0, result)
        if server.stop() != 0:
            result.faults.append(f"the server did not end well: {server.said()[-300:]}")
    finally:
        server.kill()
        storm.close()
        shutil.rmtree(place.state)
    result.figure("ACKs received", promises.acks)
    result.faults = [f"{name}: {fault}" for fault in result.faults + promises.faults]
    return result


def _suffer(scene: _Scene, name: str, fault: Fault, seconds: float, result: Result) -> None:
    """One fault in the middle of the load, and what comes after."""
    scene.load(_CALM_S)
    scene.check(f"before {name}")
    complaints = scene.complaints()
    with fault(scene) as worsen:
        scene.load(_CALM_S, worsen)  # what was on its way when the fault began may still be answered
        acks = scene.load(seconds, worsen)
        scene.check(f"during {name}")
    took = scene.recovery_s()
    scene.load(_CALM_S)
    scene.check(f"after {name}")
    told = scene.complaints() - complaints
    if acks:
        result.faults.append(f"{name}: {acks} new leases were acknowledged while nothing could be written")
    if not told:
        result.faults.append(f"{name}: the server did not say so")
    if took >= _RECOVERY_S:
        result.faults.append(f"{name}: no lease was given within {_RECOVERY_S:g} s after its end")
    result.figure(f"{name}: ACKs during it", acks)
    result.figure(f"{name}: lines that say so", told)
    result.figure(f"{name}: first lease after, s", round(took, 2))


Fault = Callable[[_Scene], contextlib.AbstractContextManager[Callable[[], None]]]
"""Begins when entered and ends when left; what it gives makes it worse again while it lasts."""


@contextlib.contextmanager
def _full(scene: _Scene) -> Iterator[Callable[[], None]]:
    """Another file takes all the space, and whatever becomes free."""
    path = scene.disk / "filler"
    with path.open("ab", buffering=0) as filler:

        def fill() -> None:
            for size in (65_536, 4096):
                try:
                    while filler.write(bytes(size)):
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

        fill()
        try:
            yield fill
        finally:
            path.unlink()


def _injected(calls: str, error: str) -> Fault:
    """These system calls of the running server fail."""

    @contextlib.contextmanager
    def fault(scene: _Scene) -> Iterator[Callable[[], None]]:
        command = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}"]
        with subprocess.Popen(
            [*command, "-p", str(scene.server.pid())], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as strace:
            try:
                assert strace.stderr is not None
                if (
                    not select.select([strace.stderr], [], [], PATIENCE_S)[0]
                    or b"attached" not in strace.stderr.readline()
                ):
                    raise RuntimeError("strace cannot attach to the server")
                yield lambda: None
            finally:
                strace.send_signal(signal.SIGINT)

    return fault


FAULTS: dict[str, Fault] = {
    "disk full": _full,
    "failing flush": _injected("fsync,fdatasync", "EIO"),
    "read-only disk": _injected("pwrite64,ftruncate", "EROFS"),
}

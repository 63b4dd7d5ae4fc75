"""``kill -9`` at any instant loses nothing that was acknowledged. PXENET_KILLS sets how often (default 15)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

from pxenet.store.sqlite import open_sqlite

KILLS = int(os.environ.get("PXENET_KILLS", "15"))
SEED = int(os.environ.get("PXENET_SEED", "20240917"))

# Commits counters: address n % 64 gets n as its time, machine n % 16 the attempts n. Says "n" once n is durable.
CHILD = """
import sys
from pathlib import Path
from pxenet.model import InstallRecord, InstallState, Lease, Verdict
from pxenet.store.sqlite import open_sqlite

store = open_sqlite(Path(sys.argv[1]))
n, last = int(sys.argv[2]), 0
while True:
    batch = []
    for _ in range(n % 7 + 1):
        n += 1
        batch += [
            Lease(n % 64, b"identity", b"mac", float(n)),
            InstallRecord(str(n % 16), InstallState.BOOTED, attempts=n),
        ]
    assert set(store.commit(batch)) == {Verdict.DURABLE}
    sys.stdout.write(f"{n}\\n")
    sys.stdout.flush()
"""


def kill_after(directory: Path, start: int, delay_s: float) -> int:
    """Runs the child from counter ``start``, kills it ``delay_s`` after its first word; the last counter it acknowledged.

    Now and then the kill comes at once, while the store is still being opened or made.
    """
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(directory), str(start)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    acknowledged = start
    with child:
        timer = threading.Timer(delay_s, lambda: os.kill(child.pid, signal.SIGKILL))
        timer.start()
        for line in child.stdout:
            if line.endswith("\n"):
                acknowledged = int(line)
        timer.join()
    assert child.returncode == -signal.SIGKILL
    return acknowledged


def test_no_acknowledged_item_is_lost(tmp_path: Path) -> None:
    """After each kill the store opens by itself and holds every acknowledged counter, or a later one, never an earlier."""
    chance = random.Random(SEED)
    directory = tmp_path / "state"
    secret, acknowledged, progressed = None, 0, 0
    for kill in range(KILLS):
        before = acknowledged
        acknowledged = kill_after(directory, acknowledged, chance.uniform(0.05, 0.45))
        progressed += acknowledged > before
        store = open_sqlite(directory)
        note = f"seed {SEED}, kill {kill}, acknowledged {acknowledged}"
        times = {lease.address: int(lease.expires_at) for lease in store.leases()}
        attempts = {record.key: record.attempts for record in store.installs()}
        for n in range(max(1, acknowledged - 63), acknowledged + 1):
            assert times[n % 64] >= n, note
        for n in range(max(1, acknowledged - 15), acknowledged + 1):
            assert attempts[str(n % 16)] >= n, note
        # A batch is one transaction: both tables end at the same counter.
        assert max(times.values(), default=0) == max(attempts.values(), default=0), note
        assert secret in (None, store.secret()), note
        secret = store.secret()
        acknowledged = max(times.values(), default=0)
        store.close()
    assert progressed >= KILLS // 3, "the machine was too slow for this test to mean anything"

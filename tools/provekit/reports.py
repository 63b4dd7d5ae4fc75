"""Machines' reports about their installation (HTTP callbacks), one after the other beside a storm.

Knows tokens as the server makes them; arms machines again between two lives of the server, as ``pxenet reinstall`` would.
"""

from __future__ import annotations

import socket
import threading
import time
from random import Random

from provekit.launch import Place
from provekit.promises import Promises
from pxenet.engine.install import Installs
from pxenet.model import InstallState
from pxenet.store.base import Store

_OUTCOMES = {"installed": InstallState.INSTALLED, "failed": InstallState.FAILED}


class Reporter:
    """The machines that report. ``begin`` and ``end`` enclose one life of the server."""

    def __init__(self, place: Place, promises: Promises, chance: Random) -> None:
        self._place = place
        self._promises = promises
        self._chance = chance
        self._armed: dict[str, tuple[int, str]] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.accepted: list[str] = []
        """Keys whose report was answered 200, in the order in which they were."""

    def arm(self, store: Store) -> None:
        """Look where all machines stand; arm most of those that are done again."""
        records = list(store.installs())
        installs = Installs(records, store.secret(), keys=self._place.keys)
        done = [record.key for record in records if not installs.armed(record.key)]
        again = [key for key in done if self._chance.random() < 0.7]
        changes = [change for key in again for change in installs.rearm(key, time.time())[0]]
        store.commit(changes)
        self._armed = {}
        for key in self._place.keys:
            record = installs.record(key)
            if installs.armed(key):
                self._armed[key] = (record.generation if record is not None else 1, installs.token(key))

    def begin(self) -> None:
        """Report, in a thread, one machine after the other."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._report_all, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop reporting."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _report_all(self) -> None:
        for key in self._chance.sample(sorted(self._armed), len(self._armed)):
            if self._stopping.wait(self._chance.uniform(0, 0.03)):
                return
            generation, token = self._armed[key]
            outcome = "failed" if self._chance.random() < 0.15 else "installed"
            if self._status(f"/{outcome}/{token}") == 200:
                self.accepted.append(key)
                self._promises.accepted(key, generation, _OUTCOMES[outcome])

    def _status(self, path: str) -> int:
        """The status of the answer; 0 when none came whole."""
        try:
            with socket.create_connection(("127.0.0.1", self._place.ports["http"]), 5) as sock:
                sock.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
                answer = b"".join(iter(lambda: sock.recv(4096), b""))
        except OSError:
            return 0
        return int(answer[9:12]) if b"\r\n\r\n" in answer and answer.startswith(b"HTTP/1.1 ") else 0

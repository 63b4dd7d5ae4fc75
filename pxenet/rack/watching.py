"""Answer files as they are given out: counted, and every one recorded."""

from __future__ import annotations

from collections.abc import Callable

from pxenet.engine.readings import Readings
from pxenet.events import Event
from pxenet.model import Asker, Host


class Watching:
    """See ``content.rendered.Watch``. ``say`` takes the records."""

    def __init__(self, readings: Readings, say: Callable[[Event], None]) -> None:
        self._readings = readings
        self._say = say

    def handed(self, host: Host, now: float) -> None:
        """The machine is given a boot text that names its answer file."""
        self._readings.handed(host.key, now)

    def read(self, host: Host, path: str, asker: Asker, now: float) -> None:
        """Its answer file is given out."""
        detail = {
            "path": path,
            "count": self._readings.read(host.key),
            "most": self._readings.most,
            "evidence": asker.evidence or "the token in its name alone",
        }
        self._say(Event("answer.read", host.mac or b"", asker.address, detail))

"""The pytest plugin: ``pytest --pxenet-config rack.toml captures/`` makes each boot in each capture a test item.

Without the option it does nothing, and imports nothing: whoever has pxenet installed pays for it in no other test run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pxenet.answer.engines import Engine
    from pxenet.config import Settings
    from pxenet.replay.result import BootResult

_ENDINGS = (".pcap", ".pcapng", ".cap", ".pcap.gz", ".pcapng.gz")


@dataclass(frozen=True, slots=True)
class _Stage:
    """What all captures are replayed before."""

    settings: Settings
    engine: Engine


_STAGE: pytest.StashKey[_Stage] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--pxenet-config`` and ``--pxenet-expect``."""
    group = parser.getgroup("pxenet", "captured network boots as tests")
    group.addoption(
        "--pxenet-config",
        metavar="FILE",
        help="replay each boot of the captures that are collected before this configuration",
    )
    group.addoption(
        "--pxenet-expect", metavar="FILE", help="compare with the answers that pxenet replay --expect pinned"
    )


def pytest_sessionstart(session: pytest.Session) -> None:
    """Reads the configuration, so that what is wrong with it is said once."""
    wanted = session.config.getoption("--pxenet-config")
    if wanted is None:
        return
    from pxenet.answer.confined import Confined
    from pxenet.config import ConfigError, load

    try:
        settings = load(Path(wanted))
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from error
    engine = Confined(again_s=math.inf)
    session.config.add_cleanup(engine.close)
    session.config.stash[_STAGE] = _Stage(settings, engine)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A capture is a file of tests."""
    if _STAGE not in parent.config.stash or not file_path.name.endswith(_ENDINGS):
        return None
    return CaptureFile.from_parent(parent, path=file_path)


class CaptureFile(pytest.File):
    """A capture."""

    def collect(self) -> Iterator[pytest.Item]:
        """Its boots; they are replayed together, for they share a network."""
        from pxenet.replay.golden import GoldenError, surprises
        from pxenet.replay.run import ReplayError, replay_settings

        expect = self.config.getoption("--pxenet-expect")
        stage = self.config.stash[_STAGE]
        try:
            found = replay_settings(self.path, stage.settings, {}, engine=stage.engine)
            departs = surprises(found, Path(expect)) if expect is not None else None
        except (ReplayError, GoldenError, OSError) as error:
            raise self.CollectError(str(error)) from error
        for result in found:
            name = f"boot {result.number} {result.mac}"
            wrong = departs.get(result.title, []) if departs is not None else None
            item = BootItem.from_parent(self, name=name)
            item.result, item.departs = result, wrong
            yield item


class BootItem(pytest.Item):
    """One boot: passes when it comes to a good end, or is as expected."""

    result: BootResult
    obj: object = None
    """No function stands behind it; pytest-trio in trio mode asks every item for one."""
    departs: list[str] | None
    """How it departs from what was expected; None: nothing was expected, so it has to come to a good end."""

    def runtest(self) -> None:
        """The replay is done already; this tells what came of it."""
        if self.departs or (self.departs is None and not self.result.good):
            raise BootFailure

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """What a person needs, and no traceback of ours."""
        if not isinstance(excinfo.value, BootFailure):
            return str(super().repr_failure(excinfo))
        from pxenet.replay.report import details, headline

        told = [*(self.departs or []), headline(self.result)]
        return "\n".join([*told, *(f"  {line}" for line in details(self.result, cared_for=True))])

    def reportinfo(self) -> tuple[Path, None, str]:
        """Which boot of which capture."""
        return self.path, None, self.result.title


class BootFailure(Exception):  # noqa: N818 - never seen by anybody
    """A boot that does not come to a good end."""

"""Several captures replayed, each before a server of its own that knows nothing yet, by one process or more."""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from pxenet.answer.confined import Confined
from pxenet.answer.engines import HERE, Engine
from pxenet.capture.reading import CaptureError
from pxenet.config import Settings, load
from pxenet.model import Host
from pxenet.replay.play import parts_of, play
from pxenet.replay.recorded import Recorded, read
from pxenet.replay.result import BootResult, results

_AT_ONCE = 64
"""Captures that a process takes at once: few enough that the others have work until the end."""


class ReplayError(Exception):
    """What cannot be replayed: the capture, or a wish that does not fit it. The message says which, and what would be right."""


def replay(
    captures: Sequence[Path],
    config: Path,
    *,
    mapped: Mapping[bytes, str] | None = None,
    boot: int | None = None,
    jobs: int = 1,
) -> Iterator[BootResult]:
    """Each boot's result, in order. ``mapped``: hardware address → name of a host; ``boot``: that one of each capture alone.

    Raises ReplayError, and ConfigError for the configuration.
    """
    chosen = dict(mapped or {})
    if jobs <= 1 or len(captures) < 2:
        yield from replay_some(captures, config=config, mapped=chosen, boot=boot)
        return
    load(config)  # what is wrong with it is said once, here
    some = partial(_replayed, config=config, mapped=chosen, boot=boot)
    size = max(1, min(_AT_ONCE, len(captures) // (4 * jobs)))
    batches = [captures[at : at + size] for at in range(0, len(captures), size)]
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(min(jobs, len(batches)), mp_context=context) as pool:
        for found in pool.map(some, batches):
            yield from found


def replay_some(
    captures: Sequence[Path], *, config: Path, mapped: Mapping[bytes, str], boot: int | None
) -> Iterator[BootResult]:
    """Several captures by this process, which reads the configuration once. Raises as :func:`replay` does."""
    settings = load(config)
    with Confined(again_s=math.inf) as engine:
        for path in captures:
            yield from replay_settings(path, settings, mapped, boot, engine)


def _replayed(
    captures: Sequence[Path], *, config: Path, mapped: Mapping[bytes, str], boot: int | None
) -> list[BootResult]:
    return list(replay_some(captures, config=config, mapped=mapped, boot=boot))


def replay_settings(
    path: Path,
    settings: Settings,
    mapped: Mapping[bytes, str],
    boot: int | None = None,
    engine: Engine = HERE,
) -> list[BootResult]:
    """One capture before settings that were read already. Raises ReplayError."""
    recorded = boots_of(path, boot)
    hosts = {mac: host_of(settings, name) for mac, name in mapped.items()}
    return results(play(settings, parts_of(recorded, hosts), engine=engine))


def boots_of(path: Path, boot: int | None = None) -> list[Recorded]:
    """The boots of a capture; ``boot``: that one alone. Raises ReplayError when there is none."""
    try:
        recorded = read(path)
    except (CaptureError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ReplayError(f"{path} cannot be read: {reason}") from error
    if boot is not None:
        recorded = [one for one in recorded if one.number == boot]
        if not recorded:
            raise ReplayError(f"{path} has no boot {boot}; without --boot each of them is taken, and numbered")
    if not recorded:
        raise ReplayError(f"{path} shows no boot: no DHCP, TFTP or HTTP request of any machine is in it")
    return recorded


def host_of(settings: Settings, name: str) -> Host:
    host = settings.host(name)
    if host is None:
        known = ", ".join(sorted(one.name for one in settings.hosts)) or "none"
        raise ReplayError(f'there is no host "{name}" to stand for; known hosts: {known}')
    return host

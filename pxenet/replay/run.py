"""Several captures replayed, each before a server of its own that knows nothing yet, by one process or more."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from pxenet.capture.pcap import CaptureError
from pxenet.config import Settings, load
from pxenet.model import Host
from pxenet.replay.play import play
from pxenet.replay.recorded import read
from pxenet.replay.result import BootResult, results


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
    one = partial(replay_one, config=config, mapped=dict(mapped or {}), boot=boot)
    if jobs <= 1 or len(captures) < 2:
        settings = load(config)
        for path in captures:
            yield from replay_settings(path, settings, mapped or {}, boot)
        return
    load(config)  # what is wrong with it is said once, here
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(min(jobs, len(captures)), mp_context=context) as pool:
        for found in pool.map(one, captures, chunksize=max(1, min(16, len(captures) // (4 * jobs)))):
            yield from found


def replay_one(path: Path, *, config: Path, mapped: Mapping[bytes, str], boot: int | None) -> list[BootResult]:
    """One capture, by a process of its own."""
    return replay_settings(path, load(config), mapped, boot)


def replay_settings(
    path: Path, settings: Settings, mapped: Mapping[bytes, str], boot: int | None = None
) -> list[BootResult]:
    """One capture before settings that were read already. Raises ReplayError."""
    try:
        recorded = read(path)
    except (CaptureError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ReplayError(f"{path} cannot be read: {reason}") from error
    hosts = {mac: _host(settings, name) for mac, name in mapped.items()}
    if boot is not None:
        recorded = [one for one in recorded if one.number == boot]
        if not recorded:
            raise ReplayError(f"{path} has no boot {boot}; without --boot all of them are replayed and numbered")
    if not recorded:
        raise ReplayError(f"{path} shows no boot: no DHCP, TFTP or HTTP request of any machine is in it")
    return results(play(settings, recorded, hosts))


def _host(settings: Settings, name: str) -> Host:
    host = settings.host(name)
    if host is None:
        known = ", ".join(sorted(one.name for one in settings.hosts)) or "none"
        raise ReplayError(f'there is no host "{name}" to stand for; known hosts: {known}')
    return host

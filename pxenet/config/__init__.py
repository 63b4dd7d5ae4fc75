"""The configuration: one TOML file → :class:`Settings`, or a :class:`ConfigError` with everything that is wrong with it.

The keys are described once, in ``schema``; ``load`` imports it (and pydantic) only when called, because a server that runs
without a file needs neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pxenet.config.paths import absolute, default_state, unreadable
from pxenet.config.problems import ConfigError, Problem, Source
from pxenet.config.settings import (
    Boot,
    Dhcp,
    Http,
    ProfileTree,
    Server,
    Settings,
    Tftp,
    Unknown,
)
from pxenet.config.start import start_notes, start_problems
from pxenet.engine.dhcp import DhcpMode, Subnet

__all__ = [
    "Boot",
    "ConfigError",
    "Dhcp",
    "DhcpMode",
    "Http",
    "Problem",
    "ProfileTree",
    "Server",
    "Settings",
    "Source",
    "Subnet",
    "Tftp",
    "Unknown",
    "defaults",
    "from_text",
    "load",
    "start_notes",
    "start_problems",
    "with_options",
]


def load(path: Path, running: Settings | None = None) -> Settings:
    """The settings in a file. Relative paths in it are relative to its directory. Raises :class:`ConfigError`.

    ``running``: those that this process serves by; a certificate that it holds already need not be readable any more.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError([Problem(str(path), None, "", f"cannot be read: {reason}", "")]) from error
    return from_text(text, path.parent, file=str(path), running=running)


def from_text(text: str, base: Path, *, file: str = "", running: Settings | None = None) -> Settings:
    """The settings in a TOML text, relative paths being relative to ``base``. Raises :class:`ConfigError`; ``running`` as ``load``."""
    from pxenet.config.reading import read

    return read(text, base, file, running)


def defaults() -> Settings:
    """What holds without a configuration: ProxyDHCP on all interfaces, no addresses given out, nobody installed."""
    return Settings(server=Server(state=default_state()))


def with_options(settings: Settings, interfaces: Sequence[str] = (), root: Path | None = None) -> Settings:
    """The settings with what a command line says in place of ``server.interface`` and ``server.root``. Raises :class:`ConfigError`."""
    server = settings.server
    if interfaces:
        server = replace(server, interfaces=tuple(interfaces))
    if root is not None:
        path = absolute(str(root), Path.cwd())
        reason = unreadable(path, directory=True)
        if reason is not None:
            raise ConfigError([Problem("", None, "--root", f"{path} {reason}", "name a directory that can be read")])
        server = replace(server, root=path)
    return replace(settings, server=server)

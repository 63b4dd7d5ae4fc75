"""Where things are on disk: paths relative to the configuration file, and where state is kept when nobody says."""

from __future__ import annotations

import os
from pathlib import Path


def absolute(text: str, base: Path) -> Path:
    """The path a configuration means: ``~`` is the user's home, anything relative is relative to ``base``. Links stay as they are."""
    return Path(os.path.normpath(Path(base).absolute() / Path(text).expanduser()))


def default_state() -> Path:
    """The directory of the store when none is configured: the system's when run as root, else the user's own (XDG)."""
    if os.geteuid() == 0:
        return Path("/var/lib/pxenet")
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(home) / "pxenet"

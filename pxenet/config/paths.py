"""Where things are on disk: paths relative to the configuration file, what can be read, where state is kept when nobody says."""

from __future__ import annotations

import os
import stat
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


FORBIDDEN = "may not be read by this user"


def unreadable(path: Path, directory: bool = False) -> str | None:
    """Why a file (or directory) cannot be read, in words that follow its path; None when it can."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        known = {"FileNotFoundError": "does not exist", "PermissionError": FORBIDDEN}
        return known.get(type(error).__name__, f"cannot be read: {error.strerror}")
    if directory and not stat.S_ISDIR(mode):
        return "is not a directory"
    if not directory and not stat.S_ISREG(mode):
        return "is a directory" if stat.S_ISDIR(mode) else "is not a file"
    allowed = os.access(path, os.R_OK | (os.X_OK if directory else 0))
    return None if allowed else FORBIDDEN

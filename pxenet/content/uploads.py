"""Files that clients write (TFTP WRQ, where it is configured): whole or not at all, and never outside the root."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from pxenet.content.directory import open_beneath
from pxenet.content.tree import normalise
from pxenet.model import Absent, Missing

_REASONS = dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), Missing.FULL) | dict.fromkeys(
    (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.EAGAIN), Missing.UNAVAILABLE
)
"""What is no verdict on the name or the client; every other error is."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def save(root: Path | None, raw_path: str, data: bytes) -> Absent | None:
    """Keep ``data`` under the name as a client spelled it, replacing an older file of that name; the reason when it cannot be kept.

    Directories are not made: who allows writing decides where by making them.
    """
    path = normalise(raw_path)
    if root is None:
        return Absent(Missing.DENIED, "tftp.allow_write needs server.root, the directory to write to")
    if not path:
        return Absent(Missing.BAD_NAME, f"{raw_path[:200]!r} cannot be the name of a file")
    directory, _, name = path.rpartition("/")
    try:
        parent = open_beneath(os.fspath(root), directory or ".", _DIRECTORY)
    except OSError as error:
        return _refusal(error, f"{directory or '/'} cannot be written to")
    # A reader meets the old file or the new one, never half of it; a leading dot keeps the half out of listings' way.
    partial = f".{name[:200]}.partial"
    try:
        fd = os.open(
            partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=parent
        )
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(partial, name, src_dir_fd=parent, dst_dir_fd=parent)
    except OSError as error:
        return _refusal(error, f"{path} cannot be written")
    finally:
        os.close(parent)
    return None


def _refusal(error: OSError, what: str) -> Absent:
    return Absent(_REASONS.get(error.errno or 0, Missing.DENIED), f"{what}: {error.strerror}")

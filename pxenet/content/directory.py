"""A directory of the server's file system as a source of the tree.

Knows how to open a file so that neither a symbolic link nor a race leads out of the root (openat2(2) with RESOLVE_BENEATH; where
the kernel or a sandbox lacks it, a walk that follows no link). Must not know protocols. Names arrive normalised by
``content.tree``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Mapping
from pathlib import PurePath
from types import MappingProxyType
from typing import NamedTuple
from weakref import WeakValueDictionary

from pxenet.content.tree import Entry
from pxenet.model import Absent, Asker, Content, Missing, Region, Role

DEFAULT_MIME = "application/octet-stream"

# edk2 decides by the type what a downloaded image is, and knows the first three; no charset parameter, it compares whole values.
MIME_TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".efi": "application/efi",
        ".iso": "application/vnd.efi-iso",
        ".img": "application/vnd.efi-img",
        ".html": "text/html",
        ".htm": "text/html",
        ".css": "text/css",
        ".txt": "text/plain",
        ".cfg": "text/plain",
        ".conf": "text/plain",
        ".ks": "text/plain",
        ".ipxe": "text/plain",
        ".log": "text/plain",
        ".js": "text/javascript",
        ".json": "application/json",
        ".xml": "application/xml",
        ".yaml": "application/yaml",
        ".yml": "application/yaml",
        ".png": "image/png",
        ".svg": "image/svg+xml",
        ".pdf": "application/pdf",
    }
)


def mime_type(name: str) -> str:
    """The media type that a file name stands for; ``.img.gz`` is not an ``.img``."""
    return MIME_TYPES.get(os.path.splitext(name)[1].lower(), DEFAULT_MIME)


class OpenFile:
    """A file descriptor that is closed when nobody refers to it any more."""

    __slots__ = ("__weakref__", "fd")

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)


class _Identity(NamedTuple):
    """What differs when a file was replaced, written, truncated, or may be read by others than before (inode(7))."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


def _identity(status: os.stat_result) -> _Identity:
    return _Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class _FileStanding:
    """See ``model.Standing``: the name is walked again, beneath the root, and must lead to the same file unchanged."""

    __slots__ = ("_identity", "_inside", "_root")

    def __init__(self, root: str, inside: str, identity: _Identity) -> None:
        self._root = root
        self._inside = inside
        self._identity = identity

    @property
    def changed_at(self) -> float:
        return self._identity.changed_ns / 1e9

    def holds(self) -> bool:
        try:
            fd = open_beneath(self._root, self._inside, _LOOK)
        except OSError:
            return False
        try:
            return _identity(os.fstat(fd)) == self._identity
        finally:
            os.close(fd)


class Directory:
    """The files below ``root``, under ``prefix`` in the tree.

    ``role`` and ``profile`` are what reading them proves; ``roles`` says it for single names of the tree (a profile's kernel).
    Symbolic links work as long as they stay inside. The root is looked up anew for each request: an administrator may swap
    it below a running server, and its absence is an ordinary "not found".
    """

    def __init__(
        self,
        root: str | PurePath,
        prefix: str = "",
        *,
        role: Role = Role.FILE,
        profile: str = "",
        roles: Mapping[str, Role] | None = None,
    ) -> None:
        self._root = os.fspath(root)
        self._prefix = prefix.strip("/")
        self._role = role
        self._profile = profile
        self._roles = dict(roles or {})
        # A thousand machines that read one kernel share one descriptor; a changed file is another key.
        self._open: WeakValueDictionary[tuple[int, int, int, int], OpenFile] = WeakValueDictionary()

    def find(self, path: str, asker: Asker, now: float) -> Content | Absent | None:
        """The file of that name; None when there is none (or it is a directory); an Absent when it must not or cannot be read."""
        inside = self._inside(path)
        if not inside:
            return None
        try:
            fd = open_beneath(self._root, inside, _READ)
        except OSError as error:
            return _refusal(error, path)
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            return None
        key = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
        file = self._open.get(key)
        if file is None:
            file = self._open[key] = OpenFile(fd)
        else:
            os.close(fd)
        segments = (Region(file, 0, status.st_size),) if status.st_size else ()
        return Content(
            path,
            segments,
            status.st_size,
            int(status.st_mtime),
            f'"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"',
            mime_type(path),
            self._roles.get(path, self._role),
            self._profile,
            standing=_FileStanding(self._root, inside, _identity(status)),
        )

    def claims(self, path: str) -> bool:
        """The name lies in this directory, whether there is such a file or not."""
        return bool(self._inside(path))

    def entries(self, path: str) -> list[Entry] | None:
        """What is in that directory: files and directories that may be read, no devices, no links that lead out."""
        inside = self._inside(path)
        if inside is None:
            return self._way_to_prefix(path)
        try:
            fd = open_beneath(self._root, inside or ".", _READ | os.O_DIRECTORY)
        except OSError:
            return None
        try:
            with os.scandir(fd) as listing:
                return [entry for item in listing if (entry := self._entry(inside, item)) is not None]
        except OSError:
            return None
        finally:
            os.close(fd)

    def _inside(self, path: str) -> str | None:
        """The name below our root of a name in the tree; None when it is not below our prefix."""
        if not self._prefix or path == self._prefix:
            return "" if self._prefix else path
        return path[len(self._prefix) + 1 :] if path.startswith(self._prefix + "/") else None

    def _way_to_prefix(self, path: str) -> list[Entry] | None:
        """Directories that lead to our prefix exist too: ``profile`` has the entry ``alma9``."""
        way = f"{path}/" if path else ""
        if not self._prefix.startswith(way):
            return None
        return [Entry(self._prefix[len(way) :].partition("/")[0], directory=True)]

    def _entry(self, inside: str, item: os.DirEntry[str]) -> Entry | None:
        try:
            if item.is_symlink():
                fd = open_beneath(self._root, os.path.join(inside, item.name), _LOOK)
                try:
                    status = os.fstat(fd)
                finally:
                    os.close(fd)
            else:
                status = item.stat(follow_symlinks=False)
        except OSError:  # gone meanwhile, or a link that leads nowhere or out
            return None
        if stat.S_ISDIR(status.st_mode):
            return Entry(item.name, True, 0, int(status.st_mtime))
        if stat.S_ISREG(status.st_mode):
            return Entry(item.name, False, status.st_size, int(status.st_mtime))
        return None


_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENXIO, errno.ENODEV})
"""ENXIO and ENODEV: a socket or a device without a driver, which are no files for us either."""

_ESCAPES = frozenset({errno.EXDEV, errno.ELOOP})

_DENIALS = frozenset({errno.EACCES, errno.EPERM})


def _refusal(error: OSError, path: str) -> Absent | None:
    if error.errno in _ABSENT:
        return None
    if error.errno in _ESCAPES:
        return Absent(
            Missing.DENIED, f"{path} is or lies behind a symbolic link that leads out of the served directory"
        )
    if error.errno == errno.ENAMETOOLONG:
        return Absent(Missing.BAD_NAME, f"{path} is too long a name")
    if error.errno in _DENIALS:
        return Absent(Missing.DENIED, f"{path} cannot be read: {error.strerror}")
    # Nothing is wrong with the name: the machine is short of something, or its disk fails.
    return Absent(Missing.UNAVAILABLE, error.strerror or str(error))


# O_NONBLOCK: a FIFO among the files must not stop the server at open(2). It means nothing for regular files.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_CLOEXEC

_OPENAT2 = 437  # one number on all architectures
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_BENEATH = 0x08

# struct open_how: flags, mode, resolve (openat2(2)).
_OPEN_HOW = struct.Struct("=QQQ")

_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long
_syscall.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]

_ATTEMPTS = 3
"""EAGAIN from openat2 says that a rename elsewhere made the kernel unsure; it asks to be tried again."""


def open_beneath(root: str, path: str, flags: int) -> int:
    """Open a relative path without leaving ``root``, whatever links say and whoever renames meanwhile.

    Raises OSError; EXDEV or ELOOP when a link leads out. Absolute links work when they point back inside.
    """
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            return _open_by_kernel(root_fd, path, flags)
        except OSError as error:
            # EXDEV: RESOLVE_BENEATH refuses every absolute link, also one to our own inside. ENOSYS, EPERM: an old kernel or a
            # sandbox. EAGAIN: a directory that is busily renamed.
            if error.errno not in (errno.EXDEV, errno.ENOSYS, errno.EPERM, errno.EAGAIN):
                raise
        return _open_by_walking(root, root_fd, path, flags)
    finally:
        os.close(root_fd)


def _open_by_kernel(root_fd: int, path: str, flags: int) -> int:
    how = _OPEN_HOW.pack(flags, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    name = os.fsencode(path)
    number = errno.EAGAIN
    for _ in range(_ATTEMPTS):
        fd: int = _syscall(_OPENAT2, root_fd, name, how, _OPEN_HOW.size)
        if fd >= 0:
            return fd
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(number, os.strerror(number), path)


def _open_by_walking(root: str, root_fd: int, path: str, flags: int) -> int:
    """Resolve all links, look where that leads, then walk there following none: a link put in the way meanwhile stops it."""
    real_root = os.path.realpath(root)
    real = os.path.realpath(os.path.join(root, path))
    if real != real_root and not real.startswith(real_root.rstrip("/") + "/"):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    *way, last = os.path.relpath(real, real_root).split("/")
    fd = os.dup(root_fd)
    try:
        for part in way:
            below = os.open(part, _LOOK | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
            os.close(fd)
            fd = below
        return os.open(last, flags | os.O_NOFOLLOW, dir_fd=fd)
    finally:
        os.close(fd)

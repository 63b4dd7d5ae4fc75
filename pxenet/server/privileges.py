"""From root to an ordinary user, once the ports are bound."""

from __future__ import annotations

import os
import pwd
from pathlib import Path


class UserError(Exception):
    """The configured user cannot be used; the message says why and what would be right."""


def find_user(name: str) -> pwd.struct_passwd:
    """The account called ``name``. Raises UserError."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise UserError(
            f"server.user: there is no user {name!r} on this machine; create it with: useradd --system {name}"
        ) from None


def hand_over(directory: Path, user: pwd.struct_passwd) -> None:
    """Give ``directory`` and the files in it to ``user``, so that the state can still be written afterwards."""
    for path in (directory, *directory.iterdir()):
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def drop(user: pwd.struct_passwd) -> None:
    """Become ``user`` for good: groups, group, user, in the order that leaves no way back."""
    os.initgroups(user.pw_name, user.pw_gid)
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    try:
        os.setresuid(0, 0, 0)
    except PermissionError:
        return
    raise RuntimeError("privileges were dropped but could be taken back")

"""From root to an ordinary user, once the ports are bound."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

_OURS = "pxenet."
"""How the names of all files of a store begin."""


class UserError(Exception):
    """The configured user cannot be used: why, and what would be right."""

    def __init__(self, wrong: str, right: str) -> None:
        super().__init__(wrong)
        self.wrong = wrong
        self.right = right


def find_user(name: str) -> pwd.struct_passwd:
    """The account called ``name``. Raises UserError."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise UserError(
            f'there is no user "{name}" on this machine', f"create it with: useradd --system {name}"
        ) from None


def hand_over(directory: Path, user: pwd.struct_passwd) -> None:
    """Give ``directory`` and the store in it to ``user``, so that it can still be written afterwards; made if it is not there.

    Raises UserError when the directory holds other things too: root must not give away what is not the server's.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        strangers = sorted(path.name for path in directory.iterdir() if not path.name.startswith(_OURS))
        if strangers and directory.stat().st_uid != user.pw_uid:
            raise UserError(
                f'{directory} is not the server\'s alone ("{strangers[0]}" is in it), so {user.pw_name} is not made its owner',
                f"name a directory of its own, or make it {user.pw_name}'s yourself",
            )
        for path in (directory, *directory.glob(f"{_OURS}*")):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    except OSError as error:
        raise UserError(f"{directory} cannot be given to {user.pw_name}: {error.strerror}", "") from error


def drop(user: pwd.struct_passwd) -> None:
    """Become ``user`` for good: groups, group, user, in the order that leaves no way back."""
    os.initgroups(user.pw_name, user.pw_gid)  # its own groups in place of root's
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    try:
        os.setresuid(0, 0, 0)
    except PermissionError:
        return
    raise RuntimeError("privileges were dropped but could be taken back")

"""How many files this process may have open, and how many of those the connections of clients may take."""

from __future__ import annotations

import resource

WANTED = 65_536
"""As in tools/pxenet.service. A login shell gives 1024: a rack that installs at once has used those up."""

_MOST_CONNECTIONS = 2000


def raise_open_files(wanted: int = WANTED) -> int:
    """Allow as many open files as are wanted and permitted; returns how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    permitted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < permitted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (permitted, hard))
        soft = permitted
    return wanted if soft == resource.RLIM_INFINITY else soft


def connections(open_files: int) -> int:
    """HTTP connections to have at most: half the open files are left for what is served, over TFTP too."""
    return max(1, min(_MOST_CONNECTIONS, open_files // 2))

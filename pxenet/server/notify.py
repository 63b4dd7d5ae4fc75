"""Telling the service manager how we are: the readiness protocol of sd_notify(3), one datagram per message."""

from __future__ import annotations

import os
import socket
import time


def notify(state: str) -> bool:
    """Send e.g. ``READY=1`` or ``STOPPING=1``; False when nobody asked for it ($NOTIFY_SOCKET)."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return False
    # A leading @ stands for the NUL of Linux's abstract namespace.
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
        try:
            manager.sendto(state.encode(), address)
        except OSError:
            return False
    return True


def reloading() -> bool:
    """Another configuration is being read: to be followed by ``READY=1``, whatever becomes of it."""
    return notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

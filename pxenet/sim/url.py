"""URLs out of texts that came from the network: taken apart and joined; one that is none ends the boot in words."""

from __future__ import annotations

from urllib.parse import SplitResult, urljoin, urlsplit

from pxenet.sim.body import BootError

_TFTP, _STAND_IN = "tftp://", "http://tftp."


def split(url: str) -> SplitResult:
    """Its parts. BootError: nobody can read it."""
    try:
        return urlsplit(url)
    except ValueError as error:
        raise BootError(f"{url!r} is no URL: {error}") from error


def join(base: str, name: str) -> str:
    """A name relative to where the text came from; an absolute URL stays as it is. ``tftp://`` too, which the library leaves out."""
    if "://" in name:
        return name
    try:
        joined = urljoin(base.replace(_TFTP, _STAND_IN, 1) if base.startswith(_TFTP) else base, name)
    except ValueError as error:
        raise BootError(f"{name!r} cannot be read relative to {base}: {error}") from error
    return joined.replace(_STAND_IN, _TFTP, 1) if joined.startswith(_STAND_IN) else joined

"""shim: reads the next program from where it came from, and a few files that need not be there (``netboot.c``, ``httpboot.c``).

Facts: pxe.md §8. It knows ``siaddr`` and ``file`` of the header only; EDK2's driver reads for it, in blocks of 512.
"""

from __future__ import annotations

from pxenet.sim import http, tftp
from pxenet.sim.body import Body, BootError, Stage, Steps
from pxenet.sim.programs import Outcome, Reader, Start, try_file
from pxenet.sim.tftp import TftpError
from pxenet.sim.url import join

OPTIONAL = ("revocations_sku.efi", "revocations_sbat.efi", "shim_certificate_0.efi")
_READER = Reader(tftp.SHIM, http.SHIM)


def run(body: Body, start: Start) -> Steps[Outcome]:
    """Read GRUB and start it. BootError: it is not there."""
    body.enter(Stage.LOADER)
    second = f"grub{start.arch}.efi"
    if start.url:
        return (yield from _by_http(body, start, second))
    told = start.ack if start.ack.header_file else start.proxy
    if told is None or not told.header_file:
        # With an empty ``file`` it asks for its second stage without any directory.
        directory, server = "", start.ack.message.siaddr
    else:
        directory, server = told.header_file.rpartition("/")[0], told.message.siaddr
    if not server:
        raise BootError("shim: no server: siaddr is empty, and it reads nothing else")
    prefix = f"{directory}/" if directory else ""
    for name in OPTIONAL:
        yield from try_file(body, _READER, server, prefix + name)
    try:
        yield from tftp.read(body, tftp.SHIM, server, prefix + second)
    except TftpError as error:
        raise BootError(f"shim: Unable to fetch TFTP image: {error}") from error
    start.name, start.server = prefix + second, server
    return (yield from start.run(body, start))


def _by_http(body: Body, start: Start, second: str) -> Steps[Outcome]:
    for name in OPTIONAL:
        yield from http.get(body, http.SHIM, join(start.url, name))
    url = join(start.url, second)
    http.whole(http.SHIM, url, (yield from http.get(body, http.SHIM, url)))
    start.name = start.url = url
    return (yield from start.run(body, start))

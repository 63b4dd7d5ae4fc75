"""HTTPS as a wire: one that speaks TLS over another one.

Knows that a client may stop, or turn out to be something else, in the middle of a handshake. Must not know HTTP: a ``TlsWire`` is used
like any other wire. RFC 5246, RFC 8446.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable

import trio

from pxenet.model import Region
from pxenet.server.http_socket import FileFaultError, GoneError, TcpWire

HANDSHAKE_S = 15.0
"""From the first wait for a client's hello to the end of the handshake; emulated firmware needs seconds for its arithmetic."""

_PIECE_BYTES = 256 << 10
"""Plain bytes that are encrypted at a time: what one slow reader may cost beside the kernel's own buffer."""

_LINGER_S, _LINGER_BYTES = 1.0, 64 << 10
"""How long, and over how much, a client that was refused may read why."""


class HandshakeError(GoneError):
    """The two sides did not come to terms."""


class TlsWire:
    """A wire whose bytes are encrypted; the handshake is part of the first ``receive``.

    ``failed`` is told in a few words why a handshake failed.
    """

    def __init__(
        self,
        wire: TcpWire,
        context: ssl.SSLContext,
        failed: Callable[[str], None],
        handshake_s: float = HANDSHAKE_S,
    ) -> None:
        self._wire = wire
        self._arrived = ssl.MemoryBIO()
        self._leaving = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._arrived, self._leaving, server_side=True)
        self._failed = failed
        self._handshake_s = handshake_s
        self._ready = False
        """The handshake is done."""
        self._torn = False
        """A record has left in part: nothing that follows could be understood."""
        self._left = False

    @property
    def sent(self) -> int:
        """Bytes handed to the kernel, encrypted."""
        return self._wire.sent

    def begin(self) -> None:
        """A new reply: the reader's time counts from now."""
        self._wire.begin()

    async def receive(self) -> bytes:
        """What has arrived, waiting for it; b"" when the other side will send no more."""
        if not self._ready:
            await self._shake_hands()
        while True:
            try:
                data = self._tls.read(64 << 10)
            except ssl.SSLWantReadError:
                if not await self._wait_for_more():
                    return b""
                continue
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            except ssl.SSLError as error:
                raise GoneError(str(error)) from error
            await self._flush()  # a client may have changed its keys, which is answered
            return data

    async def send(self, data: bytes, *, more: bool = False) -> None:
        """Send bytes; with ``more`` the kernel may keep the end of them until what follows fills the packet."""
        view = memoryview(data)
        for start in range(0, len(view), _PIECE_BYTES):
            end = start + _PIECE_BYTES
            self._encrypt(view[start:end])
            await self._flush(more=more or end < len(view))

    async def send_file(self, region: Region) -> None:
        """Send a part of a file. Raises FileFaultError when it turns out to be shorter."""
        offset, end = region.offset, region.offset + region.length
        while offset < end:
            step = min(_PIECE_BYTES, end - offset)
            await self._wire.warm(region, offset, offset + step)
            try:
                data = os.pread(region.file.fd, step, offset)
            except OSError as error:
                raise FileFaultError(f"it cannot be read: {error.strerror}") from error
            if not data:
                raise FileFaultError("it became shorter while it was sent")
            self._encrypt(data)
            await self._flush()
            offset += len(data)
            await trio.lowlevel.checkpoint()

    async def acknowledged(self) -> bool:
        """Did the other side's kernel take everything?"""
        return await self._wire.acknowledged()

    def finish(self) -> None:
        """Tell the other side that no more will come."""
        self._take_leave()
        self._wire.finish()

    async def linger(self, limit_s: float, limit_bytes: int) -> None:
        """Let the other side read our last words."""
        self._take_leave()
        await self._wire.linger(limit_s, limit_bytes)

    def close(self) -> None:
        """Release the socket."""
        self._take_leave()
        self._wire.close()

    async def _shake_hands(self) -> None:
        """Agree with the client, or raise HandshakeError."""
        why = "the handshake was not finished in time"
        with trio.move_on_after(self._handshake_s):
            why = await self._agree()
        if why:
            self._failed(why)
            # Our alert should arrive: closing with bytes unread would take it back.
            await self._wire.linger(_LINGER_S, _LINGER_BYTES)
            raise HandshakeError(why)
        self._ready = True

    async def _agree(self) -> str:
        """The handshake; why it failed, or ""."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                if not await self._wait_for_more():
                    return "the client left in the middle of the handshake"
            except (ssl.SSLError, ValueError) as error:
                await self._flush()
                return _words(error)
            else:
                await self._flush()
                return ""

    async def _wait_for_more(self) -> bool:
        """Send what TLS itself has to say, and take what arrives; False when nothing more will."""
        await self._flush()
        await trio.lowlevel.checkpoint()  # records without content must not keep others from their turn
        data = await self._wire.receive()
        self._arrived.write(data)
        return bool(data)

    def _encrypt(self, data: bytes | memoryview) -> None:
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            raise GoneError(str(error)) from error

    async def _flush(self, *, more: bool = False) -> None:
        if self._leaving.pending:
            self._torn = True
            await self._wire.send(self._leaving.read(), more=more)
            self._torn = False

    def _take_leave(self) -> None:
        """Say that this is the end on purpose (close_notify), as far as that goes without waiting: lengths are told anyway."""
        if not self._ready or self._torn or self._left:
            return
        self._left = True
        try:
            self._tls.unwrap()
        except (ssl.SSLError, ValueError):  # mostly: it has not said the same yet, which nobody waits for
            pass
        self._wire.send_at_once(self._leaving.read())


def _words(error: Exception) -> str:
    """``TLSV1_ALERT_UNKNOWN_CA`` as "tlsv1 alert unknown ca"."""
    reason = (getattr(error, "reason", "") or str(error)).lower().replace("_", " ")
    return "it speaks plain HTTP to the port of HTTPS" if reason == "http request" else reason

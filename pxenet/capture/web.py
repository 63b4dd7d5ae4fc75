"""HTTP over TCP connections: each request with its response. RFC 9110, 9112.

A connection is two streams with messages in them, paired in order. Its client is who sends requests. What is not HTTP/1 is left alone.
Knows connections; must not know whose they are (``machines``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from pxenet.capture.boots import HttpRequest, PacketRef
from pxenet.capture.frames import SYN, Packet
from pxenet.capture.messages import METHODS, VERSIONS, Body, Framing, Messages, framing_of
from pxenet.capture.streams import Room, Segment, Stream

MAX_PENDING = 1000
"""Requests of one connection without a response; more are not paired."""


class OpenRequest:
    """A request, and what has come of it so far."""

    __slots__ = (
        "_segment", "_server", "body", "forgone", "head", "repeated_after", "repeated_before", "response", "response_ref", "upload",
    )  # fmt: skip

    def __init__(self, server: Stream, segment: Segment, head: bytes) -> None:
        self._server, self._segment, self.head = server, segment, head
        self.response = b""
        self.forgone = False
        self.response_ref: PacketRef | None = None
        self.repeated_before = server.retransmissions
        self.repeated_after: int | None = None
        """The stream's retransmissions when its response began, and when the next one did."""
        framing, size = framing_of(head)
        self.upload = Body(size if framing is Framing.LENGTH else None if framing is Framing.CHUNKED else 0)
        self.body = Body(0)

    @property
    def ref(self) -> PacketRef:
        """The packet in which its head ended."""
        return self._segment.ref

    @property
    def packet(self) -> Packet:
        """Likewise."""
        return self._segment.packet

    @property
    def target(self) -> str:
        """What it asks for."""
        return self.head.partition(b"\r\n")[0].partition(b" ")[2].rpartition(b" ")[0].decode("latin-1")

    @property
    def end_ns(self) -> int:
        """Time of its last packet."""
        return max(self.ref.at_ns, self.body.end_ns)

    def forgo(self) -> None:
        """Its contents are not kept."""
        self.forgone = True
        self.upload.forgo()
        self.body.forgo()

    def freeze(self) -> HttpRequest:
        """The value of it."""
        repeated = self._server.retransmissions if self.repeated_after is None else self.repeated_after
        bodiless = self.head.startswith(b"HEAD ")
        size = framing_of(self.response)[1] if self.response else None
        return HttpRequest(
            self.ref, self.packet, self.head, self.response, self.response_ref, size, self.body.sent_bytes,
            self.body.recorded_bytes, self.upload.sent_bytes, repeated - self.repeated_before, tuple(self.body.gaps),
            self.body.end or self.response_ref,
            self.body.content if self.response and not bodiless else None,
            self.upload.content if self.upload.sent_bytes else None,
        )  # fmt: skip


class Connection:
    """One TCP connection between a client and a server."""

    __slots__ = ("_began", "_open", "_response_to", "client", "requests", "responses", "server")

    def __init__(self, began: Callable[[OpenRequest], None], room: Room | None = None) -> None:
        self._began = began
        self._open: deque[OpenRequest] = deque()
        self._response_to: OpenRequest | None = None
        self.requests = Messages(self.request, _nothing, METHODS)
        self.responses = Messages(self.response, self.response_lost, VERSIONS)
        room = room or Room()
        self.client = Stream(self.requests.take, self.requests.skip, room)
        self.server = Stream(self.responses.take, self.responses.skip, room)

    def take(self, ref: PacketRef, packet: Packet, from_client: bool) -> None:
        """One segment."""
        ours, theirs = (self.client, self.server) if from_client else (self.server, self.client)
        if packet.flags & SYN:
            ours.start(packet.sequence + 1)
            return
        if packet.payload_bytes:
            ours.feed(Segment(ref, packet, packet.payload, packet.cut_bytes))
        theirs.acknowledged(packet.acknowledged)

    def finish(self) -> None:
        """Nothing more comes."""
        self.client.finish()
        self.server.finish()

    def forget(self) -> None:
        """Nothing more is wanted of it."""
        self.client.forget()
        self.server.forget()

    def request(self, head: bytes, segment: Segment) -> tuple[Framing, Body | None]:
        """The client sent a head."""
        request = OpenRequest(self.server, segment, head)
        self._began(request)
        if len(self._open) < MAX_PENDING:
            self._open.append(request)
        framing, _ = framing_of(head)
        return (Framing.NONE if framing is Framing.CLOSE else framing), request.upload

    def response(self, head: bytes, segment: Segment) -> tuple[Framing, Body | None]:
        """The server sent a head."""
        code = head[9:12]
        if code.startswith(b"1") and code != b"101":
            return Framing.NONE, None  # an interim answer: the real one follows
        request = self._open.popleft() if self._open else None
        framing, size = framing_of(head)
        if (request and request.head.startswith(b"HEAD ")) or code in (b"204", b"304"):
            framing, size = Framing.NONE, 0
        body = Body(size)
        if self._response_to:
            self._response_to.repeated_after = self.server.retransmissions
        self._response_to = request
        if request and request.forgone:
            body.forgo()
        if request:
            request.response, request.response_ref, request.body = head, segment.ref, body
            request.repeated_before = self.server.retransmissions
        return framing, body

    def response_lost(self) -> None:
        """Clients that boot do not pipeline: what comes next answers the last request."""
        while len(self._open) > 1:
            self._open.popleft()


def _nothing() -> None:
    """Requests that were not recorded cannot be told from those that were not sent."""

"""What the DHCP server and the ProxyDHCP server do alike: turn a decision into a datagram, tell people, count.

Must not decide whether or with what a client is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pxenet.engine.dhcp.boot import has_file, knows_its_files, name_of
from pxenet.engine.dhcp.query import Query
from pxenet.engine.dhcp.recorder import Recorder
from pxenet.engine.dhcp.route import Ports, route, send_by
from pxenet.engine.dhcp.subnet import DhcpMode
from pxenet.engine.dhcp.tally import Tally
from pxenet.engine.dhcp.told import Told
from pxenet.engine.surface import Output, Sighting
from pxenet.events import Event
from pxenet.model import BootClient, BootFile, ClientKind
from pxenet.net.datagram import Send, pack_peer
from pxenet.wire.dhcp import Message
from pxenet.wire.iana import architecture_name

BootChooser = Callable[[BootClient, int, bool], BootFile]
"""What a machine boots, given the address of ours that it can reach, and whether its own address comes from another server."""

BOOT_KINDS = (ClientKind.PXE, ClientKind.HTTP, ClientKind.IPXE)
"""Clients that are there to boot: when they get nothing, their owner wants to know why."""


class Desk:
    """The way out, for every answer of both servers."""

    __slots__ = ("_boot", "_ports", "recorder", "tally", "told")

    def __init__(self, ports: Ports, boot: BootChooser) -> None:
        self._ports = ports
        self._boot = boot
        self.tally = Tally()
        self.told = Told()
        self.recorder: Recorder | None = None

    def boot_file(self, query: Query, out: Output, silent: str) -> BootFile | None:
        """What the client boots; when nothing, None, and an event (``silent``, or the unknown architecture) for a boot client."""
        client = query.client
        boot = self._boot(client, query.form.server, query.form.mode == DhcpMode.PROXY)
        # The answer that has the address tells where the files are. A ProxyDHCP answer is read by the Raspberry Pi alone.
        if has_file(boot) or client.raspberry or (query.form.mode == DhcpMode.SERVER and knows_its_files(client)):
            return boot
        if client.kind in BOOT_KINDS:
            if client.platform is None:
                self.tell(out, query, "dhcp.unknown_arch", {"arch": architecture_name(client.arch)})
            else:
                self.tell(out, query, silent, {"reason": boot.reason, "advice": boot.detail})
        return None

    def envelope(
        self,
        query: Query,
        payload: bytes,
        yiaddr: int = 0,
        *,
        nak: bool = False,
        routed_as: Message | None = None,
    ) -> Send:
        """The datagram that carries the answer."""
        form, datagram = query.form, query.datagram
        if form.giaddr and datagram.port == self._ports.server and not form.relayed.source_port:
            # Fast path: the rule "relay" of ``route``, which is one and the same for all machines behind it.
            if not form.relay:
                form.relay = pack_peer(form.giaddr, self._ports.server)
            return Send(form.relay, (payload,), form.server, datagram.port)
        way = route(
            routed_as or query.message,
            datagram,
            self._ports,
            yiaddr,
            nak=nak,
            relay_source_port=form.relayed.source_port,
        )
        return send_by(way, datagram, form.server, payload)

    def post(self, out: Output, send: Send, name: str) -> None:
        """The answer leaves; ``name``: as what it is counted."""
        out.sends.append(send)
        self.tally.sent[name] += 1
        if self.recorder is not None:
            self.recorder.said(name, send)

    def tell(
        self, out: Output, query: Query, kind: str, detail: Mapping[str, object] | None = None, address: int = 0
    ) -> None:
        """An event, unless this client's exchange has had it."""
        if self.told.first(query.identity, query.xid, kind, query.now):
            out.events.append(Event(kind, query.client.mac, address, detail or {}))

    def drop(self, reason: str) -> None:
        """Count what is not answered."""
        self.tally.dropped[reason] += 1
        if self.recorder is not None:
            self.recorder.dropped(reason)

    def observe(self, query: Query, out: Output) -> None:
        """A REQUEST to another server tells which address the client is about to have: how we know it later."""
        if address := query.requested or query.ciaddr:
            out.sightings.append(Sighting(query.client, address, "proxy request"))


def file_detail(boot: BootFile | None) -> dict[str, object]:
    """How events name a boot file."""
    if boot is None:
        return {"file": "none", "reason": "nothing to boot"}
    return {"file": name_of(boot) or "of its own choice", "reason": boot.reason}

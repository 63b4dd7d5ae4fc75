"""The DHCP server as a state machine without sockets or clock: datagrams in, answers and records to keep out.

Knows RFC 2131 and 2132 whole, BOOTP (RFC 1534) for reserved addresses, relays (RFC 3046, 3527, 5107, 8357), and hands what is for a
boot server to ``proxy``. Which file a machine boots and which host it is are functions it is given. Must not know policy or storage.

An address is leased only by a REQUEST, and the ACK leaves only when the lease is durable; everything said before is a promise that
may be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from pxenet.engine.dhcp.desk import BootChooser, Desk, file_detail
from pxenet.engine.dhcp.grants import Grants, Waiting
from pxenet.engine.dhcp.prepared import boot_fields, write
from pxenet.engine.dhcp.proxy import ProxyDhcp, asks_boot_server
from pxenet.engine.dhcp.query import Query, Stage, request_of, text_of
from pxenet.engine.dhcp.reception import HostFinder, Reception
from pxenet.engine.dhcp.recorder import Recorder
from pxenet.engine.dhcp.reply import give_bootp, refuse
from pxenet.engine.dhcp.route import Ports
from pxenet.engine.dhcp.rules import (
    Candidate,
    Finding,
    Reaction,
    choose,
    held_reservation,
    judge,
    reaction,
    reservation,
)
from pxenet.engine.dhcp.subnet import DhcpMode, DhcpSettings, ServedSubnet, Subnets
from pxenet.engine.dhcp.tally import DhcpStatistics
from pxenet.engine.surface import NEVER, Commit, Output, Sighting
from pxenet.events import Event
from pxenet.model import Absent, BootFile, Content, Lease, LeaseState, Verdict
from pxenet.net.datagram import Datagram, Interface, Send
from pxenet.wire.dhcp import serialize
from pxenet.wire.iana import INFINITE, MessageType, architecture_name
from pxenet.wire.text import address_text

_FRESH_S = 10.0
"""A lease younger than this is confirmed again as it is: a retransmitted REQUEST costs no write."""
_SHORTEST_LEASE_S = 120.0
"""A client may ask for less than we give, but not for so little that it does nothing but renew."""
_BOOTP_BYTES = 300
"""A BOOTP packet without its IP and UDP headers (RFC 951)."""
_LONGEST_NAME = 63


class DhcpServer:
    """DHCP and ProxyDHCP for all subnets. Feed it the datagrams of both ports; see :class:`pxenet.engine.surface.Engine`."""

    def __init__(
        self,
        settings: DhcpSettings,
        interfaces: Sequence[Interface],
        boot: BootChooser,
        hosts: HostFinder,
        leases: Iterable[Lease] = (),
    ) -> None:
        self._settings = settings
        self._interfaces = interfaces
        self._hosts = hosts
        self._desk = Desk(Ports(settings.port, settings.proxy_port), boot)
        self._proxy = ProxyDhcp(self._desk)
        self._subnets = Subnets(settings, interfaces)
        self._subnets.load(leases, 0.0)
        self._reception = self._hears()
        self._grants = Grants()
        self._retired = False
        self._by_type: dict[int | None, Callable[[Query, Output], None]] = {
            MessageType.DISCOVER: self._discover,
            MessageType.REQUEST: self._request,
            MessageType.DECLINE: self._decline,
            MessageType.RELEASE: self._release,
            MessageType.INFORM: self._inform,
            None: self._bootp,
        }

    # -- the surface -----------------------------------------------------------------------------------------------------

    def receive(self, batch: Sequence[Datagram], now: float) -> Output:
        """Take what arrived. Bad packets are counted and dropped, never raised."""
        out = Output()
        for served in self._subnets:
            served.leases.expire(now)
        for datagram in batch:
            if (reason := self._take(datagram, now, out)) is not None:
                self._desk.drop(reason)
        return out

    def committed(self, commit: int, verdict: Verdict, now: float) -> Output:
        """The fate of a lease: only now its ACK may leave."""
        out = Output()
        waiting = self._grants.settle(commit)
        if waiting is None:
            return out
        query, leases = waiting.query, waiting.served.leases
        if verdict is Verdict.DURABLE:
            if (earlier := leases.bind(query.identity, now)) is not None:
                out.commits.append(Commit((earlier,)))
            self._say(waiting, out)
            return out
        leases.drop(query.identity)
        if verdict is Verdict.TAKEN:
            self._lost(waiting, now, out)
            return out
        # The client asks again in some seconds, and by then the disk may have recovered: it meets the same address.
        if waiting.lease.address in waiting.served.pool and leases.leased_to(waiting.lease.address, now) is None:
            leases.offer(query.identity, waiting.lease.address, now + self._settings.offer_hold_s)
        self._desk.tally.dropped["not durable"] += 1
        out.events.append(Event("dhcp.not_durable", query.client.mac, waiting.lease.address))
        return out

    def tick(self, now: float) -> Output:
        """Nothing is ever due: what ends is noticed when somebody asks."""
        return Output()

    def deadline(self) -> float:
        """NEVER."""
        return NEVER

    def retire(self) -> None:
        """Answer nobody any more; only the ACKs whose leases are being written still leave."""
        self._retired = True

    def busy(self) -> bool:
        """Leases are being written."""
        return len(self._grants) > 0

    def provide(self, want: int, answer: Content | Absent, now: float) -> Output:
        """This engine wants no content."""
        return Output()

    def unreadable(self, want: int, detail: str, now: float) -> Output:
        """This engine wants no content."""
        return Output()

    def uploaded(self, upload: int, refused: Absent | None, now: float) -> Output:
        """This engine takes no files."""
        return Output()

    # -- questions of others ---------------------------------------------------------------------------------------------

    def who(self, address: int, now: float) -> Lease | None:
        """The lease of the client that has this address now."""
        served = self._subnets.of_address(address)
        return None if served is None else served.leases.live_at(address, now)

    def leases(self) -> list[Lease]:
        """Every lease that was written, ended ones included, by address."""
        return sorted((lease for served in self._subnets for lease in served.leases), key=lambda lease: lease.address)

    def record(self, recorder: Recorder | None) -> None:
        """From now on tell it of every decision; None: nobody."""
        self._desk.recorder = recorder

    def statistics(self) -> DhcpStatistics:
        """What was counted since the start, and how much is held now."""
        counts = [served.leases.counts for served in self._subnets]
        received, sent, dropped = self._desk.tally.frozen()
        return DhcpStatistics(
            received,
            sent,
            dropped,
            leases=sum(leases for leases, _, _ in counts),
            offers=sum(offers for _, offers, _ in counts),
            pending=len(self._grants),
            pool_taken=sum(served.pool.taken for served in self._subnets),
            pool_size=sum(len(served.pool) for served in self._subnets),
        )

    def reconfigure(self, settings: DhcpSettings, now: float) -> Output:
        """From now on other settings hold: leases, offers and answers that wait for the disk stay. The ports must be the same.

        What is written for an address of no subnet any more is not to be; the output says what becomes durable instead.
        """
        if (settings.port, settings.proxy_port) != (self._settings.port, self._settings.proxy_port):
            raise ValueError("the ports of a server that runs do not change")
        out = Output()
        subnets = Subnets(settings, self._interfaces, self._subnets, now)
        self._grants.move(subnets, now, out)
        self._settings, self._subnets = settings, subnets
        self._reception = self._hears()
        return out

    def _hears(self) -> Reception:
        return Reception(self._settings, self._interfaces, self._subnets, self._hosts, self._desk.tally.received)

    # -- one datagram ----------------------------------------------------------------------------------------------------

    def _take(self, datagram: Datagram, now: float, out: Output) -> str | None:
        """Answer one datagram, or say why it is none that concerns us."""
        if self._retired:
            return "about to stop"
        query = self._reception.query(datagram, now)
        if isinstance(query, str):
            return query
        if self._desk.recorder is not None:
            self._desk.recorder.asked(query)
        form = query.form
        if form.mode == DhcpMode.OFF:
            return "off"
        if asks_boot_server(query, self._settings.proxy_port):
            self._proxy.boot_server(query, out)
        elif datagram.port == self._settings.proxy_port:
            return "not for a boot server"
        elif form.mode == DhcpMode.PROXY:
            self._proxy.beside(query, out)
        elif (handler := self._by_type.get(form.kind)) is None:
            return "message type"
        else:
            handler(query, out)
        return None

    # -- the messages of RFC 2131 §4.3 -----------------------------------------------------------------------------------------

    def _discover(self, query: Query, out: Output) -> None:
        about = {"arch": architecture_name(query.client.arch), "vendor_class": query.client.vendor_class}
        self._desk.tell(out, query, "dhcp.discover", about)
        if not self._has_subnet(query, out):
            return
        self._tell_of_reservation(query, out)
        tried: list[Candidate] = []
        found = choose(query, tried)
        if self._desk.recorder is not None:
            self._desk.recorder.considered(tried)
        if found is None:
            subnet = query.link[0].subnet
            self._desk.drop("pool empty")
            kind = "dhcp.pool_empty" if any(len(one.pool) for one in query.link) else "dhcp.no_pool"
            network = f"{address_text(subnet.network)}/{subnet.prefix}"
            self._tell_of_network(out, query, subnet.network, kind, {"network": network})
            out.sightings.append(Sighting(query.client, 0, "discover"))
            return
        served, address = found.served, found.address
        if address in served.pool and served.leases.leased_to(address, query.now) != query.identity:
            hold_s = self._settings.raspberry_hold_s if query.client.raspberry else self._settings.offer_hold_s
            served.leases.offer(query.identity, address, query.now + hold_s)
        boot = self._desk.boot_file(query, out, "dhcp.no_boot")
        send = self._answer(query, MessageType.OFFER, served, address, self._lease_s(query, served), boot)
        self._desk.post(out, send, "OFFER")
        out.sightings.append(Sighting(query.client, address, "offer", boot))
        self._desk.tell(out, query, "dhcp.offer", {"offered": address_text(address), **file_detail(boot)}, address)

    def _request(self, query: Query, out: Output) -> None:
        form = query.form
        if form.chosen is not None and not self._reception.is_ours(form.chosen, query):
            for one in query.link:
                one.leases.withdraw(query.identity)
            self._grants.cancel(query.identity, query.now, out)
            self._desk.drop("another server was chosen")
            self._desk.observe(query, out)
            return
        broadcast = query.datagram.broadcast or (bool(form.giaddr) and not form.relayed.unicast)
        asked = request_of(query, broadcast=broadcast)
        if asked is None:
            self._desk.drop("no address asked for")
            return
        stage, address = asked
        if not query.link:
            if stage is Stage.RENEWING:
                self._desk.drop("no subnet")  # routed to us from afar: nothing that its owner should configure here
            else:
                self._has_subnet(query, out)
            return
        if stage is not Stage.SELECTING and any(address in one.subnet for one in form.beside):
            self._desk.drop("an address of another server")
            return
        finding, served = judge(query, stage, address, self._settings.reserved)
        what = reaction(stage, finding, authoritative=form.authoritative)
        if self._desk.recorder is not None:
            self._desk.recorder.judged(stage, address, finding, what)
        if what is Reaction.SILENT:
            self._desk.drop(f"{stage.value}: {finding.value}")
        elif what is Reaction.NAK or served is None:
            self._nak(query, address, finding, out)
        else:
            self._grant(query, stage, served, address, out)

    def _decline(self, query: Query, out: Output) -> None:
        """Only the client to which an address is promised can say that it is not to be had."""
        address = query.requested or 0
        for one in query.link:
            leases = one.leases
            if address in one.subnet and query.identity == leases.holder(address, query.now):
                self._grants.cancel(query.identity, query.now, out)
                hold_s = self._settings.decline_hold_s
                lease = leases.set_aside(address, query.client.mac, query.now + hold_s, query.now)
                out.commits.append(Commit((lease,)))
                asked = address_text(address)
                out.events.append(
                    Event("dhcp.decline", query.client.mac, address, {"asked": asked, "hold_s": int(hold_s)})
                )
                return
        self._desk.drop("decline of an address that is not its own")

    def _release(self, query: Query, out: Output) -> None:
        address = query.ciaddr
        served = self._subnets.of_address(address)
        waiting = self._grants.of(query.identity)
        if waiting is not None and waiting.lease.address == address:
            self._grants.cancel(query.identity, query.now, out)
        lease = None if served is None else served.leases.release(query.identity, address, query.now)
        if lease is None:
            self._desk.drop("release of an address that is not its own")
            return
        out.commits.append(Commit((lease,)))
        out.events.append(Event("dhcp.release", query.client.mac, address, {"given": address_text(address)}))

    def _inform(self, query: Query, out: Output) -> None:
        """Settings without a lease (RFC 2131 §4.3.5)."""
        if not self._has_subnet(query, out):
            return
        served = next((one for one in query.link if query.ciaddr in one.subnet), query.link[0])
        boot = self._desk.boot_file(query, out, "dhcp.no_boot")
        self._desk.post(out, self._answer(query, MessageType.ACK, served, 0, None, boot), "ACK")
        self._desk.tell(out, query, "dhcp.inform")

    def _bootp(self, query: Query, out: Output) -> None:
        """A client without DHCP cannot renew: it gets a reserved address or nothing."""
        address = reservation(query)
        if address is None:
            self._desk.drop("BOOTP without a reserved address")
            return
        served = next(one for one in query.link if address in one.subnet)
        boot = self._desk.boot_file(query, out, "dhcp.no_boot")
        message = give_bootp(query, served.subnet, address, boot_fields(query, served, boot))
        payload = serialize(message, max_size=_BOOTP_BYTES)
        self._desk.post(out, self._desk.envelope(query, payload, address), "BOOTP")
        out.sightings.append(Sighting(query.client, address, "offer", boot))
        self._desk.tell(out, query, "dhcp.offer", {"offered": address_text(address), **file_detail(boot)}, address)

    # -- granting and refusing ---------------------------------------------------------------------------------------------

    def _grant(self, query: Query, stage: Stage, served: ServedSubnet, address: int, out: Output) -> None:
        """ACK, at once if the lease on the disk says so already, else when it does."""
        now, identity = query.now, query.identity
        before = self._grants.of(identity)
        if before is not None and before.lease.address == address:
            self._desk.drop("its lease is being written")
            self._replace(before, query, stage, out)
            return
        if before is None and len(self._grants) >= self._settings.max_pending:
            self._desk.drop("too many leases are being written")
            return
        self._grants.cancel(identity, now, out)
        lease_s = self._lease_s(query, served)
        lease = Lease(
            address=address,
            identity=identity,
            mac=query.client.mac,
            expires_at=now + lease_s,
            hostname=_host_name(query),
            since_at=now,
            client_id=query.client_id or b"",
        )
        current = served.leases.live_at(address, now)
        if current is not None and current.identity == identity:
            lease = replace(lease, since_at=current.since_at)
            young = current.expires_at >= lease.expires_at - _FRESH_S
            if young and lease == replace(current, expires_at=lease.expires_at):
                served.leases.withdraw(identity)
                self._say(self._waiting(query, stage, served, current, out), out)
                return
        self._grants.begin(self._waiting(query, stage, served, lease, out), out)

    def _replace(self, before: Waiting, query: Query, stage: Stage, out: Output) -> None:
        """The client has asked again while its lease was on the way. One answer waits, the one to what it said last: it has the xid
        that the client now expects, and a lease time that ends when the written lease does."""
        fresh = self._waiting(query, stage, before.served, before.lease, out)
        before.query, before.stage, before.send, before.sighting = query, stage, fresh.send, fresh.sighting

    def _waiting(self, query: Query, stage: Stage, served: ServedSubnet, lease: Lease, out: Output) -> Waiting:
        boot = self._desk.boot_file(query, out, "dhcp.no_boot")
        lease_s = lease.expires_at - query.now
        send = self._answer(query, MessageType.ACK, served, lease.address, lease_s, boot)
        event = None
        if stage in (Stage.SELECTING, Stage.INIT_REBOOT):
            seconds = "unlimited" if lease_s >= INFINITE else int(lease_s)
            detail = {"given": address_text(lease.address), "lease_s": seconds, **file_detail(boot)}
            event = Event("dhcp.ack", query.client.mac, lease.address, detail)
        sighting = Sighting(query.client, lease.address, "lease", boot)
        return Waiting(query, stage, served, lease, send, sighting, event)

    def _say(self, waiting: Waiting, out: Output) -> None:
        """The ACK leaves."""
        query = waiting.query
        self._desk.post(out, waiting.send, "ACK")
        out.sightings.append(waiting.sighting)
        event = waiting.event
        if event is not None and self._desk.told.first(query.identity, query.xid, event.kind, query.now):
            out.events.append(event)

    def _lost(self, waiting: Waiting, now: float, out: Output) -> None:
        """Another server has given the address away. Who asked us is told to start over; who asked everybody may have other luck."""
        query, address = waiting.query, waiting.lease.address
        waiting.served.leases.set_aside(address, b"", now + self._settings.decline_hold_s, now)
        out.events.append(Event("dhcp.taken", query.client.mac, address, {"asked": address_text(address)}))
        if waiting.stage is not Stage.REBINDING:
            self._nak(query, address, Finding.TAKEN, out)

    def _nak(self, query: Query, address: int, finding: Finding, out: Output) -> None:
        message = refuse(query, finding.value, echo_client_id=self._settings.echo_client_id)
        payload = serialize(message, max_size=query.form.payload_bytes)
        self._desk.post(out, self._desk.envelope(query, payload, nak=True), "NAK")
        self._desk.tell(out, query, "dhcp.nak", {"asked": address_text(address), "why": finding.value}, address)

    def _answer(
        self,
        query: Query,
        kind: MessageType,
        served: ServedSubnet,
        yiaddr: int,
        lease_s: float | None,
        boot: BootFile | None,
    ) -> Send:
        echo = self._settings.echo_client_id
        payload = write(query, kind, served, yiaddr, lease_s, boot, echo_client_id=echo)
        return self._desk.envelope(query, payload, yiaddr)

    # -- small things -----------------------------------------------------------------------------------------------------

    def _has_subnet(self, query: Query, out: Output) -> bool:
        if query.link:
            return True
        self._desk.drop("no subnet")
        self._tell_of_network(out, query, query.form.via, "dhcp.no_subnet", {"via": address_text(query.form.via)})
        return False

    def _tell_of_network(
        self, out: Output, query: Query, network: int, kind: str, detail: Mapping[str, object]
    ) -> None:
        """An event once in a while for a network, not for each of its clients."""
        if self._desk.told.first(network.to_bytes(4, "big"), 0, kind, query.now):
            out.events.append(Event(kind, query.client.mac, 0, detail))

    def _tell_of_reservation(self, query: Query, out: Output) -> None:
        """A configured address that its host does not get would be looked for in the configuration, where it is right."""
        lease = held_reservation(query)
        if lease is not None:
            whose = f"{lease.mac.hex(':')}" + (f" ({lease.hostname})" if lease.hostname else "")
            holder = "a machine that this server does not know" if lease.state is LeaseState.DECLINED else whose
            detail = {"reserved": address_text(lease.address), "holder": holder}
            self._desk.tell(out, query, "dhcp.reservation_held", detail)

    def _lease_s(self, query: Query, served: ServedSubnet) -> float:
        """What the subnet gives, or less when the client wants less."""
        wanted = query.form.lease_s
        given = served.subnet.lease_s
        return given if not wanted else min(given, max(float(wanted), _SHORTEST_LEASE_S))


def _host_name(query: Query) -> str:
    """What people read in the list of leases: the configured name, else the client's own words as far as they are printable."""
    if query.host is not None and query.host.configured:
        return query.host.name
    told = text_of(query.host_name)
    return (
        told[:_LONGEST_NAME]
        if told.isprintable()
        else "".join(letter for letter in told if letter.isprintable())[:_LONGEST_NAME]
    )

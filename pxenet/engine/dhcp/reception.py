"""From a datagram to a query: which client, on which network, by which address of ours.

Knows interfaces and subnets; must not know leases. Subnet choice: RFC 3527, RFC 3011, RFC 2131 §4.3.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from pxenet.engine.dhcp.client import asks_43, client_form, lenient, of_machine
from pxenet.engine.dhcp.query import By, Form, Query, Relayed, boot_item, identity_of, network_of, relayed_of
from pxenet.engine.dhcp.subnet import DhcpSettings, Link, Subnets
from pxenet.model import BootClient, Host
from pxenet.net.datagram import Datagram, Interface
from pxenet.wire.dhcp import Message, parse, payload_limit
from pxenet.wire.glance import glance_untrusted
from pxenet.wire.iana import BOOTREQUEST, MessageType, OptionCode, message_type_name
from pxenet.wire.options import Options
from pxenet.wire.reader import WireError

HostFinder = Callable[[BootClient], Host | None]
"""Which host of the configuration a machine is."""


FORMS = 1024
"""Forms of requests that are remembered: a rack has a handful. The one learned first goes first."""

_Key = tuple[bytes, Relayed | None, int, int, int, bool]


class Reception:
    """Makes queries of datagrams."""

    __slots__ = ("_by_index", "_default_mode", "_forms", "_hosts", "_match_client_id", "_received", "_subnets", "ours")

    def __init__(
        self,
        settings: DhcpSettings,
        interfaces: Sequence[Interface],
        subnets: Subnets,
        hosts: HostFinder,
        received: Counter[str],
    ) -> None:
        """``received``: where requests are counted by their type."""
        self._by_index = {interface.index: interface for interface in interfaces}
        if len(interfaces) == 1:
            self._by_index.setdefault(0, interfaces[0])  # the kernel did not say, but there is only one
        self.ours = frozenset(address for interface in interfaces for address, _ in interface.addresses)
        self._match_client_id = settings.match_client_id
        self._default_mode = settings.default_mode
        self._subnets = subnets
        self._hosts = hosts
        self._forms: dict[_Key, Form] = {}
        self._received = received

    def query(self, datagram: Datagram, now: float) -> Query | str:
        """The query that a request makes, or why it makes none. Fast path: equal to ``parsed``, which is asked once for each form."""
        data = datagram.data
        seen = glance_untrusted(data)
        if seen is None:
            return self.parsed(datagram, now)
        form_bytes, host_name, requested, client_id, machine_id, relay_agent = seen
        relayed = None if relay_agent is None else relayed_of(relay_agent)
        key = (form_bytes, relayed, datagram.interface, datagram.local, datagram.port, datagram.broadcast)
        form = self._forms.get(key)
        if form is None:
            query = self.parsed(datagram, now)
            if not isinstance(query, str):
                self._forms[key] = query.form
                if len(self._forms) > FORMS:
                    del self._forms[next(iter(self._forms))]
            return query
        self._received[form.name] += 1
        hardware = data[28 : 28 + data[2]]
        client = of_machine(form.client, form.asks_43, hardware, machine_id)
        return Query(
            form,
            datagram,
            client,
            identity_of(data[1], hardware, client_id, match_client_id=self._match_client_id),
            form.link,
            self._hosts(client),
            int.from_bytes(data[4:8], "big"),
            0,
            int.from_bytes(requested, "big") if requested is not None and len(requested) == 4 else None,
            host_name,
            client_id,
            machine_id,
            relay_agent,
            now,
        )

    def parsed(self, datagram: Datagram, now: float) -> Query | str:
        """The same, from the whole message."""
        try:
            message = parse(datagram.data)
            kind = message.message_type
        except WireError:
            return "malformed"
        if message.op != BOOTREQUEST:
            return "not a request"
        self._received[message_type_name(kind)] += 1
        if message.ciaddr and (kind == MessageType.DISCOVER or (datagram.broadcast and _selects(message))):
            message = replace(message, ciaddr=0)  # it has no address yet, whatever some clients leave there
        options = message.options
        client_id = options.raw(OptionCode.CLIENT_ID)
        identity = identity_of(message.htype, message.hardware, client_id, match_client_id=self._match_client_id)
        if not identity:
            return "no identity"
        form = self._form(message, kind, datagram)
        if isinstance(form, str):
            return form
        machine_id = options.raw(OptionCode.MACHINE_ID)
        client = of_machine(form.client, form.asks_43, message.hardware, machine_id)
        return Query(
            form=form,
            datagram=datagram,
            client=client,
            identity=identity,
            link=form.link,
            host=self._hosts(client),
            xid=message.xid,
            ciaddr=message.ciaddr,
            requested=lenient(options.address, OptionCode.REQUESTED_ADDRESS),
            host_name=options.raw(OptionCode.HOST_NAME),
            client_id=client_id,
            machine_id=machine_id,
            relay_agent=options.raw(OptionCode.RELAY_AGENT),
            now=now,
            parsed=message,
        )

    def _form(self, message: Message, kind: int | None, datagram: Datagram) -> Form | str:
        """What does not depend on the machine; or why nobody can tell its network."""
        options = message.options
        interface = self._by_index.get(datagram.interface)
        relayed = relayed_of(options.raw(OptionCode.RELAY_AGENT))
        network, by = network_of(message, relayed)
        if interface is None and not network and not message.ciaddr:
            return "interface"
        wire, by = self._link(message, datagram, network, by, interface)
        mode = wire[0].subnet.mode if wire else self._default_mode
        link = tuple(served for served in wire if served.subnet.mode == mode)
        server = _our_address(link, datagram, interface)
        return Form(
            kind=kind,
            name=message_type_name(kind),
            relayed=relayed,
            giaddr=message.giaddr,
            client=client_form(options),
            asks_43=asks_43(options),
            link=link,
            beside=tuple(served for served in wire if served.subnet.mode != mode),
            mode=mode,
            server=server,
            via=network or server,
            by=by,
            chosen=lenient(options.address, OptionCode.SERVER_ID),
            item=boot_item(message),
            lease_s=lenient(options.number, OptionCode.LEASE_TIME),
            selection=_whole(options, OptionCode.SUBNET_SELECTION),
            payload_bytes=payload_limit(lenient(options.number, OptionCode.MAX_SIZE)),
        )

    def is_ours(self, server_id: int, query: Query) -> bool:
        """Whether option 54 means us: any address of ours, or what a relay has us called."""
        return server_id in self.ours or server_id in (query.form.server, query.form.relayed.server_id)

    def _link(
        self, message: Message, datagram: Datagram, network: int, by: By, interface: Interface | None
    ) -> tuple[Link, By]:
        """A relay's word, else (asked by unicast, so perhaps from behind a router) the client's own address, else the wire."""
        if network:
            return self._subnets.link_of_address(network), by
        if message.ciaddr and not datagram.broadcast and (link := self._subnets.link_of_address(message.ciaddr)):
            return link, By.CLIENT
        return (() if interface is None else self._subnets.link_of_interface(interface.index)), by


def _our_address(link: Link, datagram: Datagram, interface: Interface | None) -> int:
    """Our address on the client's own network if we have one there, else the one it asked by."""
    addresses = [address for address, _ in interface.addresses] if interface is not None else []
    for served in link:
        for address in addresses:
            if address in served.subnet:
                return address
    return datagram.local or next(iter(addresses), 0)


def _selects(message: Message) -> bool:
    """A REQUEST that takes an offer: it names the address and the server."""
    return OptionCode.REQUESTED_ADDRESS in message.options and OptionCode.SERVER_ID in message.options


def _whole(options: Options, code: int) -> bytes:
    """An address option with code and length; nothing when it is absent or malformed."""
    address = lenient(options.address, code)
    return b"" if address is None else bytes((code, 4)) + address.to_bytes(4, "big")

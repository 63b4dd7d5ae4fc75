"""Rules about who answers by DHCP, and how: the table ``RULES``. Facts: dhcp.md §2 and §6, pxe.md §3 to §5; sources at each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pxenet.doctor.findings import Level, Rule, Seen
from pxenet.doctor.observed import Observed
from pxenet.doctor.servers import Answer, Server, answers, server_of, servers
from pxenet.sim import edk2
from pxenet.sim.dhcp import SERVER_PORT
from pxenet.wire.dhcp import FLAG_BROADCAST
from pxenet.wire.iana import OptionCode
from pxenet.wire.text import address_text, mac_text

PROXY_WAIT_S, COLLECTS_S = 2.0, 4.0
"""iPXE waits for ProxyDHCP offers so long (``ipxe_dhcp``), and EDK2 for all offers (``edk2``)."""
SHORT_LEASE_S = 600


def _silence(observed: Observed) -> Iterator[Seen]:
    if observed.station.up and observed.asked and not list(answers(observed)):
        secs = max(asked.wait_s for asked in observed.asked)
        names = ", ".join(asked.personality.name for asked in observed.asked)
        evidence = (
            f"DISCOVERs as {names} from {mac_text(observed.station.mac)} on {observed.station.interface}, {secs:g} s"
        )
        yield Seen("nobody answers: there is no DHCP server here, and no relay that hands on to one", (evidence,))


def _no_address(observed: Observed) -> Iterator[Seen]:
    found = servers(answers(observed))
    if found and not any(server.gives for server in found):
        yield Seen(
            "only ProxyDHCP servers answer: nobody gives addresses", tuple(server.evidence() for server in found)
        )


def _conflict(observed: Observed) -> Iterator[Seen]:
    givers = [server for server in servers(answers(observed)) if server.gives]
    if len(givers) < 2:
        return
    names = " and ".join(server.name for server in givers)
    with_file = [server for server in givers if any(answer.file for answer in server.answers)]
    split = bool(with_file) and len(with_file) < len(givers)
    words = f"{names} both give addresses: which offer a machine takes is chance"
    if len(givers) > 2:
        words = f"{len(givers)} servers give addresses ({names}): which offer a machine takes is chance"
    if split and not any(server.proxies for server in servers(answers(observed))):
        words += f", and only {' and '.join(server.name for server in with_file)} names a boot file"
        yield Seen(words, tuple(server.evidence() for server in givers), level=Level.ERROR)
        return
    yield Seen(words, tuple(server.evidence() for server in givers))


def _same_identifier(observed: Observed) -> Iterator[Seen]:
    for server in servers(answers(observed)):
        macs = {answer.heard.hardware for answer in server.answers if not answer.reply.message.giaddr}
        macs.discard(b"")
        if len(macs) > 1:
            said = " and ".join(sorted(map(mac_text, macs)))
            yield Seen(
                f"several machines answer as {server.name}", (f"replies with option 54 {server.name} from {said}",)
            )


def _proxies(observed: Observed) -> Iterator[Seen]:
    proxies = [server for server in servers(answers(observed)) if server.proxies]
    if len(proxies) > 1:
        names = " and ".join(server.name for server in proxies)
        yield Seen(
            f"{names} answer as ProxyDHCP servers: firmware takes the first, so what boots is chance",
            tuple(server.evidence() for server in proxies),
        )


def _overruled(observed: Observed) -> Iterator[Seen]:
    found = servers(answers(observed))
    proxies = [server for server in found if any(not one.gives and one.has_class for one in server.answers)]
    named = [server for server in found if any(answer.gives and answer.file for answer in server.answers)]
    if proxies and named:
        yield Seen(
            f"{named[0].name} names a boot file beside its addresses, and {proxies[0].name} another as ProxyDHCP server: "
            "EDK2 and iPXE take the proxy's, shim and GRUB look for their files at the other's",
            (named[0].evidence(), proxies[0].evidence()),
        )


def _unicast(observed: Observed) -> Iterator[Seen]:
    """A server that gives addresses to all who want broadcasts and to none who do not, or the other way round."""
    flagged = {asked.personality.name: bool(asked.personality.voice.flags & FLAG_BROADCAST) for asked in observed.asked}
    if len(set(flagged.values())) < 2:
        return
    for server in servers(answer for answer in answers(observed) if answer.gives):
        heard = {answer.by for answer in server.answers}
        if heard == {name for name, flag in flagged.items() if flag}:
            way, other = "by broadcast", "to the address that they are to get"
        elif heard == {name for name, flag in flagged.items() if not flag}:
            way, other = "to the address that they are to get", "by broadcast"
        else:
            continue
        missing = ", ".join(name for name in flagged if name not in heard)
        yield Seen(
            f"answers of {server.name} arrive {way}, and never {other}",
            (server.evidence(), f"no answer to {missing}"),
        )


def _in_use(observed: Observed) -> Iterator[Seen]:
    for address, hardware in observed.in_use:
        those = [server for server in servers(answers(observed)) if address in server.offers]
        names = " and ".join(server.name for server in those)
        yield Seen(
            f"{names} offers {address_text(address)}, which {mac_text(hardware)} uses already: two machines would share it",
            ("an ARP probe was answered",),
        )


def _relays(observed: Observed) -> Iterator[Seen]:
    for server in servers(answers(observed)):
        if server.relays:
            through = " and ".join(map(address_text, server.relays))
            yield Seen(f"{server.name} answers through the relay {through}")


# -- each reply -----------------------------------------------------------------------------------------------------------------------


def _each(words: str, wrong: Callable[[Answer], str]) -> Callable[[Observed], Iterator[Seen]]:
    """A check of every reply: one finding for each server and each thing that is wrong, with those whom it was said to."""

    def check(observed: Observed) -> Iterator[Seen]:
        found: dict[tuple[int, str], list[Answer]] = {}
        for answer in answers(observed):
            if what := wrong(answer):
                found.setdefault((server_of(answer.reply), what), []).append(answer)
        for (server, what), those in found.items():
            names = ", ".join(dict.fromkeys(answer.by for answer in those))
            yield Seen(f"{address_text(server)} {words}".format(what), (f"to {names}: {those[0].words}",))

    return check


def _fault(answer: Answer) -> str:
    return edk2.fault(answer.reply) if answer.asked.personality.firmware.startswith("edk2") else ""


def _mask(answer: Answer) -> str:
    return "no" if answer.gives and not answer.reply.raw(OptionCode.SUBNET_MASK) and answer.reply.type else ""


def _server_id(answer: Answer) -> str:
    return "no" if answer.gives and not answer.reply.server_id and answer.reply.type else ""


def _next_server(answer: Answer) -> str:
    """Option 66 is for phones: of the boot clients only GRUB reads it."""
    lacks = answer.file and "://" not in answer.file and not answer.reply.message.siaddr
    told = answer.reply.text(OptionCode.TFTP_SERVER)
    return (f"only option 66 ({told})" if told else "no server at all") if lacks else ""


def _two_names(answer: Answer) -> str:
    option, header = answer.reply.text(OptionCode.BOOT_FILE), answer.reply.file
    return f'"{option}" in option 67, "{header}" in the header' if option and header and option != header else ""


def _odd_name(answer: Answer) -> str:
    name = answer.file
    return repr(name) if name and (name != name.strip() or not name.isprintable()) else ""


def _late(observed: Observed) -> Iterator[Seen]:
    """By the fastest answer: the questions come all at once, and some servers take one after the other."""
    for server in servers(answers(observed)):
        first = min(server.answers, key=lambda answer: answer.heard.at)
        if first.heard.at > (COLLECTS_S if first.gives else PROXY_WAIT_S):
            yield Seen(f"{server.name} answers late, after {first.heard.at:.1f} s", (server.evidence(),))


def _port(answer: Answer) -> str:
    return str(answer.heard.port) if answer.heard.port != SERVER_PORT else ""


def _lease(answer: Answer) -> str:
    raw = answer.reply.raw(OptionCode.LEASE_TIME)
    seconds = int.from_bytes(raw, "big") if len(raw) == 4 else SHORT_LEASE_S
    return f"{seconds} s" if answer.gives and seconds < SHORT_LEASE_S else ""


def _has(code: int) -> Callable[[Answer], str]:
    return lambda answer: "yes" if code in answer.reply.message.options else ""


def _networks(observed: Observed) -> Iterator[Seen]:
    """Whether this host's own address is one of the network that machines get addresses of."""
    station = observed.station
    for server in servers(answer for answer in answers(observed) if answer.gives):
        reply = server.answers[0].reply
        mask = reply.address(OptionCode.SUBNET_MASK)
        if station.address and mask and (station.address ^ reply.message.yiaddr) & mask:
            yield Seen(
                f"machines get addresses like {address_text(reply.message.yiaddr)}, and this host's on {station.interface} is "
                f"{address_text(station.address)}: files were asked for from there, by its own routes"
            )
            return


def _no_link(observed: Observed) -> Iterator[Seen]:
    if not observed.station.up:
        yield Seen(f"{observed.station.interface} is down, or has no carrier: nothing can be sent")


def _without_address(observed: Observed) -> Iterator[Seen]:
    if observed.asked and not observed.station.address:
        yield Seen(f"{observed.station.interface} has no address: port 4011, TFTP and HTTP could not be tried")


# -- servers that are asked directly --------------------------------------------------------------------------------------------------


def _direct(observed: Observed) -> Iterator[tuple[int, int, Server | None, bool]]:
    """Each server that was named: its address, our giaddr, its direct answers, and whether broadcasts reached it."""
    heard = {server_of(answer.reply) for answer in answers(observed)}
    heard |= {answer.heard.address for answer in answers(observed)}
    for address in observed.servers:
        asked = [one for one in observed.direct if one.server == address]
        replied = any(one.heard for one in asked)
        ids = {server_of(reply) for one in asked for h in one.heard if (reply := h.reply()) is not None}
        relay = asked[0].relay if asked else 0
        yield address, relay, Server(address) if replied else None, bool(({address} | ids) & heard)


def _not_delivered(observed: Observed) -> Iterator[Seen]:
    for address, relay, server, reached in _direct(observed):
        if server is not None and not reached:
            yield Seen(
                f"{address_text(address)} answers when it is asked directly for this network, and not when machines ask by "
                "broadcast: no relay here hands their questions on to it, or its answers do not come back",
                (f"a DISCOVER relayed by this host (giaddr {address_text(relay)}) was answered",),
            )


def _server_silent(observed: Observed) -> Iterator[Seen]:
    for address, relay, server, reached in _direct(observed):
        if server is None and relay:
            beside = "; to broadcasts it does answer" if reached else ""
            yield Seen(
                f"{address_text(address)} does not answer what is relayed to it for this network{beside}",
                (f"DISCOVERs to its port 67 with giaddr {address_text(relay)}",),
                level=Level.NOTE if reached else None,
            )


RULES = (
    Rule("station.no-link", Level.ERROR, "plug the cable in; ip link set INTERFACE up", _no_link),
    Rule(
        "dhcp.silence", Level.ERROR,
        "see that the server runs and listens on this network, and that UDP 67 passes its firewall; is the port of the switch in the "
        "right VLAN? When the server is in another network, the router here needs a DHCP relay (helper address); name the server by "
        "--server to ask it directly", _silence,
    ),
    Rule(
        "dhcp.no-address", Level.ERROR,
        "start the network's DHCP server, or let one of these give addresses ([[dhcp.subnet]] with a pool)", _no_address,
    ),
    Rule(
        "dhcp.conflict", Level.WARNING,
        "switch one of them off on this network; the hardware address leads to the port of the switch", _conflict,
    ),
    Rule("dhcp.same-identifier", Level.WARNING, "give each its own address, or switch one off", _same_identifier),
    Rule(
        "dhcp.address-in-use", Level.ERROR,
        "take the address out of the pool, or reserve it for that machine; is there a second DHCP server with the same pool?", _in_use,
    ),
    Rule("proxy.conflict", Level.WARNING, "let one of them answer on this network", _proxies),
    Rule(
        "proxy.overruled", Level.WARNING,
        "take file, option 67 and next server out of the DHCP server, or switch the ProxyDHCP server off", _overruled,
    ),
    Rule(
        "dhcp.one-way", Level.WARNING,
        "look for a relay or switch (DHCP snooping) that drops those answers, or for a rule of the server that refuses such clients",
        _unicast,
    ),
    Rule(
        "relay.not-delivering", Level.ERROR,
        "give the router of this network the server as helper address; see that the server's route and firewall let it answer to the "
        "relay's port 67", _not_delivered,
    ),
    Rule(
        "relay.server-silent", Level.WARNING,
        "see that it runs, that it has a subnet for this network, and that UDP 67 passes on the way", _server_silent,
    ),
    Rule(
        "reply.edk2-drops", Level.ERROR, "mend that option: EDK2 (most UEFI firmware) does not see the reply at all",
        _each("sends what EDK2 drops: {}", _fault),
    ),
    Rule(
        "reply.no-mask", Level.ERROR, "send option 1: EDK2 refuses a lease without it (DECLINE)",
        _each("gives an address without a subnet mask", _mask),
    ),
    Rule(
        "reply.no-server-id", Level.ERROR, "send option 54: RFC 2131 wants it, and EDK2 and iPXE ignore offers without it",
        _each("offers without a server identifier", _server_id),
    ),
    Rule(
        "reply.no-next-server", Level.WARNING,
        "set the next server (siaddr, next-server): iPXE, shim and U-Boot read nothing else",
        _each("names a file and no next server: {}", _next_server),
    ),
    Rule(
        "reply.overload", Level.WARNING, "switch option overload off: iPXE and shim read options as a file name",
        _each("puts options into file or sname (option 52)", _has(OptionCode.OVERLOAD)),
    ),
    Rule(
        "reply.two-names", Level.WARNING, "name the same file in both: EDK2 takes option 67, iPXE and shim the header",
        _each("names two files: {}", _two_names),
    ),
    Rule(
        "reply.odd-name", Level.WARNING, "write the name without blanks and control characters around it",
        _each("names a file with characters that do not belong there: {}", _odd_name),
    ),
    Rule(
        "reply.late", Level.WARNING,
        "look for what delays it (a ping before each offer, a slow relay): iPXE waits 2 s for a ProxyDHCP offer, EDK2 4 s",
        _late,
    ),
    Rule(
        "reply.port", Level.WARNING, "let it answer from port 67: iPXE ignores what comes from another",
        _each("answers from port {}", _port),
    ),
    Rule(
        "reply.file-size", Level.WARNING, "leave option 13 out: EDK2 trusts it instead of asking the TFTP server",
        _each("tells the size of the boot file (option 13)", _has(OptionCode.BOOT_FILE_SIZE)),
    ),
    Rule(
        "reply.short-lease", Level.NOTE, "ten minutes or more: firmware never renews its lease",
        _each("gives leases of {}", _lease),
    ),
    Rule("relay.seen", Level.NOTE, "", _relays),
    Rule("station.network", Level.NOTE, "", _networks),
    Rule("station.no-address", Level.NOTE, "give it one, and try again", _without_address),
)  # fmt: skip
"""In the order in which they are told within a level."""

"""The examination itself: probes go out, and what comes back is observed. Only questions that leave no trace in a server's leases.

Knows sockets and the order of the steps. Must not judge: that is ``diagnose``'s.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace

import trio

from pxenet.doctor import http, tftp
from pxenet.doctor.choice import choose, discover, release
from pxenet.doctor.observed import (
    Asked,
    BootServer,
    Choice,
    Direct,
    Heard,
    HttpRead,
    Leased,
    Observed,
    Question,
    Station,
    TftpAnswer,
    TftpRead,
)
from pxenet.net.arp import Arp
from pxenet.net.raw import Overheard, RawUdp
from pxenet.sim.body import Pairs, Relay
from pxenet.sim.dhcp import BINL_PORT, CLIENT_PORT, SERVER_PORT
from pxenet.sim.firmware import Personality
from pxenet.sim.http import EDK2, IPXE
from pxenet.wire.iana import BOOTREPLY, MessageType
from pxenet.wire.text import address_text, parse_address
from pxenet.wire.tftp import ErrorCode

PORTS = (CLIENT_PORT, SERVER_PORT, BINL_PORT)
AGAIN_S = 1.0
"""Who was not answered asks again; so often as there is time."""
LONGER = 2.5
"""So many times the wait while somebody is not answered: dnsmasq pings an address for 3 s before it offers it, one after the other."""
BOOT_SERVER_S = 2.0
"""iPXE's patience with port 4011; EDK2 has more."""
ACK_S = 3.0
PROBE_S = 0.5
"""For answers to ARP probes: whoever is there answers at once."""
MAX_PROBED = 64
LINGER_S = 0.2
"""After the first answer to a question that is answered once."""
MAX_QUESTIONS = 8
SEARCHES = ("u-boot", "raspberry-4")
"""Firmware (``Personality.firmware``) that tries one name after the other."""
MAX_NAMES = 32
MAX_HEARD = 64
"""Replies to one question that are kept: a network where it loops has more."""

AGENTS = {agent.name: agent for agent in (EDK2, IPXE)}
"""Of ``Choice.reader``: those that a firmware's first file may be read by."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Probes:
    """What shall be asked, from where."""

    station: Station
    personalities: tuple[Personality, ...]
    servers: tuple[int, ...] = ()
    """To be asked directly, too."""
    wait_s: float = 4.0
    """For answers to a DISCOVER. EDK2 collects them so long."""
    lease: bool = False
    """Take each machine's address for a moment, and give it back."""
    seed: int = 0
    """Of the transaction numbers: another one at each examination."""


async def examine(probes: Probes, tell: Tell) -> Observed:
    """Ask, and see. Raises PermissionError without CAP_NET_RAW."""
    station = probes.station
    with closing(RawUdp(station.interface, PORTS)) as raw, _quiet(station.address):
        async with trio.open_nursery() as nursery:
            ears = _Ears(raw)
            for ear in raw.ears:
                nursery.start_soon(ears.listen, ear)
            examination = _Examination(probes, raw, ears, tell)
            observed = await examination.run()
            nursery.cancel_scope.cancel()
    return observed


@contextmanager
def _quiet(address: int) -> Iterator[None]:
    """Hold the ports that answers come to where they are free, or the kernel tells each server that nobody is there."""
    with ExitStack() as held:
        for port in PORTS if address else ():
            with suppress(OSError):
                holder = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC))
                holder.bind((address_text(address), port))
        yield


class _Ears:
    """Replies by their transaction number."""

    def __init__(self, raw: RawUdp) -> None:
        self._raw = raw
        self._wanted: dict[bytes, list[tuple[float, Overheard]]] = {}

    async def listen(self, ear: socket.socket) -> None:
        while True:
            await trio.lowlevel.wait_readable(ear)
            for heard in self._raw.receive(ear):
                kept = self._wanted.get(heard.payload[4:8])
                if kept is not None and heard.payload[0] == BOOTREPLY and len(kept) < MAX_HEARD:
                    kept.append((trio.current_time(), heard))

    def want(self, payload: bytes) -> list[tuple[float, Overheard]]:
        """Where the replies to this message will be found."""
        return self._wanted.setdefault(payload[4:8], [])


class _Examination:
    def __init__(self, probes: Probes, raw: RawUdp, ears: _Ears, tell: Tell) -> None:
        self._probes, self._raw, self._ears, self._tell = probes, raw, ears, tell
        self._boot_servers: list[BootServer] = []
        self._waited_s = probes.wait_s
        self._said: set[str] = set()

    def _say(self, words: str) -> None:
        """Tell how far it is, each step once."""
        if words not in self._said:
            self._said.add(words)
            self._tell(words)

    async def run(self) -> Observed:
        probes = self._probes
        if not probes.station.up:
            return Observed(probes.station, servers=probes.servers)
        heard = await self._discover()
        asked: dict[int, Asked] = {}
        async with trio.open_nursery() as nursery:
            for number, personality in enumerate(probes.personalities):
                nursery.start_soon(self._follow, number, personality, heard[number], asked)
        in_use = await self._probe(heard)
        leased = await self._lease(heard) if probes.lease else []
        direct = await self._ask_directly() if probes.station.address else []
        machines = tuple(asked[number] for number in sorted(asked))
        read = await self._read(machines) if probes.station.address else []
        fetched = await self._fetch(machines) if probes.station.address else []
        return Observed(
            probes.station,
            machines,
            tuple(self._boot_servers),
            tuple(direct),
            probes.servers,
            tuple(read),
            tuple(fetched),
            tuple(in_use),
            tuple(leased),
        )

    async def _discover(self) -> list[list[Heard]]:
        """All DISCOVERs at once; the replies to each."""
        probes = self._probes
        self._say(f"asking as {', '.join(personality.name for personality in probes.personalities)} …")
        questions = [
            discover(personality, probes.station, probes.seed + number)
            for number, personality in enumerate(probes.personalities)
        ]
        inboxes = [self._ears.want(question) for question in questions]
        began_at = trio.current_time()
        while (gone := trio.current_time() - began_at) < probes.wait_s * (1 if all(inboxes) else LONGER):
            for question, inbox in zip(questions, inboxes, strict=True):
                if not inbox:
                    self._broadcast(question)
            left = probes.wait_s - gone
            await trio.sleep(min(left, AGAIN_S) if left > 0 else min(AGAIN_S, probes.wait_s))
        self._waited_s = round(trio.current_time() - began_at, 1)
        return [_heard(inbox, began_at) for inbox in inboxes]

    def _broadcast(self, question: bytes) -> None:
        station = self._probes.station
        self._raw.broadcast(question, CLIENT_PORT, SERVER_PORT)
        if station.serves and station.address:
            self._raw.broadcast_here(question, station.address, CLIENT_PORT, SERVER_PORT)

    async def _follow(self, number: int, personality: Personality, heard: list[Heard], asked: dict[int, Asked]) -> None:
        """Ask what the firmware has to know on its way to a file."""
        station, seed = self._probes.station, self._probes.seed + number
        answers: dict[tuple[int, bytes], list[Heard]] = {}
        for _ in range(MAX_QUESTIONS):
            choice = choose(personality, station, heard, answers, seed) if heard else Choice(stops="nobody answers")
            if choice.question is None or not station.address:
                break
            answers[choice.question.key] = found = await self._ask_boot_server(choice.question)
            self._boot_servers.append(BootServer(personality.name, choice.question.server, tuple(found)))
        missing: set[str] = set()
        while personality.firmware in SEARCHES and len(missing) < MAX_NAMES and await self._is_missing(choice):
            missing.add(choice.url)
            choice = choose(personality, station, heard, answers, seed, missing)
        asked[number] = Asked(personality, tuple(heard), choice, self._waited_s)

    async def _is_missing(self, choice: Choice) -> bool:
        """Whether the server says that it does not have the file."""
        place = tftp_place(choice.url)
        if place is None or not self._probes.station.address:
            return False
        found = await tftp.attempt(*place, choice.options, self._probes.station.address)
        return found.answer is TftpAnswer.ERROR and found.code == ErrorCode.FILE_NOT_FOUND

    async def _ask_boot_server(self, question: Question) -> list[Heard]:
        self._say(f"asking {address_text(question.server)} on port {BINL_PORT} …")
        inbox = self._ears.want(question.payload)
        before, began_at = len(inbox), trio.current_time()
        address = self._probes.station.address

        def ask() -> None:
            self._raw.send(question.payload, address, question.from_port, question.server, BINL_PORT)

        def replies() -> list[tuple[float, Overheard]]:
            # iPXE asks with the number of its DISCOVER: what comes late from port 67 belongs to that.
            return [(at, one) for at, one in inbox[before:] if one.source_port != SERVER_PORT]

        await _repeated(ask, lambda: bool(replies()), BOOT_SERVER_S)
        return _heard(replies(), began_at)

    async def _probe(self, heard: Sequence[Sequence[Heard]]) -> list[tuple[int, bytes]]:
        """Whether somebody on this wire has an address that is offered."""
        station = self._probes.station
        replies = [reply for found in heard for one in found if (reply := one.reply()) is not None]
        offered = {reply.message.yiaddr for reply in replies} - {0, *station.ours}
        if not offered:
            return []
        with closing(Arp(station.interface, station.mac)) as arp:
            for address in sorted(offered)[:MAX_PROBED]:
                arp.probe(address)
            await trio.sleep(PROBE_S)
            said = [one for one in arp.receive() if one[0] in offered and one[1] != station.mac]
        return sorted(set(said))

    async def _lease(self, heard: Sequence[Sequence[Heard]]) -> list[Leased]:
        """One machine after the other, because all have the same hardware address."""
        probes, found = self._probes, []
        # With no address of its own the firmware asks for the one that it was really offered.
        station = replace(probes.station, address=0)
        for number, personality in enumerate(probes.personalities):
            choice = choose(personality, station, heard[number], {}, probes.seed + number)
            if choice.request and choice.offer is not None:
                self._say(f"taking an address as {personality.name} …")
                found.append(await self._leased(personality.name, choice.request, choice.offer))
        return found

    async def _leased(self, name: str, request: bytes, offer: Heard) -> Leased:
        inbox = self._ears.want(request)
        before, began_at = len(inbox), trio.current_time()

        def replies() -> list[Heard]:
            return [
                one for one in _heard(inbox[before:], began_at) if type_of(one) in (MessageType.ACK, MessageType.NAK)
            ]

        await _repeated(lambda: self._broadcast(request), lambda: bool(replies()), ACK_S)
        found, given_back = replies(), False
        for ack in found:
            reply = ack.reply()
            if reply is not None and reply.type == MessageType.ACK and reply.message.yiaddr:
                payload = release(request, ack, self._probes.seed ^ 0xFFFF)
                to = reply.server_id or ack.address
                given_back = self._raw.send(payload, reply.message.yiaddr, CLIENT_PORT, to, SERVER_PORT)
        return Leased(name, offer, tuple(found), given_back)

    async def _ask_directly(self) -> list[Direct]:
        """The servers that were named, as a relay of this network would ask them."""
        probes, found = self._probes, []
        own = probes.station.address
        for count, server in enumerate(probes.servers, 1):
            self._say(f"asking {address_text(server)} as a relay …")
            relay = Relay(own, server)
            questions = [
                discover(personality, probes.station, probes.seed + number + 1000 * count, relay)
                for number, personality in enumerate(probes.personalities)
            ]
            inboxes = [self._ears.want(question) for question in questions]
            began_at = trio.current_time()
            await self._relayed(questions, inboxes, server)
            found += [
                Direct(server, own, personality.name, tuple(_heard(inbox, began_at)))
                for personality, inbox in zip(probes.personalities, inboxes, strict=True)
            ]
        return found

    async def _relayed(self, questions: Sequence[bytes], inboxes: Sequence[Sequence[object]], server: int) -> None:
        own = self._probes.station.address

        def ask() -> None:
            for question, inbox in zip(questions, inboxes, strict=True):
                if not inbox:
                    self._raw.send(question, own, SERVER_PORT, server, SERVER_PORT)

        await _repeated(ask, lambda: all(inboxes), min(self._probes.wait_s, 3.0))

    async def _read(self, machines: Sequence[Asked]) -> list[TftpRead]:
        """Each file once for all who read it alike."""
        files: dict[tuple[int, str, Pairs], list[str]] = {}
        for asked in machines:
            if (place := tftp_place(asked.choice.url)) is not None:
                files.setdefault((*place, asked.choice.options), []).append(asked.personality.name)
        found = []
        for (server, name, options), by in files.items():
            self._say(f"reading {name} from {address_text(server)} by TFTP …")
            found.append(await tftp.examine(server, name, options, by, self._probes.station.address))
        return found

    async def _fetch(self, machines: Sequence[Asked]) -> list[HttpRead]:
        """Likewise by HTTP."""
        files: dict[tuple[str, str], list[str]] = {}
        for asked in machines:
            if asked.choice.url.startswith(("http://", "https://")):
                files.setdefault((asked.choice.url, asked.choice.reader), []).append(asked.personality.name)
        found = []
        for (url, reader), by in files.items():
            self._say(f"reading {url} …")
            found.append(await http.examine(url, by, AGENTS.get(reader, IPXE), self._probes.station.address))
        return found


def tftp_place(url: str) -> tuple[int, str] | None:
    """Server and name of what a firmware reads by TFTP; the name as it is asked for, which need not be fit for an URL."""
    if not url.startswith("tftp://"):
        return None
    server, _, name = url.removeprefix("tftp://").partition("/")
    try:
        return parse_address(server), name
    except ValueError:
        return None  # a name in an URL: nobody here resolves it as the firmware would


def type_of(heard: Heard) -> int:
    """Option 53; 0: none."""
    reply = heard.reply()
    return reply.type if reply is not None else 0


async def _repeated(ask: Callable[[], None], done: Callable[[], bool], wait_s: float) -> None:
    """Ask now and again, until it is done or so long has passed."""
    until = trio.current_time() + wait_s
    again_at = 0.0
    while not done() and (now := trio.current_time()) < until:
        if now >= again_at:
            ask()
            again_at = now + wait_s / 3
        await trio.sleep(0.02)
    if done():
        await trio.sleep(LINGER_S)


def _heard(inbox: Sequence[tuple[float, Overheard]], began_at: float) -> list[Heard]:
    return [
        Heard(at - began_at, one.payload, one.source, one.source_port, one.hardware, one.destination)
        for at, one in inbox
    ]

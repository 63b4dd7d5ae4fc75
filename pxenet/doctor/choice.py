"""What a firmware would load, told by the simulated firmware itself: it is fed, in virtual time, what was heard on the network.

Its REQUEST goes nowhere: it is answered by the offer that it chose, made into an ACK, because a server says the same in both
(RFC 2131 table 3) and nobody's leases shall change. What it asks of port 4011 is asked for real by whoever calls, and the firmware
begins again with the answer. Pure; the same seed gives the same bytes, transaction numbers included.
"""

from __future__ import annotations

import heapq
from collections.abc import Container, Mapping, Sequence
from itertools import count

from pxenet.doctor.observed import Choice, Heard, Question, Station
from pxenet.net.datagram import BROADCAST
from pxenet.sim.body import ClientSend, Relay, Said, SimDatagram
from pxenet.sim.dhcp import BINL_PORT, SERVER_PORT
from pxenet.sim.firmware import Personality
from pxenet.sim.machine import Machine
from pxenet.sim.tftp import TFTP_PORT
from pxenet.wire import tftp
from pxenet.wire.dhcp import Message, parse, serialize
from pxenet.wire.iana import BOOTREQUEST, MessageType, OptionCode
from pxenet.wire.options import Options
from pxenet.wire.shapes import Value

LONGEST_S = 300.0
"""No firmware waits for so long without saying anything."""
_NOT_FOUND = tftp.serialize(tftp.Error(tftp.ErrorCode.FILE_NOT_FOUND))
_YIADDR = slice(16, 20)
_OPTIONS_AT = 240

Answers = Mapping[tuple[int, bytes], Sequence[Heard]]
"""``Question.key`` → what came back."""


def discover(personality: Personality, station: Station, seed: int, relay: Relay | None = None) -> bytes:
    """The DISCOVER with which it begins; with ``relay`` as that hands it on."""
    return _machine(personality, station, seed, relay).power_on(0.0).sends[0].payload


def choose(
    personality: Personality,
    station: Station,
    heard: Sequence[Heard],
    answers: Answers,
    seed: int,
    missing: Container[str] = (),
) -> Choice:
    """What it makes of these replies to its DISCOVER, each heard at its time. A question that ``answers`` lacks is returned as such.

    ``missing``: URLs of files that are not there, so that firmware with a list of names goes on to the next.
    """
    return _Run(personality, station, heard, answers, seed, missing).run()


def _machine(personality: Personality, station: Station, seed: int, relay: Relay | None = None) -> Machine:
    return Machine(personality, station.mac, seed, pace=0.0, relay=relay)


def release(request: bytes, ack: Heard, xid: int) -> bytes:
    """The RELEASE that gives the address of an ACK back (RFC 2131 table 5); identified as the REQUEST was."""
    asked, reply = parse(request), parse(ack.payload)
    values: dict[int, Value] = {OptionCode.MESSAGE_TYPE: MessageType.RELEASE}
    values[OptionCode.SERVER_ID] = reply.options.raw(OptionCode.SERVER_ID)
    values[OptionCode.CLIENT_ID] = asked.options.raw(OptionCode.CLIENT_ID)
    message = Message(BOOTREQUEST, xid=xid, ciaddr=reply.yiaddr, chaddr=asked.chaddr, options=Options.build(values))
    return serialize(message)


class _Run:
    """One virtual boot, up to the first file."""

    def __init__(
        self,
        personality: Personality,
        station: Station,
        heard: Sequence[Heard],
        answers: Answers,
        seed: int,
        missing: Container[str],
    ) -> None:
        self._missing = missing
        self._machine = _machine(personality, station, seed)
        self._station, self._heard, self._answers = station, heard, answers
        self._due: list[tuple[float, int, SimDatagram]] = []
        self._order = count()
        self._asked: set[tuple[int, bytes]] = set()
        self._said_discover = False
        self._offer: Heard | None = None
        self._kept: list[str] = []
        self._said_request = b""

    def run(self) -> Choice:
        machine = self._machine
        said = machine.power_on(0.0)
        while True:
            question = self._obey(said)
            if machine.over:
                return self._choice(stops=machine.failure or machine.stage.value)
            read = machine.reads[-1] if machine.reads else None
            if read is not None and read.url not in self._missing:
                return self._choice(url=read.url, reader=read.by, options=read.asked)
            if question is not None:
                return self._choice(question=question)
            deadline = machine.deadline()
            if self._due and self._due[0][0] <= deadline:
                at, _, datagram = heapq.heappop(self._due)
                said = machine.receive(datagram, max(at, machine.now))
            elif deadline <= LONGEST_S:
                said = machine.tick(deadline)
            else:
                return self._choice(stops="waits for ever")

    def _choice(
        self,
        url: str = "",
        reader: str = "",
        options: tuple[tuple[str, str], ...] = (),
        stops: str = "",
        question: Question | None = None,
    ) -> Choice:
        return Choice(url, reader, options, stops, self._offer, question, tuple(self._kept), self._said_request)

    def _obey(self, said: Said) -> Question | None:
        for send in said.sends:
            if send.to_port == BINL_PORT:
                question = Question(send.to_address, send.from_port, send.payload)
                if question.key not in self._answers:
                    return question
                if question.key not in self._asked:
                    self._asked.add(question.key)
                    self._hear(self._answers[question.key], send.from_port)
            elif send.to_port == TFTP_PORT:  # a file that is missing, or the run would be over
                gone = SimDatagram(_NOT_FOUND, send.to_address, TFTP_PORT, send.from_address, send.from_port)
                heapq.heappush(self._due, (self._machine.now, next(self._order), gone))
            elif send.to_address == BROADCAST and send.to_port == SERVER_PORT:
                self._broadcast(send)
        return None

    def _broadcast(self, send: ClientSend) -> None:
        message = parse(send.payload)
        kind = message.message_type
        if kind == MessageType.DISCOVER:
            if not self._said_discover:
                self._said_discover = True
                self._hear(self._heard, send.from_port)
        elif kind == MessageType.REQUEST and OptionCode.SERVER_ID in message.options:
            self._said_request = self._said_request or send.payload
            self._request(message, send.from_port)
        elif kind == MessageType.REQUEST:
            self._kept.append("the search for a boot server by broadcast, which some DHCP servers take for a renewal")

    def _request(self, message: Message, port: int) -> None:
        """Answer as the chosen server would."""
        server = message.options.raw(OptionCode.SERVER_ID)
        asked = int.from_bytes(message.options.raw(OptionCode.REQUESTED_ADDRESS) or b"", "big")
        for heard in self._heard:
            reply = heard.reply()
            if reply is None or reply.message.options.raw(OptionCode.SERVER_ID) != server:
                continue
            if asked == (self._station.address or reply.message.yiaddr) and reply.message.yiaddr:
                self._offer = heard
                payload = _acknowledged(heard.payload)
                if payload is not None:
                    self._hear([Heard(0.0, payload, heard.address, heard.port, heard.hardware, heard.to)], port)
                return

    def _hear(self, replies: Sequence[Heard], port: int) -> None:
        for heard in replies:
            payload, own = heard.payload, self._station.address
            if own and payload[_YIADDR] != bytes(4) and len(payload) > _OPTIONS_AT:
                # It does not take the lease, so it goes on with the address that it has.
                payload = payload[: _YIADDR.start] + own.to_bytes(4, "big") + payload[_YIADDR.stop :]
            datagram = SimDatagram(payload, heard.address, heard.port, own, port)
            heapq.heappush(self._due, (self._machine.now + heard.at, next(self._order), datagram))


def _acknowledged(payload: bytes) -> bytes | None:
    """An OFFER as ACK; None when it has no message type where it belongs."""
    at = _OPTIONS_AT
    while at + 2 < len(payload) and payload[at] != 255:
        code = payload[at]
        if code == OptionCode.MESSAGE_TYPE:
            return payload[: at + 2] + bytes((MessageType.ACK,)) + payload[at + 3 :]
        at += 1 if code == OptionCode.PAD else 2 + payload[at + 1]
    return None

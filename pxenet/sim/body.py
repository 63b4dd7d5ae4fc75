"""What a simulated machine is made of: what it sends and hears, how far it has come, and how its programs wait.

The programs of a machine (firmware, boot loader, installer) are generators: they yield the time at which they want to go on at the
latest, and are sent what came in the meantime (:data:`Heard`), or None when that time is reached. Nothing here knows a protocol.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

NEVER = float("inf")

T = TypeVar("T")


class Stage(enum.Enum):
    """How far a machine has come since power-on."""

    OFF = "off"
    DISCOVER = "discover"  # its firmware asks for an address
    LEASE = "lease"  # has one
    LOADER = "loader"  # reads a boot program
    CONFIG = "config"  # reads the program's configuration or script
    KERNEL = "kernel"
    INITRD = "initrd"
    SYSTEM = "system"  # the kernel runs and asks for its address
    ANSWER = "answer"  # reads the answer file
    REPOSITORY = "repository"
    CALLBACK = "callback"  # reports the end
    INSTALLED = "installed"
    DISCOVERED = "discovered"  # has told what it is
    LOCAL_DISK = "local disk"
    FAILED = "failed"


FINAL = frozenset({Stage.INSTALLED, Stage.DISCOVERED, Stage.LOCAL_DISK, Stage.FAILED})
"""After these nothing more happens until somebody presses the button."""


@dataclass(slots=True)
class SimDatagram:
    """One UDP payload that reached the machine."""

    payload: bytes
    from_address: int
    from_port: int
    to_address: int = 0
    to_port: int = 0


@dataclass(slots=True)
class ClientSend:
    """One UDP payload that the machine sends."""

    payload: bytes
    to_address: int
    """255.255.255.255 for a broadcast."""
    to_port: int
    from_port: int
    from_address: int
    """0 while it has none."""


@dataclass(slots=True)
class HttpFetch:
    """One HTTP request that the machine makes; answered by ``Machine.fetched`` with its id."""

    id: int
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    """In the client's order and spelling, ``Host`` among them."""
    body: bytes = b""
    keep_body: bool = False
    """The machine wants to see the reply's body; otherwise its size is enough."""
    version: str = "1.1"


@dataclass(slots=True)
class HttpReply:
    """What became of a request. Header names are as the server spelled them."""

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    size: int = 0
    """Bytes of body that came."""
    body: bytes = b""
    """Only when it was asked for."""
    failed: str = ""
    """Why there is no reply: refused, reset, timed out."""

    def header(self, name: str) -> str:
        """A header in any spelling; empty when absent."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), "")


@dataclass(slots=True)
class Said:
    """What a machine does to the world in one step, in order."""

    sends: list[ClientSend] = field(default_factory=list)
    fetches: list[HttpFetch] = field(default_factory=list)


Heard = SimDatagram | tuple[int, HttpReply] | None
"""A datagram, the reply to a fetch, or None: the time that was waited for is reached."""

Steps = Generator[float, Heard, T]
"""A program of a machine: yields deadlines, is sent what was heard, returns its result."""


class BootError(Exception):
    """The machine cannot go on; the message says why, in the words of its firmware where it has any."""


class RebootError(Exception):
    """The program resets the machine."""


@dataclass(frozen=True, slots=True)
class Relay:
    """A simulated relay agent in front of the machine, which makes its broadcasts unicast (RFC 2131 §4.1, RFC 8357)."""

    address: int
    """giaddr."""
    server: int
    """Where the server is."""
    port: int = 0
    """The relay's own port, put into option 82.19 by its presence: answers come to it; 0: port 67 as ever."""
    server_port: int = 67
    circuit_id: bytes = b""
    agent_information: bytes = b""
    """Option 82 as a real relay was seen to send it, instead of one made of the above."""


Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Manners:
    """How this one machine says things, where that is known better than by its kind: as it was captured."""

    tftp: Mapping[str, Pairs] = field(default_factory=dict)
    """``Traits.name`` → the options of its requests."""
    http: Mapping[str, Pairs] = field(default_factory=dict)
    """``Agent.name`` → the headers of its requests."""
    judge: Callable[[str, str], str] = field(default=lambda name, arch: "")
    """Why a boot program (name or URL, ``x64`` …) cannot be started, as firmware that looks into the file would say; empty: it can.
    By default every file is what its name says: those of a simulation may be mere stand-ins."""


@dataclass(slots=True)
class Read:
    """One request for a file, and what became of it."""

    at: float
    by: str
    """``Traits.name`` or ``Agent.name``."""
    url: str
    """``tftp://10.0.0.1/name``, with the name as it was asked for; or the URL."""
    method: str = "RRQ"
    asked: Pairs = ()
    """TFTP options."""
    granted: Pairs = ()
    """TFTP options of the OACK; of HTTP the reply's headers."""
    status: int = 0
    """Of HTTP."""
    size: int = 0
    ended_at: float = NEVER
    failure: str = ""
    """Empty: it has what it wanted."""


class Reading(Protocol):
    """A transfer under way that can be told of a whole window at once, where nothing on the network can come between."""

    @property
    def server(self) -> int:
        """Whom it reads from."""
        ...

    readable_bytes: int
    """So far from its beginning the file was seen to be readable, by whoever tells of windows."""

    def window(self, first: int, count: int, blksize: int, port: int, at: float) -> bytes | None:
        """Full blocks ``first`` to ``first + count - 1`` arrive from that port, at that time and in order: the ACK that leaves then.

        None, and nothing has happened: it must hear them one by one.
        """
        ...


MAX_READS = 4096
MAX_REPLIES = 256


class Body:
    """State and voice of one machine."""

    def __init__(
        self, mac: bytes, seed: int, *, relay: Relay | None, uuid: bytes | None, serial: str, pace: float
    ) -> None:
        self.mac = mac
        self.uuid = uuid if uuid is not None else bytes.fromhex("00004d56000000408000") + mac[-6:]
        self.serial = serial
        self.relay = relay
        self.pace = pace
        self.random = random.Random(seed)
        self.now = 0.0
        self.stage = Stage.OFF
        self.reached: dict[Stage, float] = {}
        self.retries = 0
        self.boots = 0
        self.file = ""
        self.bytes_read = 0
        self.address = 0
        self.netmask = 0
        self.router = 0
        self.failure = ""
        self.trail: list[str] = []
        self.manners = Manners()
        self.reads: list[Read] = []
        """What it asked for in this boot; of very many the first."""
        self.replies: list[tuple[float, str, object]] = []
        """Replies by DHCP that belonged to one of its conversations in this boot: when, ``Voice.name``, ``dhcp.Reply``."""
        self.said = Said()
        self.reading: Reading | None = None
        """What it reads by TFTP and does nothing beside."""
        self._fetches = 0
        self._port = 0

    def enter(self, stage: Stage) -> None:
        """Reach a stage. Kept with the first time in this boot; a stage that lies behind is not entered again."""
        self.stage = stage
        self.reached.setdefault(stage, self.now)

    def send(self, payload: bytes, to_address: int, to_port: int, from_port: int) -> None:
        """One UDP payload from the machine's address."""
        self.said.sends.append(ClientSend(payload, to_address, to_port, from_port, self.address))

    def fetch(self, fetch: HttpFetch) -> int:
        """Make an HTTP request; its id, under which the reply will come."""
        self._fetches += 1
        fetch.id = self._fetches
        self.said.fetches.append(fetch)
        return self._fetches

    def asks(self, read: Read) -> Read:
        """Note that it asks for a file."""
        if len(self.reads) < MAX_READS:
            self.reads.append(read)
        return read

    def next_port(self, low: int, high: int) -> int:
        """The next source port of a stack that counts them up, within these bounds."""
        self._port = self._port + 1 if low <= self._port < high else low
        return self._port

    def note(self, words: str) -> None:
        """Something that a person in front of the machine would see."""
        self.trail.append(words)
        del self.trail[:-64]


def pause(body: Body, seconds: float) -> Steps[None]:
    """Do nothing for that long; what comes meanwhile is lost."""
    until = body.now + seconds
    while body.now < until:
        yield until


def work(body: Body, seconds: float) -> Steps[None]:
    """The machine is busy with itself (self-test, decompression, writing its disk): shortened or stretched by its ``pace``."""
    if body.pace:
        yield from pause(body, seconds * body.pace * body.random.uniform(0.9, 1.1))

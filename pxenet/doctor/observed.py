"""What was seen on the network, as values: who answered whom, when, with which bytes. No judgement stands in here.

Addresses are ints, 0 where there is none; times are seconds since the question.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pxenet.sim.body import Pairs
from pxenet.sim.dhcp import Reply
from pxenet.sim.firmware import Personality
from pxenet.wire.dhcp import parse
from pxenet.wire.reader import WireError
from pxenet.wire.tftp import option_number


@dataclass(frozen=True, slots=True)
class Station:
    """Where the probes were sent from."""

    interface: str
    mac: bytes
    """The hardware address in the probes."""
    card: bytes
    """The interface's own; another one in the probes: they speak for another machine."""
    address: int = 0
    """Of the interface; TFTP, HTTP and port 4011 are asked from it."""
    prefix: int = 0
    mtu: int = 1500
    up: bool = True
    """It is up and has a carrier."""
    serves: bool = False
    """A program of this host holds UDP port 67."""
    ours: tuple[int, ...] = ()
    """All addresses of this host: a server among them is this host itself."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One reply by DHCP."""

    at: float
    payload: bytes
    address: int
    """It came from there."""
    port: int
    hardware: bytes = b""
    """Of the frame: the sender, or the router before it."""
    to: int = 0xFFFFFFFF
    """Where it was sent to: broadcast, or the address that it offers."""

    def reply(self) -> Reply | None:
        """As a client reads it; None when it is no DHCP message, or does not tell which."""
        try:
            reply = Reply(parse(self.payload), self.payload, self.address, self.port)
            _ = reply.type
        except WireError:
            return None
        return reply


@dataclass(frozen=True, slots=True)
class Question:
    """What a firmware asks a boot server on port 4011 on its way to a file."""

    server: int
    from_port: int
    payload: bytes

    @property
    def key(self) -> tuple[int, bytes]:
        """The same for all its repetitions: iPXE counts them in ``secs``."""
        return self.server, self.payload[:8] + self.payload[10:]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a firmware makes of the replies: a file, an end, or a question that has to be asked first."""

    url: str = ""
    """The first file that it reads: ``tftp://10.0.0.1/name``, with the name as it asks for it, or an URL."""
    reader: str = ""
    """By which it reads: ``tftp.Traits.name`` or ``http.Agent.name``."""
    options: Pairs = ()
    """Of the TFTP request."""
    stops: str = ""
    """Why it does not go on, in its own words."""
    offer: Heard | None = None
    """The offer whose address it takes."""
    question: Question | None = None
    kept: tuple[str, ...] = ()
    """What it would have said, and was not sent, because it is not harmless."""
    request: bytes = b""
    """The REQUEST that it says to the offer, which is sent only when leases may be taken; empty: it says none."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One personality's DISCOVER and what came of it."""

    personality: Personality
    heard: tuple[Heard, ...]
    choice: Choice
    """What this firmware makes of it."""
    wait_s: float = 4.0
    """So long was listened."""


@dataclass(frozen=True, slots=True)
class BootServer:
    """A question to port 4011."""

    by: str
    """The personality that asks, by its name."""
    server: int
    heard: tuple[Heard, ...]


@dataclass(frozen=True, slots=True)
class Direct:
    """A DISCOVER handed to a server as a relay hands it on, in the name of this network."""

    server: int
    relay: int
    """giaddr."""
    by: str
    heard: tuple[Heard, ...]


@dataclass(frozen=True, slots=True)
class Leased:
    """A REQUEST that was sent, because leases might be taken, and what came of it."""

    by: str
    offer: Heard
    heard: tuple[Heard, ...]
    released: bool = False
    """The address was given back."""


class TftpAnswer(enum.Enum):
    """The first answer to a read request."""

    OACK = "OACK"
    DATA = "DATA"
    ERROR = "ERROR"
    SILENCE = "no answer"
    REFUSED = "port 69 is closed"


@dataclass(frozen=True, slots=True)
class TftpTry:
    """The beginning of one transfer."""

    answer: TftpAnswer
    asked: Pairs = ()
    granted: Pairs = ()
    code: int = 0
    text: str = ""
    """Of an ERROR."""
    address: int = 0
    """From where it was answered."""
    head: bytes = b""
    """What arrived, in order; breaks off after a few blocks."""
    first_window: int = 0
    """Blocks of the first window that arrived."""
    last: bool = False
    """The file ended within that."""

    def option(self, name: str) -> int | None:
        """What was granted, any spelling; None: nothing, or no number."""
        value = next((value for known, value in self.granted if known.lower() == name), None)
        return option_number(value) if value is not None else None

    @property
    def blksize(self) -> int:
        """What the transfer used."""
        return self.option("blksize") or 512

    @property
    def arrives(self) -> bool:
        """Blocks do."""
        return bool(self.head) or self.last


@dataclass(frozen=True, slots=True)
class TftpRead:
    """A file that firmware reads by TFTP, tried as it asks and then in other ways."""

    server: int
    name: str
    by: tuple[str, ...]
    """The personalities that read it so."""
    first: TftpTry
    """As the firmware asks."""
    sizes: tuple[tuple[int, bool], ...] = ()
    """Other block sizes that were tried because those of ``first`` did not arrive, and whether these did."""
    large: TftpTry | None = None
    """Blocks larger than any frame, where the server grants them."""


@dataclass(frozen=True, slots=True)
class HttpTry:
    """One request and the beginning of its reply."""

    method: str
    failed: str = ""
    """Why there is no reply."""
    head: bytes = b""
    """As it came, with the empty line that ends it."""
    body: bytes = b""
    """The first bytes that followed it; of a reply to HEAD there should be none."""
    ended: bool = False
    """The connection ended after these."""

    @property
    def lines(self) -> list[str]:
        """The head's lines, however they end."""
        return [line.rstrip("\r") for line in self.head.decode("latin-1").strip("\r\n").split("\n")]

    @property
    def status(self) -> int:
        """0: there is no reply, or none of HTTP's."""
        version, _, rest = self.lines[0].partition(" ")
        return int(rest[:3]) if version.startswith("HTTP/") and rest[:3].isdecimal() and rest[:3].isascii() else 0

    @property
    def fields(self) -> list[tuple[str, str]]:
        """Names as the server spelled them, and values."""
        return [(name, value.strip()) for name, _, value in (line.partition(":") for line in self.lines[1:])]

    def field(self, name: str) -> str:
        """A value, whatever the spelling of its name; empty when absent."""
        return next((value for known, value in self.fields if known.lower() == name.lower()), "")

    @property
    def length(self) -> int | None:
        """Content-Length; None when absent, or no number."""
        return option_number(self.field("Content-Length"))

    @property
    def chunked(self) -> bool:
        return "chunked" in self.field("Transfer-Encoding").lower()


@dataclass(frozen=True, slots=True)
class HttpRead:
    """A file that firmware reads by HTTP: tried as it asks, and with a part of it."""

    url: str
    by: tuple[str, ...]
    agent: str
    """``http.Agent.name``."""
    get: HttpTry
    size: HttpTry | None = None
    """HEAD, where this client begins with it."""
    part: HttpTry | None = None
    """With a Range."""


@dataclass(frozen=True, slots=True)
class Observed:
    """All of it."""

    station: Station
    asked: tuple[Asked, ...] = ()
    boot_servers: tuple[BootServer, ...] = ()
    direct: tuple[Direct, ...] = ()
    servers: tuple[int, ...] = ()
    """Those that were named to be asked directly."""
    tftp: tuple[TftpRead, ...] = ()
    http: tuple[HttpRead, ...] = ()
    in_use: tuple[tuple[int, bytes], ...] = ()
    """Offered addresses that somebody says are his already, and his hardware address."""
    leased: tuple[Leased, ...] = ()

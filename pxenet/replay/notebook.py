"""Writes down what a rack and its engines tell of their decisions, request by request and name by name.

Must not ask them anything that changes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pxenet.answer.masking import Mask
from pxenet.boot.policy import Plan
from pxenet.capture.text import message_lines
from pxenet.config import Settings
from pxenet.engine.dhcp.query import Query, Stage
from pxenet.engine.dhcp.rules import Candidate, Finding, Reaction
from pxenet.model import Absent, Asker, BootClient, BootFile, Content, Host, Role
from pxenet.net.datagram import Send
from pxenet.rack import Rack
from pxenet.rack.confidential import secrets_in
from pxenet.rack.discreet import hidden
from pxenet.replay import reasons
from pxenet.replay.play import origin_of
from pxenet.replay.reasons import Reason
from pxenet.wire.dhcp import parse
from pxenet.wire.text import address_text


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one DHCP request."""

    at_s: float
    request: str
    """``DISCOVER from EDK2 PXE``."""
    reasons: tuple[Reason, ...]
    answer: str
    """``OFFER``; or why there is none."""
    lines: tuple[str, ...] = ()
    """What the answer says."""
    send: Send | None = None
    """The very datagram that the server sends."""

    def record(self) -> dict[str, object]:
        """For programs."""
        told = [reason.record() for reason in self.reasons]
        return {
            "at_s": round(self.at_s, 3),
            "request": self.request,
            "reasons": told,
            "answer": self.answer,
            "says": self.lines,
        }


@dataclass(frozen=True, slots=True)
class Serving:
    """What became of one name that was asked for."""

    at_s: float
    name: str
    taken: str
    """What it is: ``boot text rendered for web01, 412 bytes``; or that there is nothing."""
    because: str
    text: str = ""
    """All of it, when it is a text made for the machine; tokens are shortened."""
    times: int = 1
    """How often in a row it was asked for."""

    def record(self) -> dict[str, object]:
        """For programs."""
        return {
            "at_s": round(self.at_s, 3), "name": self.name, "taken": self.taken, "because": self.because, "text": self.text,
            "times": self.times,
        }  # fmt: skip


class Notebook:
    """Writes down what the rack and its engines tell; see ``play.Witness``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._mask = Mask(secrets_in(settings))
        self._open: Case | None = None
        self.cases: list[Case | Search] = []

    def attend(self, rack: Rack, clock: Callable[[], float]) -> None:
        """Whose decisions they are, and what time it is."""
        self._rack, self._clock = rack, clock
        self._began_at = clock()

    def asked(self, query: Query) -> None:
        """A case is opened."""
        self._open = case = Case(self._clock() - self._began_at, query.client, query.form.name)
        case.query = query
        case.reasons += [reasons.network(query, self._settings), reasons.machine(query.client, query.host)]
        self.cases.append(case)

    def booted(self, client: BootClient, host: Host, plan: Plan, boot: BootFile, *, proxied: bool) -> None:
        """What it is to do, and the file."""
        case = self._open
        if case is None or case.query is None:
            return
        rack, server = self._rack, case.query.form.server
        case.reasons.append(reasons.to_do(host, plan, rack.installs.record(host.key), rack))
        if client.platform is not None and (boot.path or boot.url or boot.reason == "loader-missing"):
            case.reasons.append(reasons.loader(client.platform, plan, host, rack))
        case.reasons.append(reasons.boot_file(client, host, plan, boot, rack, server, proxied=proxied))

    def considered(self, candidates: Sequence[Candidate]) -> None:
        """The addresses of a DISCOVER."""
        if self._open is not None:
            self._open.reasons.append(reasons.address(candidates))

    def judged(self, stage: Stage, address: int, finding: Finding, what: Reaction) -> None:
        """The address of a REQUEST."""
        if self._open is not None:
            self._open.reasons.append(reasons.judgement(stage, address, finding, what))

    def dropped(self, reason: str) -> None:
        """No answer."""
        if self._open is not None:
            self._open.answer = self._open.answer or f"none: {reason}"

    def said(self, name: str, send: Send) -> None:
        """An answer; of a lease, when it has become durable."""
        for case in reversed(self.cases):
            if isinstance(case, Case) and case.send is None and case.answers(send):
                case.answer, case.send = name, send
                return

    def found(self, path: str, asker: Asker, found: Content | Absent) -> None:
        """A name that was asked for."""
        mac = asker.host.mac if asker.host is not None else None
        self.cases.append(Search(self._clock() - self._began_at, mac or b"", path, asker, found, self._mask))


@dataclass(slots=True)
class Case:
    """A request under way."""

    at_s: float
    client: BootClient
    name: str
    reasons: list[Reason] = field(default_factory=list)
    answer: str = ""
    send: Send | None = None
    query: Query | None = None

    @property
    def mac(self) -> bytes:
        return self.client.mac

    def answers(self, send: Send) -> bool:
        """The datagram has this request's transaction and hardware address (RFC 2131 §2)."""
        asked = self.query.datagram.data if self.query is not None else b""
        return _payload(send)[4:8] == asked[4:8] and _payload(send)[28:44] == asked[28:44]

    def told(self) -> Decision:
        lines: tuple[str, ...] = ()
        if self.send is not None:
            said = message_lines(parse(_payload(self.send)))
            lines = tuple(hidden(line) for line in said if not line.startswith(("op ", "chaddr ")))
        by = self.client.vendor_class or "a client without vendor class"
        return Decision(
            self.at_s, f"{self.name} from {by}", tuple(self.reasons), self.answer or "none", lines, self.send
        )


@dataclass(slots=True)
class Search:
    """A name that was asked for."""

    at_s: float
    mac: bytes
    path: str
    asker: Asker
    found: Content | Absent
    mask: Mask

    def told(self) -> Serving:
        asker, found = self.asker, self.found
        who = f"{address_text(asker.address)} is "
        who += f"{asker.host.name} ({asker.evidence})" if asker.host is not None else "nobody we know"
        if isinstance(found, Absent):
            return Serving(self.at_s, hidden(self.path), f"nothing: {found.missing.value}", hidden(found.detail or who))
        owner = asker.host.name if asker.host is not None else "anybody"
        if all(isinstance(segment, bytes) for segment in found.segments):
            text = b"".join(segment for segment in found.segments if isinstance(segment, bytes)).decode(
                "utf-8", "replace"
            )
            made = f"rendered for {owner}" if found.private else "rendered"
            return Serving(
                self.at_s,
                hidden(self.path),
                f"{_ROLES[found.role]} {made}, {found.size} bytes",
                who,
                self.mask(hidden(text)),
            )
        profile = f" of profile {found.profile}" if found.profile else ""
        return Serving(self.at_s, self.path, f"{_ROLES[found.role]}{profile}, {found.size} bytes", _origin(found))


_ROLES = {
    Role.LOADER: "boot loader", Role.CONFIG: "boot text", Role.KERNEL: "kernel", Role.INITRD: "initial RAM disk",
    Role.ANSWER: "answer file", Role.SOURCE: "repository file", Role.FILE: "file",
}  # fmt: skip


def _origin(content: Content) -> str:
    if all(isinstance(segment, bytes) for segment in content.segments):
        return "from memory"
    return f"from {origin_of(content) or 'an open file'}"


def _payload(send: Send) -> bytes:
    return b"".join(send.parts)

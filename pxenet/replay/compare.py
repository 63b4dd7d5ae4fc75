"""The recorded exchange beside the replayed one, option by option: what changed, whether this firmware cares, which fact says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pxenet.capture.text import option_lines
from pxenet.engine.dhcp.client import boot_client, lenient
from pxenet.model import ClientKind
from pxenet.replay.cares import IPXE as IPXE_FAMILY
from pxenet.replay.cares import SYSTEM as SYSTEM_FAMILY
from pxenet.replay.cares import TFTP_OPTIONS, Care, Field, care
from pxenet.replay.cast import FIRMWARE, IPXE, Role
from pxenet.replay.play import Part
from pxenet.sim.body import Read
from pxenet.sim.dhcp import Reply
from pxenet.wire.dhcp import Message
from pxenet.wire.iana import MessageType, OptionCode, message_type_name
from pxenet.wire.options import Options
from pxenet.wire.text import address_text

_BINL_PORT = 4011
_IGNORED = (OptionCode.MESSAGE_TYPE, OptionCode.OVERLOAD)
_TIMES = (OptionCode.LEASE_TIME, OptionCode.T1, OptionCode.T2)
_AGE = 0.01
"""A machine that asks again during its boot is told what is left of its lease: so much of it is no other lease."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was recorded."""

    where: str
    """``OFFER to the firmware``, ``vmlinuz by TFTP``."""
    what: str
    """``siaddr``, ``67 boot file``, ``blksize``."""
    recorded: str
    """Empty: it was not there."""
    now: str
    care: Care

    @property
    def words(self) -> str:
        """One sentence."""
        change = f"{self.recorded} → {self.now}" if self.recorded and self.now else ""
        change = change or (f"now {self.now}" if self.now else f"no longer {self.recorded}")
        verb = "cares" if self.care.cares else "does not care"
        return f"{self.where}: {self.what}: {change}; {verb}: {self.care.why} ({self.care.fact})"


@dataclass(frozen=True, slots=True)
class Answer:
    """One DHCP answer, whoever gave it."""

    reader: str
    """``firmware``, ``iPXE``, ``system``."""
    kind: str
    """``OFFER``, ``ACK``, ``ProxyDHCP OFFER``, ``boot server ACK``, ``NAK``."""
    message: Message

    @property
    def name(self) -> str:
        return f"{self.kind} to the {self.reader}" if self.reader != IPXE else f"{self.kind} to iPXE"


def recorded_answers(role: Role) -> list[Answer]:
    """The recorded ones: of each kind to each reader the first."""
    readers: dict[int, str] = {}
    for said in role.recorded.requests:
        client = boot_client(said.message)
        own = boot_client(role.recorded.requests[0].message)
        reader = (
            IPXE if client.kind is ClientKind.IPXE else FIRMWARE if client.kind is not ClientKind.OTHER else "system"
        )
        readers[said.message.xid] = FIRMWARE if (client.kind, client.arch) == (own.kind, own.arch) else reader
    found = [
        Answer(readers.get(said.message.xid, FIRMWARE), _kind(said.message, said.source_port), said.message)
        for said in role.recorded.replies
    ]
    return _first(found)


def replayed_answers(part: Part) -> list[Answer]:
    """The answers that the played machine took: of each kind to each reader the first."""
    assert part.machine is not None
    assert part.role is not None
    personality = part.role.personality
    names = {personality.voice.name: FIRMWARE, personality.ipxe.name: IPXE} if personality.firmware != "ipxe" else {}
    names |= {personality.voice.name: FIRMWARE}
    found = []
    for _, voice, reply in part.machine.replies:
        assert isinstance(reply, Reply)
        found.append(Answer(names.get(voice, "system"), _kind(reply.message, reply.from_port), reply.message))
    return _first(found)


def _first(answers: list[Answer]) -> list[Answer]:
    found: dict[tuple[str, str], Answer] = {}
    for answer in answers:
        found.setdefault((answer.reader, answer.kind), answer)
    return list(found.values())


def _kind(message: Message, port: int) -> str:
    number = lenient(message.options.number, OptionCode.MESSAGE_TYPE)
    if number == MessageType.OFFER and not message.yiaddr:
        return "ProxyDHCP OFFER"
    if number == MessageType.ACK and port == _BINL_PORT:
        return "boot server ACK"
    return message_type_name(number)


def differences(part: Part) -> list[Difference]:
    """All of them, in the order of the boot. An ACK's that are its OFFER's too are told once."""
    if part.role is None or part.machine is None:
        return []
    found: list[Difference] = []
    now = {(answer.reader, answer.kind): answer for answer in replayed_answers(part)}
    told: set[tuple[str, str, str, str]] = set()
    for before in recorded_answers(part.role):
        after = now.get((before.reader, before.kind))
        if after is None:
            continue
        family = _family(before.reader, part.role)
        for difference in of_messages(before, after, family):
            key = (before.reader, difference.what, difference.recorded, difference.now)
            if key not in told:
                told.add(key)
                found.append(difference)
    found += _of_files(part)
    return found


def _family(reader: str, role: Role) -> str:
    if reader == FIRMWARE:
        return role.family
    return IPXE_FAMILY if reader == IPXE else SYSTEM_FAMILY


def of_messages(before: Answer, after: Answer, family: str) -> Iterator[Difference]:
    """What two answers do not have in common."""
    fields: tuple[tuple[Field, str, str], ...] = tuple(
        (name, _field(before.message, name), _field(after.message, name))
        for name in ("yiaddr", "siaddr", "file", "sname")
    )
    for field, old, new in fields:
        if old != new:
            yield Difference(before.name, str(field), old, new, care(field, family))
    old_options, new_options = before.message.options, after.message.options
    for code in dict.fromkeys([code for code, _ in old_options] + [code for code, _ in new_options]):
        if code in _IGNORED or _alike(code, old_options.raw(code), new_options.raw(code)):
            continue
        row = old_options.space.row(code).name
        yield Difference(
            before.name, f"{code} {row}", _option(old_options, code), _option(new_options, code), care(code, family)
        )


def _alike(code: int, old: bytes | None, new: bytes | None) -> bool:
    if code in _TIMES and old is not None and new is not None and len(old) == len(new) == 4:
        before, after = int.from_bytes(old, "big"), int.from_bytes(new, "big")
        return abs(after - before) <= before * _AGE
    return old == new


def _field(message: Message, name: str) -> str:
    if name in ("yiaddr", "siaddr"):
        address = getattr(message, name)
        return address_text(address) if address else ""
    return message.boot_file if name == "file" else message.server_name


def _option(options: Options, code: int) -> str:
    """Its value in words, on one line; empty when it is absent."""
    raw = options.raw(code)
    if raw is None:
        return ""
    head, *inside = option_lines(Options([(code, raw)]))
    return "; ".join(line.strip() for line in inside) or head.partition(": ")[2] or "(empty)"


def _of_files(part: Part) -> Iterator[Difference]:
    """What the same file's transfer was granted, and files that are no longer had or are new."""
    assert part.machine is not None
    now: dict[tuple[str, tuple[str, ...]], Read] = {}
    for read in part.machine.reads:
        now.setdefault((_base(read.url), tuple(name for name, _ in read.asked)), read)
    for file in part.recorded.files:
        key = (_base(file.url), tuple(name for name, _ in file.asked))
        if file.method != "RRQ" or key not in now:
            continue
        read = now.pop(key)
        before, after = dict(file.granted), dict(read.granted)
        for option in dict.fromkeys([*before, *after]):
            # Two servers have two files of one name: their sizes say nothing.
            if before.get(option) != after.get(option) and not (
                option == "tsize" and option in before and option in after
            ):
                meaning = TFTP_OPTIONS.get(option, Care(True, "nothing is known about it", "no fact"))
                old, new = before.get(option, ""), after.get(option, "")
                yield Difference(f"{_base(file.url)} by TFTP", option, old, new, meaning)


def _base(url: str) -> str:
    return url.rpartition("/")[2]

"""A boot as stages: addresses, searches, files, answers and reports, with the pauses between them, and whose each time was.

    Stage    what a program did, from its first packet to its last: one lease, one file, one search through names that are not there
    Share    how much of it was waiting for the client, for the server, or for what was lost on the network; and how that is known

Where the recorder stood matters: beside the server, what the client is said to take holds the way to it and back. Knows boots; must not
know how they are printed.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pxenet.capture.boots import (
    ArpStep,
    Boot,
    DhcpStep,
    HttpRequest,
    Outcome,
    PacketRef,
    Step,
    Transfer,
    Waits,
    server_of,
)
from pxenet.capture.fingerprints import FAMILIES, dhcp_sign, http_sign, tftp_sign
from pxenet.capture.text import seconds_text, type_name
from pxenet.look.files import Purpose, purpose_of
from pxenet.wire import tftp
from pxenet.wire.iana import MessageType, OptionCode
from pxenet.wire.reader import WireError
from pxenet.wire.text import address_text

Said = DhcpStep | Transfer | HttpRequest
"""What stages consist of: everything but ARP."""

MANY_FILES = 4
"""So many files of a system, one after the other, are one stage."""


class Side(enum.Enum):
    """Who is waited for."""

    CLIENT = "client"
    SERVER = "server"
    NETWORK = "network"
    """What was lost, and had to be sent again."""
    MOVING = "moving data"
    """Bytes are under way: all three have their part in it."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a stage's time."""

    side: Side
    time_ns: int
    evidence: str
    """"17 ms for each of 3821 ACKs"."""


class Kind(enum.Enum):
    """What a stage is for."""

    ADDRESS = "address"
    SEARCH = "search"
    FILE = "file"
    FILES = "files"
    ANSWER = "answer file"
    REPORT = "report"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of a boot."""

    kind: Kind
    who: str
    """The program, for people; empty: unknown."""
    what: str
    """``pxelinux.0 by TFTP, 42 kB in 31 blocks of 1432``."""
    began_ns: int
    ended_ns: int
    steps: tuple[Said, ...]
    shares: tuple[Share, ...] = ()
    """The largest first. What they leave of the stage was not recorded, or is nobody's."""
    well: bool = True
    """It came to what it was for."""

    @property
    def lasted_ns(self) -> int:
        """How long it took."""
        return self.ended_ns - self.began_ns


def stages(boot: Boot) -> tuple[Stage, ...]:
    """The stages of a boot in order, with pauses between them; those of connections side by side overlap."""
    found: list[Stage] = []
    end_ns = 0
    before: Stage | None = None
    for group, who in _groups(boot):
        stage = _stage(group, who)
        if before is not None and stage.began_ns > end_ns:
            found.append(_pause(before, stage, end_ns))
        found.append(stage)
        if stage.ended_ns >= end_ns:
            end_ns, before = stage.ended_ns, stage
    return tuple(found)


def totals(found: Sequence[Stage]) -> dict[Side, int]:
    """Nanoseconds of each side, over all stages; sides that took none are not in it. Stages that overlap count each."""
    sums: dict[Side, int] = {}
    for stage in found:
        for share in stage.shares:
            sums[share.side] = sums.get(share.side, 0) + share.time_ns
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


# -- which steps belong together ------------------------------------------------------------------------------------------


def _groups(boot: Boot) -> Iterator[tuple[list[Said], str]]:
    group: list[Said] = []
    who = speaker = ""
    for step in boot.steps:
        if isinstance(step, ArpStep):
            continue
        speaker = _who(step) or speaker
        if group and not _together(group, step, who == speaker):
            yield group, who
            group = []
        group.append(step)
        who = speaker
    if group:
        yield group, who


def _who(step: Said) -> str:
    if isinstance(step, DhcpStep):
        sign = dhcp_sign(step.message) if step.from_client else None
    else:
        sign = tftp_sign(step.request) if isinstance(step, Transfer) else http_sign(step.head)
    return FAMILIES[sign.family][0] if sign else ""


def _together(group: list[Said], step: Said, same_speaker: bool) -> bool:
    last = group[-1]
    if isinstance(step, DhcpStep):
        said = [one for one in group if isinstance(one, DhcpStep)]
        same = any(one.message.xid == step.message.xid for one in said)
        return bool(said) and (same or (same_speaker and not _leased(group)))
    if isinstance(last, DhcpStep):
        return False
    if not same_speaker:
        return False
    if _name(last) == _name(step) and _probe(last):
        return True  # the size was asked first
    if _missing(last) and _missing(step):
        return all(map(_missing, group))
    return all(map(_bulk, (*group, step)))


def _leased(group: list[Said]) -> bool:
    return any(isinstance(step, DhcpStep) and _type(step) == MessageType.ACK for step in group)


def _probe(step: Said) -> bool:
    if isinstance(step, Transfer):
        return step.outcome is Outcome.ABORTED and not step.blocks
    return isinstance(step, HttpRequest) and step.method == "HEAD"


def _missing(step: Said) -> bool:
    if isinstance(step, Transfer):
        return step.outcome is Outcome.REFUSED
    return isinstance(step, HttpRequest) and (step.status_code or 0) in (403, 404, 410)


def _searched(step: Said) -> bool:
    """Loaders look for their configuration by many names; that most are not there is in order."""
    return isinstance(step, Transfer) and purpose_of(_name(step)) is Purpose.CONFIG


def _bulk(step: Said) -> bool:
    """A file of a repository: no kernel, no answer, no report."""
    return (
        isinstance(step, HttpRequest) and step.method == "GET" and not _missing(step)
        and purpose_of(step.target) is Purpose.OTHER
    )  # fmt: skip


def _name(step: Said) -> str:
    return step.request.filename if isinstance(step, Transfer) else step.target if isinstance(step, HttpRequest) else ""


# -- what a group comes to ------------------------------------------------------------------------------------------------


def _stage(group: list[Said], who: str) -> Stage:
    first, last = group[0], group[-1]
    began, ended = first.ref.at_ns, max(_end_ns(step) for step in group)
    if isinstance(first, DhcpStep):
        said = [step for step in group if isinstance(step, DhcpStep)]
        return Stage(
            Kind.ADDRESS, who, _address_text(said), began, ended, tuple(group), _dhcp_shares(said), _leased(group)
        )
    shares = _merged([share for step in group for share in _shares(step)])
    if all(map(_missing, group)):
        what = f"{_name(first)} is not there"
        if len(group) > 1:
            what = f"{len(group)} names that are not there, {_name(first)} to {_name(last)}"
        return Stage(Kind.SEARCH, who, what, began, ended, tuple(group), shares, all(map(_searched, group)))
    if len(group) >= MANY_FILES and all(map(_bulk, group)):
        size = sum(step.sent_bytes for step in group if isinstance(step, HttpRequest))
        what = f"{len(group)} files by HTTP, {size_text(size)}, {_name(first)} to {_name(last)}"
        return Stage(Kind.FILES, who, what, began, ended, tuple(group), shares, all(map(_well, group)))
    kind = Kind.FILE
    if isinstance(last, HttpRequest) and last.method in ("POST", "PUT"):
        kind = Kind.REPORT
    elif purpose_of(_name(last)) is Purpose.ANSWER:
        kind = Kind.ANSWER
    what = ", ".join(dict.fromkeys(_file_text(step) for step in group if step is last or not _probe(step)))
    return Stage(
        kind, who, what, began, ended, tuple(group), shares, all(_well(step) or _probe(step) for step in group)
    )


def _pause(before: Stage, after: Stage, began_ns: int) -> Stage:
    """Nothing is on the wire. Who speaks next was waited for, unless something is still to be answered."""
    last = before.steps[-1]
    lasted = after.began_ns - began_ns
    following = after.steps[0].ref.number
    if _unanswered(last):
        share = Share(
            Side.SERVER, lasted, f"packet {_end_ref(last).number} was not answered; packet {following} is the next"
        )
    else:
        share = Share(
            Side.CLIENT, lasted, f"nothing was to be answered; packet {following} is the machine's own next step"
        )
    return Stage(Kind.PAUSE, after.who, "", began_ns, after.began_ns, (), (share,))


def _unanswered(step: Said) -> bool:
    if isinstance(step, Transfer):
        return step.outcome in (Outcome.UNANSWERED, Outcome.UNFINISHED)
    return step.from_client if isinstance(step, DhcpStep) else not step.response


def _address_text(said: Sequence[DhcpStep]) -> str:
    acks = [step for step in said if _type(step) == MessageType.ACK and not step.from_client]
    leased = next((step for step in acks if step.message.yiaddr), None)
    servers = list(dict.fromkeys(address_text(server_of(step)) for step in said if not step.from_client))
    if leased is not None:
        text = f"{address_text(leased.message.yiaddr)} from {address_text(server_of(leased))}"
        others = [one for one in servers if one != address_text(server_of(leased))]
        text += f", also answered by {' and '.join(others)}" if others else ""
    elif acks:
        text = f"answered by {' and '.join(servers)}"
    elif servers:
        text = f"no lease; {' and '.join(servers)} said {_types(step for step in said if not step.from_client)}"
    else:
        text = f"{_types(said)}, and no answer"
    file = next((name for step in reversed(said) if not step.from_client and (name := boot_file(step))), "")
    return text + (f', file "{file}"' if file else "")


def _types(said: Iterator[DhcpStep] | Sequence[DhcpStep]) -> str:
    counts: dict[str, int] = {}
    for step in said:
        counts[type_name(step.message)] = counts.get(type_name(step.message), 0) + 1
    return ", ".join(name if count == 1 else f"{count} × {name}" for name, count in counts.items())


def boot_file(step: DhcpStep) -> str:
    """The file that this message names: option 67, or the header's field."""
    raw = step.message.options.raw(OptionCode.BOOT_FILE)
    return raw.rstrip(b"\0").decode("latin-1") if raw else step.message.boot_file


def _type(step: DhcpStep) -> int | None:
    try:
        return step.message.message_type
    except WireError:
        return None


def _file_text(step: Said) -> str:
    if isinstance(step, Transfer):
        return _transfer_text(step)
    if not isinstance(step, HttpRequest):
        return ""
    text = f"{step.target} by HTTP" if step.method == "GET" else f"{step.method} {step.target}"
    if step.response and (step.status_code or 0) not in (200, 206):
        return f"{text}: {step.status.partition(b' ')[2].decode('latin-1')}"
    if not step.response:
        return f"{text}: no answer"
    size = f", {size_text(step.sent_bytes)}" if step.sent_bytes else ""
    return text + size + ("" if step.complete else f" of {size_text(step.size or 0)}, then it stops")


def _transfer_text(step: Transfer) -> str:
    text = (
        f"{step.request.filename} by TFTP"
        if step.request.op == tftp.OpCode.RRQ
        else f"{step.request.filename} written by TFTP"
    )
    if step.outcome is Outcome.UNANSWERED:
        return f"{text}: no answer"
    blocks = f"{step.blocks} block{'s' if step.blocks != 1 else ''} of {step.blksize}"
    blocks += f", windows of {step.windowsize}" if step.windowsize > 1 else ""
    size = size_text(step.size if step.size is not None else step.blocks * step.blksize)
    ending = "" if step.outcome is Outcome.COMPLETE else f": {step.outcome.value}"
    about = "" if step.size is not None else "about "
    return f"{text}, {about}{size} in {blocks}{ending}"


def size_text(size: int) -> str:
    """Bytes in the unit that suits them."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 1000)):
        if size >= factor:
            return f"{size / factor:.{0 if size >= 100 * factor else 1}f} {unit}"
    return "1 byte" if size == 1 else f"{size} bytes"


def _well(step: Said) -> bool:
    if isinstance(step, Transfer):
        return step.outcome is Outcome.COMPLETE
    return isinstance(step, DhcpStep) or ((step.status_code or 0) < 400 and step.complete)


def _end_ref(step: Said) -> PacketRef:
    return step.ref if isinstance(step, DhcpStep) else step.ended or step.ref


def _end_ns(step: Step) -> int:
    return step.ref.at_ns if isinstance(step, DhcpStep | ArpStep) else (step.ended or step.ref).at_ns


# -- whose time it was ----------------------------------------------------------------------------------------------------


def _shares(step: Said) -> tuple[Share, ...]:
    if isinstance(step, Transfer):
        return _transfer_shares(step)
    return _http_shares(step) if isinstance(step, HttpRequest) else ()


def _transfer_shares(step: Transfer) -> tuple[Share, ...]:
    """Where blocks were not recorded, they are taken to have gone as the recorded ones did: at the same proportion."""
    client, server = step.client_waits, step.server_waits
    recorded = client.total_ns + server.total_ns
    left = step.lasted_ns - step.stalled_ns - recorded
    scale = 1.0
    if step.not_recorded and recorded:
        scale, left = max(1.0, (step.lasted_ns - step.stalled_ns) / recorded), 0
    asks, answers = ("ACK", "block") if step.request.op == tftp.OpCode.RRQ else ("block", "ACK")
    found = [
        Share(Side.CLIENT, round(client.total_ns * scale), _each(client, asks)),
        Share(Side.SERVER, round(server.total_ns * scale), _each(server, answers)),
        Share(Side.NETWORK, step.stalled_ns, f"silence before what was sent again: {_again(step)}"),
        Share(Side.MOVING, max(left, 0), "blocks of a window follow each other"),
    ]
    return _sorted(found)


def _each(waits: Waits, what: str) -> str:
    if not waits.count:
        return ""
    each = f"the {what}" if waits.count == 1 else f"each of {waits.count} {what}s"
    return f"{seconds_text(waits.total_ns // waits.count)} for {each}"


def _again(step: Transfer) -> str:
    counts = (
        (step.repeated_requests, "request"), (step.retransmissions, "block"), (step.repeated_acks, "ACK"),
    )  # fmt: skip
    return ", ".join(f"{count} {what}{'s' if count > 1 else ''}" for count, what in counts if count) or "a block"


def _http_shares(step: HttpRequest) -> tuple[Share, ...]:
    if step.response_ref is None:
        return ()
    first = step.response_ref.at_ns - step.ref.at_ns
    rest = step.lasted_ns - first
    speed = f"{size_text(round(step.sent_bytes * 10**9 / rest))}/s" if rest > 0 and step.sent_bytes else ""
    return _sorted(
        [
            Share(Side.SERVER, first, f"{seconds_text(first)} to the first byte"),
            Share(Side.MOVING, rest, f"{size_text(step.sent_bytes)} at {speed}" if speed else ""),
        ]
    )


def _dhcp_shares(said: Sequence[DhcpStep]) -> tuple[Share, ...]:
    """Between a question and its answer the server is waited for; else the client."""
    found: list[Share] = []
    for before, after in pairwise(said):
        wait = after.ref.at_ns - before.ref.at_ns
        names = f"{type_name(before.message)} to {type_name(after.message)}"
        if before.from_client and not after.from_client:
            found.append(Share(Side.SERVER, wait, f"{seconds_text(wait)} from {names}"))
        elif before.from_client and after.from_client:
            if after.message.hops == before.message.hops:
                found.append(Share(Side.SERVER, wait, f"{seconds_text(wait)} without an answer, then it asked again"))
        else:
            found.append(Share(Side.CLIENT, wait, f"{seconds_text(wait)} from {names}"))
    return _merged(found)


def _merged(shares: Sequence[Share]) -> tuple[Share, ...]:
    """One share for each side, with the evidence of its longest part."""
    found: dict[Side, list[Share]] = {}
    for share in shares:
        found.setdefault(share.side, []).append(share)
    merged = []
    for side, parts in found.items():
        longest = max(parts, key=lambda share: share.time_ns)
        evidence = longest.evidence if len(parts) == 1 else f"of {len(parts)} waits the longest: {longest.evidence}"
        merged.append(Share(side, sum(share.time_ns for share in parts), evidence))
    return _sorted(merged)


def _sorted(shares: Sequence[Share]) -> tuple[Share, ...]:
    return tuple(sorted((share for share in shares if share.time_ns > 0), key=lambda share: -share.time_ns))

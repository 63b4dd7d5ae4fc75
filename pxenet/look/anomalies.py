"""What is odd about a boot, the worst first: each with the packets that show it, and what would help.

A table of rules over boots, and one over captures. A rule says what it saw; how bad that is and what to do stands beside it. Knows the
data model and what firmware cares about; must not know how findings are printed.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pxenet.capture.boots import Boot, Capture, DhcpStep, HttpRequest, Missing, Outcome, Role, Transfer, server_of
from pxenet.capture.fingerprints import dhcp_sign
from pxenet.capture.text import ordinal, seconds_text
from pxenet.look.files import Platform, Purpose, answers_named, path_of, platform_of, purpose_of
from pxenet.look.stages import boot_file
from pxenet.wire import tftp
from pxenet.wire.iana import MessageType, OptionCode, architecture_name
from pxenet.wire.reader import WireError
from pxenet.wire.text import address_text, mac_text


class Level(enum.Enum):
    """How bad it is; in this order they are printed."""

    ERROR = "error"
    """The machine does not boot, or not as it should."""
    WARNING = "warning"
    """It boots, but slowly, not always, or by luck."""
    NOTE = "note"
    """Worth knowing."""


_ORDER = {level: number for number, level in enumerate(Level)}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a rule saw."""

    words: str
    packets: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One odd thing."""

    id: str
    level: Level
    words: str
    packets: tuple[int, ...]
    """Numbers of packets that show it; the first of them."""
    remedy: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can be odd."""

    id: str
    level: Level
    remedy: str
    check: Callable[[Boot, int], Iterator[Seen]]
    """The second argument is when the capture ended."""


MAX_PACKETS = 8
"""So many packets are named for each."""

_BIOS = frozenset({0})
_UEFI = frozenset({2, 6, 7, 8, 9, 10, 11, 15, 16, 17, 18, 19, 25, 27, 29})
_SOON_NS = 15 * 10**9
"""A system that has an address has asked for its answer file by then."""
_LONG_NS = 60 * 10**9
"""A kernel that boots has asked for an address by then."""
_SLOW_FILE_BYTES = 4_000_000
_PROGRAMS = {Platform.BIOS: "a BIOS program", Platform.UEFI: "an UEFI program"}


def anomalies(boot: Boot, ended_at_ns: int) -> tuple[Anomaly, ...]:
    """What is odd about this boot, the worst first. ``ended_at_ns``: of the capture: what was recorded no more is not odd."""
    found = [
        Anomaly(rule.id, rule.level, seen.words, seen.packets[:MAX_PACKETS], rule.remedy)
        for rule in RULES
        for seen in rule.check(boot, ended_at_ns)
    ]
    return tuple(sorted(found, key=lambda anomaly: _ORDER[anomaly.level]))


def capture_anomalies(capture: Capture) -> tuple[Anomaly, ...]:
    """What is odd about the capture as a whole."""
    return tuple(sorted(_of_capture(capture), key=lambda anomaly: _ORDER[anomaly.level]))


def _of_capture(capture: Capture) -> Iterator[Anomaly]:
    counts = capture.counts
    if counts.fragments_dropped:
        words = f"{counts.fragments_dropped} IP fragments were lost, or do not fit together"
        yield Anomaly(
            "fragments-lost",
            Level.WARNING,
            words,
            (),
            "use a blksize that fits the path: 1468, or less through tunnels",
        )
    malformed = tuple(damage.packet for damage in capture.damage if not damage.truncated)
    if malformed:
        words = f"{max(counts.malformed, len(malformed))} packets are malformed, or the file is damaged: {capture.damage[0].reason}"
        yield Anomaly(
            "malformed",
            Level.WARNING,
            words,
            malformed[:MAX_PACKETS],
            "see who sends them; record again where the file is damaged",
        )
    if counts.truncated:
        words = f"{counts.truncated} packets were cut too short by the recorder to be read"
        cut = tuple(damage.packet for damage in capture.damage if damage.truncated)
        yield Anomaly("cut-short", Level.NOTE, words, cut[:MAX_PACKETS], "record whole packets: tcpdump -s 0")
    if counts.boots_closed_early:
        words = f"{counts.boots_closed_early} boots were cut in two, because too many went on at once"
        yield Anomaly("too-many", Level.NOTE, words, (), "split the capture by machine")
    by_machine: dict[bytes, list[Boot]] = {}
    for boot in capture.boots:
        by_machine.setdefault(boot.hardware, []).append(boot)
    for hardware, boots in by_machine.items():
        if hardware and len(boots) > 1:
            yield _again(hardware, boots)


def _again(hardware: bytes, boots: Sequence[Boot]) -> Anomaly:
    """A machine that comes back: a loop, when it does the same each time."""
    pauses = [after.began_at_ns - before.began_at_ns for before, after in pairwise(boots)]
    same = len({_files_of(boot) for boot in boots}) == 1 and bool(_files_of(boots[0]))
    words = f"{mac_text(hardware)} was switched on {len(boots)} times, every {seconds_text(sum(pauses) // len(pauses))}"
    packets = tuple(boot.steps[0].ref.number for boot in boots)[:MAX_PACKETS]
    if same and len(boots) > 2:
        remedy = "see what its last file does; after an installation it must boot from its disk"
        return Anomaly(
            "reboot-loop", Level.ERROR, f"{words}, and loads the same files each time: a loop", packets, remedy
        )
    return Anomaly("reboots", Level.WARNING, words, packets, "see what stopped the boots before the last")


def _files_of(boot: Boot) -> tuple[str, ...]:
    return (*(step.request.filename for step in boot.tftp), *(step.target for step in boot.http))


# -- DHCP ----------------------------------------------------------------------------------------------------------------


def _type(step: DhcpStep) -> int | None:
    try:
        return step.message.message_type
    except WireError:
        return None


def _said(boot: Boot, kind: MessageType) -> list[DhcpStep]:
    return [step for step in boot.dhcp if _type(step) == kind]


def _numbers(steps: Sequence[DhcpStep]) -> tuple[int, ...]:
    return tuple(step.ref.number for step in steps)


def _second_server(boot: Boot, ended_at_ns: int) -> Iterator[Seen]:
    given: dict[int, DhcpStep] = {}
    for step in _said(boot, MessageType.OFFER):
        if step.message.yiaddr:
            given.setdefault(server_of(step), step)
    if len(given) > 1:
        names = " and ".join(map(address_text, given))
        yield Seen(f"{len(given)} DHCP servers offer addresses: {names}", _numbers(list(given.values())))


def _no_answer(boot: Boot, ended_at_ns: int) -> Iterator[Seen]:
    for exchange in boot.exchanges:
        asked = [step for step in exchange.steps if step.from_client and _type(step) == MessageType.DISCOVER]
        if asked and all(step.from_client for step in exchange.steps):
            times = f", asked {len(asked)} times" if len(asked) > 1 else ""
            yield Seen(f"nobody answers the DISCOVER{times}", _numbers(asked))


def _no_file(boot: Boot, ended_at_ns: int) -> Iterator[Seen]:
    """Firmware that is told no file, by whomever: header, option 67, or a boot server's menu."""
    if any(boot.tftp) or any(boot.http):
        return
    for exchange in boot.exchanges:
        asked = [step for step in exchange.steps if step.from_client]
        replies = [step for step in exchange.steps if not step.from_client]
        sign = dhcp_sign(asked[0].message) if asked else None
        if not replies or sign is None or not sign.family.endswith(("pxe", "http", "rom", "ipxe")):
            continue
        if not any(boot_file(step) or step.message.options.raw(OptionCode.VENDOR_SPECIFIC) for step in replies):
            yield Seen(f"{_names(replies)} told of no boot file", _numbers(replies))


def _names(replies: Sequence[DhcpStep]) -> str:
    return " and ".join(dict.fromkeys(address_text(server_of(step)) for step in replies))


def _naks(boot: Boot, ended_at_ns: int) -> Iterator[Seen]:
    found = _said(boot, MessageType.NAK)
    if found:
        yield Seen(f"{_names(found)} refused the address that the machine asked for (NAK)", _numbers(found))


def _declined(boot: Boot, ended_at_ns: int) -> Iterator[Seen]:
    found = _said(boot, MessageType.DECLINE)
    if found:
        yield Seen("the machine declined its address: somebody else has it", _numbers(found))


def _not_taken(boot: Boot, ended_at_ns: int) -> Iterator[Seen]:
    for exchange in boot.exchanges:
        kinds = {_type(step) for step in exchange.steps}
        offers = [step for step in exchange.steps if _type(step) == MessageType.OFFER]
        if offers and MessageType.REQUEST not in kinds and not boot.tftp:
            yield Seen(f"the machine takes no offer of {_names(offers)}", _numbers(offers))


def _not_acknowledged(boot: Boot, ended_at_ns: int) -> Iterator[Seen]:
    for exchange in boot.exchanges:
        kinds = {_type(step) for step in exchange.steps}
        asked = [step for step in exchange.steps if _type(step) == MessageType.REQUEST]
        if asked and not kinds & {MessageType.ACK, MessageType.NAK}:
            port = asked[-1].packet.destination_port
            where = f"port 4011 of {address_text(asked[-1].packet.destination)}" if port == 4011 else "anybody"
            yield Seen(f"a REQUEST was not answered by {where}", _numbers(asked))


# -- files ---------------------------------------------------------------------------------------------------------------


def _wrong_architecture(boot: Boot, ended_at_ns: int) -> Iterator[Seen]:
    architecture = boot.architecture
    loaded = next((step for step in boot.steps if isinstance(step, Transfer | HttpRequest)), None)
    if architecture is None or loaded is None or boot.firmware is None:
        return
    name = loaded.request.filename if isinstance(loaded, Transfer) else loaded.target
    platform = platform_of(name)
    if (platform is Platform.UEFI and architecture in _BIOS) or (platform is Platform.BIOS and architecture in _UEFI):
        words = f"{path_of(name)} is {_PROGRAMS[platform]}, and the machine is {architecture_name(architecture)}"
        yield Seen(words, (loaded.ref.number,))


def _refused_boot_file(boot: Boot, ended_at_ns: int) -> Iterator[Seen]:
    """A file that DHCP named, and that is not there; what a loader searches for by itself may be missing."""
    named = {boot_file(step).lstrip("/"): step for step in boot.dhcp if not step.from_client and boot_file(step)}
    for step in boot.tftp:
        answer = step.answer
        if step.request.filename.lstrip("/") in named and isinstance(answer, tftp.Error):
            words = (
                f"the server has not the file that DHCP named: {step.request.filename} ({answer.text or answer.code})"
            )
            yield Seen(words, (named[step.request.filename.lstrip("/")].ref.number, step.ref.number))
    for asked in boot.http:
        if any(name.endswith(asked.target) for name in named) and (asked.status_code or 0) >= 400:
            yield Seen(
                f"the server has not the file that DHCP named: {asked.target} ({asked.status_code})",
                (asked.ref.number,),
            )


def _unanswered(boot: Boot, ended_at_ns: int) -> Iterator[Seen]:
    for step in boot.tftp:
        if step.outcome is Outcome.UNANSWERED:
            times = f", asked {step.repeated_requests + 1} times" if step.repeated_requests else ""
            yield Seen(f"no answer to the request for {step.request.filename} by TFTP{times}", (step.ref.number,))
    for request in boot.http:
        if not request.response:
            yield Seen(f"no answer to {request.request_line}", (request.ref.number,))


def _broken_off(boot: Boot, ended_at_ns: int) -> Iterator[Seen]:
    for step in boot.tftp:
        if step.outcome is Outcome.UNFINISHED or step.failure or (step.abort and step.blocks > 1):
            said = step.failure or step.abort
            why = f' ("{said.text}")' if said and said.text else ""
            ended = step.ended or step.ref
            whole = f" of {step.size // step.blksize + 1}" if step.size is not None else ""
            words = f"{step.request.filename} by TFTP is {step.outcome.value} at block {step.blocks}{whole}{why}"
            yield Seen(words, (step.ref.number, ended.number))
    for request in boot.http:
        if request.response and not request.complete:
            words = f"{request.target} by HTTP stops at {request.sent_bytes} of {request.size} bytes"
            yield Seen(words, (request.ref.number, (request.ended or request.ref).number))


def _sent_again(boot: Boot, ended_at_ns: int) -> Iterator[Seen]:
    for step in boot.tftp:
        again = step.retransmissions + step.lost + step.repeated_requests
        if again:
            lost = f", {step.lost} blocks lost" if step.lost else ""
            words = f"{step.request.filename} by TFTP: {again} packets sent again{lost}, {seconds_text(step.stalled_ns)} of silence"
            after = tuple(gap.after.number for gap in step.gaps if gap.kind is Missing.LOST)
            yield Seen(words, after or (step.ref.number,))
    for request in boot.http:
        if request.retransmissions:
            yield Seen(
                f"{request.target} by HTTP: {request.retransmissions} segments sent again", (request.ref.number,)
            )


def _answer_errors(boot: Boot, ended_at_ns: int) -> Iterator[Seen]:
    for step in boot.http:
        if purpose_of(step.target) is Purpose.ANSWER and (step.status_code or 0) >= 400:
            yield Seen(
                f"the answer file {step.target} was refused: {step.status.decode('latin-1')}", (step.ref.number,)
            )


def _answer_never_asked(boot: Boot, ended_at_ns: int) -> Iterator[Seen]:
    """Kernel arguments in a configuration that was loaded name it, and the system is up, or should be since long."""
    up = any(found.role is Role.SYSTEM for found in boot.fingerprints)
    if ended_at_ns - boot.steps[-1].ref.at_ns < (_SOON_NS if up else _LONG_NS):
        return
    asked = [path_of(name).lstrip("/") for name in _files_of(boot)]
    if any(purpose_of(name) is Purpose.ANSWER for name in asked):
        return
    for content, number in _texts(boot):
        for name in answers_named(content):
            path = path_of(name).lstrip("/")
            known = not path or "{" in name or "$" in name
            if not known and not any(one.startswith(path) or path.endswith(one) for one in asked if one):
                yield Seen(f"the kernel is told of the answer file {name}, and it was never asked for", (number,))


def _texts(boot: Boot) -> Iterator[tuple[str, int]]:
    loads: tuple[Transfer | HttpRequest, ...] = (*boot.tftp, *boot.http)
    for step in loads:
        if step.content is not None:
            yield step.content.decode("latin-1"), step.ref.number


def _small_blocks(boot: Boot, ended_at_ns: int) -> Iterator[Seen]:
    for step in boot.tftp:
        if step.blksize <= 512 and step.windowsize == 1 and step.blocks * step.blksize > _SLOW_FILE_BYTES:
            yield Seen(
                f"{step.request.filename} goes in {step.blocks} blocks of {step.blksize} bytes", (step.ref.number,)
            )


def _stops(boot: Boot, ended_at_ns: int) -> Iterator[Seen]:
    """The last thing a machine did was to load something that would go on to ask for more, and the capture goes on without it."""
    loads = [step for step in boot.steps if isinstance(step, Transfer | HttpRequest)]
    last = loads[-1] if loads else None
    ended = (last.ended or last.ref).at_ns if last is not None else 0
    if last is None or ended_at_ns - ended < _LONG_NS or any(step.ref.number > last.ref.number for step in boot.dhcp):
        return
    name = last.request.filename if isinstance(last, Transfer) else last.target
    if purpose_of(name) in (Purpose.LOADER, Purpose.KERNEL, Purpose.INITRD) and last.complete:
        words = f"{path_of(name)} was loaded, and in {seconds_text(ended_at_ns - ended)} nothing is heard of it"
        yield Seen(words, (last.ref.number,))


def _came_again(boot: Boot, ended_at_ns: int) -> Iterator[Seen]:
    if boot.power_on > 1:
        yield Seen(
            f"this is the {ordinal(boot.power_on)} boot of the machine in this capture", (boot.steps[0].ref.number,)
        )


def _steps_dropped(boot: Boot, ended_at_ns: int) -> Iterator[Seen]:
    if boot.dropped_steps:
        yield Seen(f"{boot.dropped_steps} steps more than are kept of one boot")


_E, _W, _N = Level.ERROR, Level.WARNING, Level.NOTE
RULES = (
    Rule("no-dhcp-answer", _E, "let a DHCP server, or a relay (ip helper), listen on this network", _no_answer),
    Rule("no-boot-file", _E, "name a boot file for this kind of firmware, or start the ProxyDHCP service", _no_file),
    Rule("nak", _E, "let one server know of the lease; two that are authoritative refuse each other's", _naks),
    Rule("declined", _E, "find who has the address without a lease, or take it out of the pool", _declined),
    Rule("not-acknowledged", _E, "let the server answer there, and through its firewall", _not_acknowledged),
    Rule("wrong-architecture", _E, "let the server choose the file by option 93", _wrong_architecture),
    Rule("boot-file-missing", _E, "put the file where the server looks, or correct its name", _refused_boot_file),
    Rule("no-file-answer", _E, "start the service, and let it and answers from its other ports through firewalls", _unanswered),
    Rule("answer-refused", _E, "let the server have it, and give it to this machine", _answer_errors),
    Rule("broken-off", _E, "see both sides at that moment; large blocks may not fit the path", _broken_off),
    Rule("answer-never-asked", _W, "see the kernel's messages: has it a network card and an address?", _answer_never_asked),
    Rule("second-server", _W, "let one server give addresses, or let both give the same answers", _second_server),
    Rule("offer-not-taken", _W, "see what its option 55 asks for, and whether the offer is for its kind of boot", _not_taken),
    Rule("sent-again", _W, "look for a bad link, a full queue, or a recorder that misses packets", _sent_again),
    Rule("stops", _W, "see its screen: is the file for its architecture, and signed as Secure Boot wants?", _stops),
    Rule("small-blocks", _N, "use a loader that asks for blksize, or fetch large files by HTTP", _small_blocks),
    Rule("came-again", _N, "see what stopped the boot before", _came_again),
    Rule("steps-dropped", _N, "split the capture in time", _steps_dropped),
)  # fmt: skip

"""A look at a capture as text: of each boot what is odd, then its timeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pxenet.capture.boots import Boot, Capture
from pxenet.capture.text import boot_title, fingerprint_lines, seconds_text
from pxenet.look.anomalies import Anomaly, anomalies, capture_anomalies
from pxenet.look.stages import Kind, Stage, stages, totals
from pxenet.wire.iana import architecture_name
from pxenet.wire.text import address_text

_SHORT_PAUSE_NS = 50_000_000
"""Pauses under it are not worth a line."""
_SHARE_OF_STAGE = 0.05
"""Shares under it likewise."""


def report_lines(capture: Capture, numbers: Sequence[int] | None = None) -> Iterator[str]:
    """The whole report. ``numbers``: these boots alone, from 1."""
    odd = capture_anomalies(capture)
    for anomaly in odd:
        yield from anomaly_lines(anomaly)
    if odd:
        yield ""
    for number, boot in enumerate(capture.boots, 1):
        if numbers is None or number in numbers:
            yield from boot_report(number, boot, capture)
            yield ""
    yield counts_text(capture)


def counts_text(capture: Capture) -> str:
    """What was read, on one line."""
    counts, boots = capture.counts, len(capture.boots)
    machines = len({boot.hardware or boot.addresses for boot in capture.boots})
    return (
        f"{boots} {'boot' if boots == 1 else 'boots'} of {machines} {'machine' if machines == 1 else 'machines'} "
        f"in {counts.packets} packets; {counts.other} of them are no part of a boot"
    )


def boot_report(number: int, boot: Boot, capture: Capture) -> Iterator[str]:
    """One boot."""
    found = stages(boot)
    yield f"== boot {number}: {boot_title(boot)}, {seconds_text(lasted_ns(found))} =="
    yield "   " + "; ".join(_programs(boot))
    for lines in map(anomaly_lines, anomalies(boot, capture.ended_at_ns)):
        yield from lines
    yield from timeline_lines(found, capture.began_at_ns)
    sums = totals(found)
    whole = sum(sums.values())
    if whole:
        parts = (f"{side.value} {seconds_text(time)} ({100 * time // whole} %)" for side, time in sums.items())
        yield f"  whose time: {', '.join(parts)}"


def lasted_ns(found: Sequence[Stage]) -> int:
    """From the first packet of a stage to the last one."""
    return max(stage.ended_ns for stage in found) - found[0].began_ns if found else 0


def _programs(boot: Boot) -> Iterator[str]:
    for found in boot.fingerprints:
        kind = f" ({architecture_name(found.architecture)})" if found.architecture is not None else ""
        yield f"{found.role.value} {found.name}{kind}"
    if boot.addresses:
        yield f"address {', '.join(map(address_text, boot.addresses))}"
    if not boot.fingerprints and not boot.addresses:
        yield "nothing tells what it is"


def anomaly_lines(anomaly: Anomaly) -> Iterator[str]:
    """An odd thing, and what would help."""
    where = f" (packet{'s' if len(anomaly.packets) > 1 else ''} {', '.join(map(str, anomaly.packets))})"
    yield f"  {anomaly.level.value.upper()}: {anomaly.words}{where if anomaly.packets else ''}"
    yield f"      do: {anomaly.remedy}"


def timeline_lines(found: Sequence[Stage], began_at_ns: int) -> Iterator[str]:
    """A line for each stage, and who took its time."""
    yield "       at      took"
    for stage in found:
        if stage.kind is Kind.PAUSE and stage.lasted_ns < _SHORT_PAUSE_NS:
            continue
        at = (stage.began_ns - began_at_ns) / 1e9
        mark = " " if stage.well else "!"
        what = f"{stage.who}: {stage.what}" if stage.who and stage.what else stage.what or stage.who
        if stage.kind is Kind.PAUSE:
            what = f"{stage.shares[0].side.value}: {stage.shares[0].evidence}"
        yield f"{at:9.3f} {seconds_text(stage.lasted_ns):>9} {mark} {stage.kind.value:<11} {what}".rstrip()
        if stage.kind is not Kind.PAUSE:
            yield from share_lines(stage)


def share_lines(stage: Stage) -> Iterator[str]:
    """Who took the time of a stage, by how much, and how that is known."""
    for share in stage.shares:
        part = share.time_ns / stage.lasted_ns if stage.lasted_ns else 0
        if part >= _SHARE_OF_STAGE:
            evidence = f": {share.evidence}" if share.evidence else ""
            yield f"{'':34} {min(100, round(100 * part))} % {share.side.value}{evidence}"


def evidence_lines(boot: Boot) -> Iterator[str]:
    """How its programs are known."""
    for found in boot.fingerprints:
        yield from fingerprint_lines(found)

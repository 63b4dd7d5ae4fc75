"""A look at a capture as a record for programs, and for the page: what ``report`` says in words, in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pxenet.capture.boots import ArpStep, Boot, Capture, DhcpStep, HttpRequest, Step, Transfer
from pxenet.capture.text import boot_title, damage_text, step_lines
from pxenet.look.anomalies import Anomaly, anomalies, capture_anomalies
from pxenet.look.stages import Stage, stages, totals
from pxenet.wire.text import address_text, mac_text, uuid_text_wire

Record = dict[str, object]


def capture_record(capture: Capture, numbers: Sequence[int] | None = None) -> Record:
    """The whole capture; times in seconds from its first packet. ``numbers``: of these boots alone, from 1."""
    counts = capture.counts
    return {
        "began_at": capture.began_at,
        "packets": counts.packets,
        "bytes": counts.bytes,
        "malformed": counts.malformed,
        "truncated": counts.truncated,
        "other": counts.other,
        "damage": [damage_text(damage) for damage in capture.damage],
        "anomalies": [_anomaly(anomaly) for anomaly in capture_anomalies(capture)],
        "boots": [
            boot_record(number, boot, capture)
            for number, boot in enumerate(capture.boots, 1)
            if numbers is None or number in numbers
        ],
    }


def boot_record(number: int, boot: Boot, capture: Capture) -> Record:
    """One boot: who it is, what is odd, its stages, and each step with its details."""
    found = stages(boot)
    return {
        "number": number,
        "title": boot_title(boot),
        "mac": mac_text(boot.hardware) if boot.hardware else None,
        "uuid": uuid_text_wire(boot.uuid) if boot.uuid else None,
        "power_on": boot.power_on,
        "addresses": [address_text(address) for address in boot.addresses],
        "programs": [
            {
                "family": one.family,
                "name": one.name,
                "role": one.role.value,
                "architecture": one.architecture,
                "evidence": [{"packet": evidence.packet, "text": evidence.text} for evidence in one.evidence],
            }
            for one in boot.fingerprints
        ],
        "leases": [
            {
                "address": address_text(lease.address),
                "server": address_text(lease.server),
                "lasts_s": lease.lasts_s,
                "packet": lease.ref.number,
                "who": lease.who,
            }
            for lease in boot.leases
        ],
        "anomalies": [_anomaly(anomaly) for anomaly in anomalies(boot, capture.ended_at_ns)],
        "whose_time_s": {side.value: time_ns / 1e9 for side, time_ns in totals(found).items()},
        "stages": [_stage(stage, capture.began_at_ns) for stage in found],
        "steps": list(_steps(boot, capture.began_at_ns)),
    }


def _anomaly(anomaly: Anomaly) -> Record:
    return {
        "id": anomaly.id,
        "level": anomaly.level.value,
        "words": anomaly.words,
        "packets": list(anomaly.packets),
        "remedy": anomaly.remedy,
    }


def _stage(stage: Stage, began_at_ns: int) -> Record:
    return {
        "kind": stage.kind.value,
        "who": stage.who,
        "what": stage.what,
        "at_s": (stage.began_ns - began_at_ns) / 1e9,
        "lasted_s": stage.lasted_ns / 1e9,
        "well": stage.well,
        "packets": [step.ref.number for step in stage.steps],
        "shares": [
            {"side": share.side.value, "time_s": share.time_ns / 1e9, "evidence": share.evidence}
            for share in stage.shares
        ],
    }


def _steps(boot: Boot, began_at_ns: int) -> Iterator[Record]:
    for step in boot.steps:
        head, *details = (line.strip() if at == 0 else line for at, line in enumerate(step_lines(step, began_at_ns)))
        yield {
            "packet": step.ref.number,
            "interface": step.ref.interface,
            "at_s": (step.ref.at_ns - began_at_ns) / 1e9,
            "lasted_s": step.lasted_ns / 1e9 if isinstance(step, Transfer | HttpRequest) else 0,
            "protocol": _protocol(step),
            "from_client": step.from_client
            if isinstance(step, DhcpStep)
            else step.packet.source_hardware == boot.hardware,
            "text": head.partition("  ")[2].strip(),
            "details": [line[4:] if line.startswith("    ") else line for line in details],
        }


def _protocol(step: Step) -> str:
    if isinstance(step, ArpStep):
        return "ARP"
    return "DHCP" if isinstance(step, DhcpStep) else "TFTP" if isinstance(step, Transfer) else "HTTP"

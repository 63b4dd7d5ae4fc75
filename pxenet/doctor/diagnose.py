"""The diagnosis: all rules over all that was observed, and what each personality would do. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pxenet.doctor import boot_rules, dhcp_rules, http_rules, lease_rules, tftp_rules
from pxenet.doctor.findings import Finding, Level, findings
from pxenet.doctor.observed import Asked, HttpRead, Leased, Observed, TftpAnswer, TftpRead
from pxenet.doctor.servers import Server, answers, server_of, servers
from pxenet.doctor.tftp_rules import is_large
from pxenet.wire.iana import message_type_name
from pxenet.wire.text import address_text

RULES = (*dhcp_rules.RULES, *boot_rules.RULES, *lease_rules.RULES, *tftp_rules.RULES, *http_rules.RULES)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What to tell."""

    observed: Observed
    findings: tuple[Finding, ...]
    """The worst first."""
    servers: tuple[Server, ...]

    @property
    def well(self) -> bool:
        """Nothing but notes."""
        return all(finding.level is Level.NOTE for finding in self.findings)

    def record(self) -> dict[str, object]:
        """For programs."""
        station = self.observed.station
        return {
            "well": self.well,
            "interface": station.interface,
            "mac": station.mac.hex(":"),
            "address": address_text(station.address) if station.address else None,
            "findings": [finding.record() for finding in self.findings],
            "servers": [_server(server) for server in self.servers],
            "machines": [_machine(asked) for asked in self.observed.asked],
            "tftp": [_tftp(read) for read in self.observed.tftp],
            "leases": [_lease(leased) for leased in self.observed.leased],
            "http": [_http(read) for read in self.observed.http],
        }


def diagnose(observed: Observed) -> Diagnosis:
    """What is wrong with what was observed."""
    return Diagnosis(observed, tuple(findings(RULES, observed)), tuple(servers(answers(observed))))


def _server(server: Server) -> dict[str, object]:
    return {
        "server": server.name,
        "gives_addresses": server.gives,
        "proxy": server.proxies,
        "relays": [address_text(relay) for relay in server.relays],
        "hardware": [mac.hex(":") for mac in server.hardware],
        "answers": [
            {
                "machine": answer.by,
                "after_s": round(answer.heard.at, 3),
                "address": address_text(answer.reply.message.yiaddr) if answer.gives else None,
                "file": answer.file or None,
                "next_server": address_text(answer.reply.message.siaddr) if answer.reply.message.siaddr else None,
                "hex": answer.heard.payload.hex(),
            }
            for answer in server.answers
        ],
    }


def _machine(asked: Asked) -> dict[str, object]:
    choice = asked.choice
    offer = choice.offer.reply() if choice.offer is not None else None
    return {
        "machine": asked.personality.name,
        "title": asked.personality.title,
        "loads": choice.url or None,
        "stops": choice.stops or None,
        "asks_next": f"{address_text(choice.question.server)}:4011" if choice.question is not None else None,
        "offered_by": address_text(server_of(offer)) if offer is not None else None,
        "offered": address_text(offer.message.yiaddr) if offer is not None else None,
    }


def _tftp(read: TftpRead) -> dict[str, object]:
    first = read.first
    return {
        "server": address_text(read.server),
        "name": read.name,
        "machines": list(read.by),
        "answer": first.answer.value,
        "error": {"code": first.code, "text": first.text} if first.answer is TftpAnswer.ERROR else None,
        "asked": dict(first.asked),
        "granted": dict(first.granted),
        "arrived_bytes": len(first.head),
        "block_sizes": {str(size): arrives for size, arrives in read.sizes},
        "large_blocks": read.large.arrives if read.large is not None and is_large(read.large) else None,
    }


def _http(read: HttpRead) -> dict[str, object]:
    tries = {"head": read.size, "get": read.get, "range": read.part}
    return {
        "url": read.url,
        "machines": list(read.by),
        "agent": read.agent,
        "replies": {
            name: {"failed": one.failed or None, "head": one.lines, "body_bytes": len(one.body)}
            for name, one in tries.items()
            if one is not None
        },
    }


def _lease(leased: Leased) -> dict[str, object]:
    replies = [reply for heard in leased.heard if (reply := heard.reply()) is not None]
    return {
        "machine": leased.by,
        "answers": [
            {
                "type": message_type_name(reply.type),
                "server": address_text(server_of(reply)),
                "address": address_text(reply.message.yiaddr),
            }
            for reply in replies
        ],
        "given_back": leased.released,
    }

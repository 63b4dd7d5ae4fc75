"""Machines and leases as rows for people: what ``pxenet hosts`` and ``pxenet leases`` show, by a server that runs or from its store.

Knows the rack and nothing of who asks. Rows are made one by one, so that whoever sends many of them can let others work meanwhile.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Iterator

from pxenet.boot.policy import RULES, Action
from pxenet.model import Host, InstallRecord, InstallState, Lease, LeaseState, SeenHost
from pxenet.rack.discovered import row_of, words_of
from pxenet.rack.rack import Rack
from pxenet.wire.iana import architecture_name
from pxenet.wire.text import address_text, mac_text, parse_mac

Row = dict[str, object]
"""One line of a table, ready for JSON. Times are seconds since the epoch; None: not known, or for ever."""


class Census:
    """Asks a rack; ``leases`` gives the records, from its engine or from a store."""

    def __init__(self, rack: Rack, leases: Callable[[], Iterable[Lease]]) -> None:
        self._rack = rack
        self._leases = leases

    def hosts(self) -> Iterator[Row]:
        """Every machine of the configuration, in its order, and every other that was ever seen."""
        rack = self._rack
        now = rack.clock()
        holding = {lease.mac: lease.address for lease in self._leases() if _live(lease, now)}
        seen = {record.key: record for record in rack.hosts.seen()}
        keys = [host.key for host in rack.hosts.configured]
        keys += [record.key for record in rack.installs.records()]
        for key in dict.fromkeys([*keys, *seen]):
            host = rack.hosts.of_key(key)
            # What is stored under a hardware address from before it was known whose it is, is not another machine.
            if host is not None and host.key == key:
                yield self._host(host, seen.get(key), holding)

    def host(self, host: Host) -> Row:
        """Everything that is known of one machine: its row of ``hosts``, and what it has sent."""
        now = self._rack.clock()
        holding = {lease.mac: lease.address for lease in self._leases() if _live(lease, now)}
        record = self._rack.installs.record(host.key)
        row = self._host(host, self._rack.hosts.seen_as(host.key), holding)
        hardware = self._rack.discovered.of(host.key)
        return row | {
            "log": record.log if record is not None else "",
            "hardware": row_of(hardware) if hardware is not None else None,
        }

    def failed(self) -> list[Row]:
        """Every machine whose installation failed, and why: the latest first."""
        records = [each for each in self._rack.installs.records() if each.state is InstallState.FAILED]
        hosts = [(self._rack.hosts.of_key(each.key), each) for each in sorted(records, key=_since, reverse=True)]
        return [
            {"host": host.name, "reason": each.reason, "since_at": each.since_at}
            for host, each in hosts
            if host is not None
        ]

    def discovered(self) -> Iterator[Row]:
        """Every machine that told what it is."""
        for told, hardware in self._rack.discovered.all():
            host = self._rack.hosts.of_key(told.key)
            name = host.name if host is not None and host.configured else None
            words = words_of(hardware)
            yield {"machine": told.key, "host": name, "told_at": told.at, "what": words} | row_of(hardware)

    def leases(self) -> Iterator[Row]:
        """Every address that was ever acknowledged to a machine."""
        now = self._rack.clock()
        for lease in self._leases():
            host = self._rack.hosts.of_mac(lease.mac)
            yield {
                "address": address_text(lease.address),
                "mac": mac_text(lease.mac) if lease.mac else None,
                "host": host.name if host.configured else None,
                "hostname": lease.hostname,
                "state": _lease_state(lease, now),
                "since_at": lease.since_at,
                "expires_at": lease.expires_at if math.isfinite(lease.expires_at) else None,
                "client_id": lease.client_id.hex(),
            }

    def find(self, word: str) -> Host | None:
        """The machine that a person means by a name, a hardware address or a machine id; None for one that nobody has seen."""
        rack = self._rack
        host = rack.settings.host(word) or rack.hosts.of_uuid(word.lower())
        if host is not None:
            return host
        try:
            host = rack.hosts.of_mac(parse_mac(word))
        except ValueError:
            host = rack.hosts.of_key(word)
        known = host is not None and (host.configured or self._heard_of(host.key))
        return host if known else None

    def names(self) -> list[str]:
        """What ``find`` takes: the names of the configured machines, the hardware addresses of the others."""
        hosts = self._rack.hosts
        named = [host.name for host in hosts.configured]
        return named + [key for key in (record.key for record in hosts.seen()) if not _configured(hosts.of_key(key))]

    def stranger(self, word: str) -> tuple[str, str]:
        """(what is wrong, what would be right) for a word that ``find`` knows nothing of."""
        close = difflib.get_close_matches(word, self.names(), n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else '"pxenet hosts" lists those that are known'
        return f'no machine is called "{word}"', hint

    def next_boot(self, host: Host) -> str:
        """What the machine does when it boots from the network now, as the end of a sentence."""
        plan = self._rack.plan(host)
        if plan.action is Action.INSTALL and plan.profile is not None:
            deed = "tells what it is" if plan.profile.discovers else f"installs {plan.profile.name}"
            return f"{deed} at its next network boot"
        return f"is not installed at its next network boot: {plan.detail or RULES[plan.reason]}"

    def _heard_of(self, key: str) -> bool:
        return self._rack.installs.record(key) is not None or self._rack.hosts.seen_as(key) is not None

    def _host(self, host: Host, seen: SeenHost | None, holding: dict[bytes, int]) -> Row:
        record = self._rack.installs.record(host.key)
        plan = self._rack.plan(host)
        mac = host.mac or (seen.mac if seen is not None else b"")
        address = next((holding[one] for one in (*host.macs, mac) if one in holding), 0) or host.address
        state = record.state.value if record is not None else "new" if plan.action is Action.INSTALL else None
        return {
            "host": host.name,
            "mac": mac_text(mac) if mac else None,
            "uuid": host.uuid or (seen.uuid if seen is not None else "") or None,
            "serial": host.serial,
            "configured": host.configured,
            "firmware": architecture_name(seen.arch) if seen is not None else None,
            "profile": plan.profile.name if plan.profile is not None else host.profile,
            "state": state,
            "attempts": record.attempts if record is not None else 0,
            "since_at": record.since_at if record is not None else None,
            "reason": record.reason if record is not None else "",
            "next": plan.action.value,
            "because": RULES[plan.reason],
            "address": address_text(address) if address else None,
            "first_seen_at": seen.first_seen_at if seen is not None else None,
            "last_seen_at": seen.last_seen_at if seen is not None else None,
            "vendor_class": seen.vendor_class if seen is not None else "",
        }


def _since(record: InstallRecord) -> float:
    return record.since_at


def _configured(host: Host | None) -> bool:
    return host is not None and host.configured


def _live(lease: Lease, now: float) -> bool:
    return lease.state is LeaseState.BOUND and lease.expires_at > now


def _lease_state(lease: Lease, now: float) -> str:
    return "expired" if lease.state is LeaseState.BOUND and lease.expires_at <= now else lease.state.value

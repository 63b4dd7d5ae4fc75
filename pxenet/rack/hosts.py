"""Who is who: from hardware addresses and machine ids to the hosts of the configuration.

A host that is configured by its machine id alone is learned with the first packet that carries both, one by its serial number with the
first request of iPXE that does; the store remembers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import TypeVar

from pxenet.content.lately import Lately
from pxenet.model import BootClient, ClientKind, Host, SeenHost
from pxenet.wire.text import mac_text, uuid_text, uuid_text_wire

LEARNED = 16_384
"""Machines whose latest packet is remembered; the one that was silent longest goes first."""

SEEN_AGAIN_S = 60.0
"""A machine's last appearance is written at most so often: it is for people."""

K = TypeVar("K")
V = TypeVar("V")


class Hosts:
    """Looks machines up. A machine that no ``[[host]]`` names is a Host too, with ``configured`` false."""

    def __init__(self, configured: Iterable[Host], seen: Iterable[SeenHost], unknown_profile: str | None) -> None:
        """``unknown_profile``: what machines get that are not in the configuration; None for nothing."""
        self._learned: OrderedDict[bytes, Host] = OrderedDict()
        self._clients: OrderedDict[bytes, BootClient] = OrderedDict()
        self._seen: OrderedDict[str, SeenHost] = OrderedDict()
        self._serials: OrderedDict[bytes, str] = OrderedDict()
        for record in seen:
            _put(self._seen, record.key, record)
        self.reconfigure(configured, unknown_profile)

    def reconfigure(self, configured: Iterable[Host], unknown_profile: str | None) -> None:
        """From now on these are the hosts; what was seen of machines stays, and says anew which of them they are."""
        self.configured = tuple(configured)
        self._unknown_profile = unknown_profile
        self._made_up: Lately[bytes, Host] = Lately(LEARNED)
        """For machines that are none of them: each is asked for dozens of times in one boot."""
        self._by_mac = {mac: host for host in self.configured for mac in host.macs}
        self._by_uuid = {host.uuid: host for host in self.configured if host.uuid is not None}
        self._by_serial = {host.serial: host for host in self.configured if host.serial is not None}
        self._by_key = {host.key: host for host in self.configured}
        learned, self._learned = self._learned, OrderedDict()
        for record in self._seen.values():
            host = self._by_key.get(record.key) or self._of_wire_uuid(bytes.fromhex(record.uuid.replace("-", "")))
            if host is not None and host.mac is None and record.mac:
                _put(self._learned, record.mac, host)
        for mac, serial in self._serials.items():
            self.learn_serial(mac, serial)
        for mac, before in learned.items():
            host = self._by_key.get(before.key)
            if host is not None:
                _put(self._learned, mac, host)

    def of_client(self, client: BootClient) -> Host:
        """The host behind a DHCP packet: by hardware address, else by machine id in either byte order, else one made up for it."""
        host = self._by_mac.get(client.mac)
        if host is None and client.uuid is not None:
            host = self._of_wire_uuid(client.uuid)
            if host is not None and client.mac:
                _put(self._learned, client.mac, host)
        return host or self.of_mac(client.mac)

    def of_mac(self, mac: bytes) -> Host:
        """The host with this hardware address, configured or made up."""
        host = self._by_mac.get(mac) or self._learned.get(mac) or self._made_up.get(mac)
        if host is None:
            host = Host(mac_text(mac), mac=mac, profile=self._unknown_profile, configured=False)
            self._made_up.put(mac, host)
        return host

    def of_uuid(self, uuid: str) -> Host | None:
        """The configured host with this machine id, as canonical lower-case text."""
        return self._by_uuid.get(uuid)

    @property
    def by_serial(self) -> bool:
        """Some host is known by its serial number alone."""
        return bool(self._by_serial)

    def tell_serial(self, mac: bytes, serial: str) -> None:
        """As ``learn_serial``, from a machine that has no host yet, perhaps: it counts for those of later configurations too."""
        if serial:
            _put(self._serials, mac, serial)
            self.learn_serial(mac, serial)

    def learn_serial(self, mac: bytes, serial: str) -> Host | None:
        """The machine with this hardware address says its serial number: the host it is from now on, if there is one."""
        host = self._by_serial.get(serial)
        if host is not None and mac and not self.of_mac(mac).configured:
            _put(self._learned, mac, host)
            return host
        return None

    def of_key(self, key: str) -> Host | None:
        """The host under whose key a state is stored; None when the key is no hardware address and not configured."""
        host = self._by_key.get(key)
        if host is not None:
            return host
        try:
            return self.of_mac(bytes.fromhex(key.replace(":", "")))
        except ValueError:
            return None

    def met(self, client: BootClient, now: float, address: int = 0) -> SeenHost | None:
        """Remember the machine's latest packet; its record when that has something new to store.

        ``address``: what another server is seen to have given it; 0 when not seen.
        """
        _put(self._clients, client.mac, client)
        key = self.of_client(client).key
        before = self._seen.get(key)
        uuid = uuid_text(client.uuid) if client.uuid is not None else ""
        after = SeenHost(
            key=key,
            mac=client.mac,
            uuid=uuid or (before.uuid if before else ""),
            # An operating system says nothing about the firmware below it.
            arch=before.arch if before and client.kind is ClientKind.OTHER else client.arch,
            first_seen_at=before.first_seen_at if before else now,
            last_seen_at=now,
            vendor_class=client.vendor_class,
            address=address or (before.address if before else 0),
        )
        if (
            before is not None
            and now - before.last_seen_at < SEEN_AGAIN_S
            and (before.uuid, before.arch, before.address) == (after.uuid, after.arch, after.address)
        ):
            return None
        _put(self._seen, key, after)
        return after

    def seen(self) -> list[SeenHost]:
        """The machines that spoke to us, as they are remembered."""
        return list(self._seen.values())

    def seen_as(self, key: str) -> SeenHost | None:
        """The machine whose state is stored under this key, if it ever spoke to us."""
        return self._seen.get(key)

    def client_of(self, mac: bytes) -> BootClient | None:
        """The latest packet of the machine with this hardware address, as long as it is remembered."""
        return self._clients.get(mac)

    def _of_wire_uuid(self, uuid: bytes) -> Host | None:
        # PC firmware sends the first fields little-endian, U-Boot as they are read (facts: byte order of option 97).
        if len(uuid) != 16:
            return None
        return self._by_uuid.get(uuid_text(uuid)) or self._by_uuid.get(uuid_text_wire(uuid))


def _put(remembered: OrderedDict[K, V], key: K, value: V) -> None:
    """The newest entry; the one that was silent longest goes when there are too many."""
    remembered[key] = value
    remembered.move_to_end(key)
    if len(remembered) > LEARNED:
        remembered.popitem(last=False)

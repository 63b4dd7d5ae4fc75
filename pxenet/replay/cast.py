"""Who plays a captured machine: its personality by fingerprint, with the captured words in its mouth.

What it says (options, their order and values, flags, padding, TFTP options, HTTP headers) is as captured; how it reacts, and whatever
was not recorded, is its personality's. A fingerprint names its evidence. Facts: pxe.md §1, §4 and §7; dhcp.md §7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import median

from pxenet.engine.dhcp.client import boot_client, lenient
from pxenet.model import BootClient, ClientKind, Host
from pxenet.replay.recorded import DhcpSaid, FileAsked, Pairs, Recorded
from pxenet.sim import http, installer, tftp
from pxenet.sim.body import Manners, Relay
from pxenet.sim.firmware import BIOS_ROM, PERSONALITIES, Personality
from pxenet.sim.installer import System
from pxenet.sim.programs import kind_of
from pxenet.sim.voices import Fill, Voice, Words
from pxenet.wire.dhcp import LARGEST_BYTES, serialize
from pxenet.wire.iana import MessageType, OptionCode, architecture_name
from pxenet.wire.relay import RELAY, RelayCode
from pxenet.wire.text import parse_uuid

FIRMWARE, IPXE, SYSTEM = "firmware", "iPXE", "system"
"""The names of captured voices: who is speaking."""

NO_BOOT_PACKET = "no DHCP packet of it was recorded over IPv4: nothing says what to replay"

_SYSTEM = replace(PERSONALITIES["ipxe"], name="system", title="operating system", firmware="system")
_UNKNOWN_EFI = "EFI of an architecture that is not simulated"

_BY_ARCH = {
    (ClientKind.PXE, 0): "bios-rom", (ClientKind.PXE, 6): "uefi-ia32", (ClientKind.PXE, 7): "uefi", (ClientKind.PXE, 9): "uefi",
    (ClientKind.PXE, 11): "uefi-arm64", (ClientKind.HTTP, 15): "http", (ClientKind.HTTP, 16): "http",
    (ClientKind.HTTP, 19): "http-arm64", (ClientKind.IPXE, 0): "bios",
}  # fmt: skip

FAMILIES = {
    "ipxe": "iPXE", "edk2-pxe": "EDK2 PXE", "edk2-http": "UEFI HTTP boot", "u-boot": "U-Boot", "raspberry": "Raspberry Pi",
    "raspberry-4": "Raspberry Pi", "system": "operating system",
}  # fmt: skip
"""``Personality.firmware`` → the family by which ``cares`` knows what it reads."""


@dataclass(frozen=True, slots=True)
class Role:
    """A captured machine, ready to be played."""

    recorded: Recorded
    mac: bytes
    """Of the machine that is played: another than the captured one's when it stands for a host of the configuration."""
    uuid: bytes | None
    personality: Personality
    manners: Manners
    relay: DhcpSaid | None
    """What a relay agent passed on; None: it was on the server's own wire."""
    evidence: str
    notes: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """As ``cares`` knows its firmware."""
        return "BIOS PXE ROM" if self.personality.name == "bios-rom" else FAMILIES[self.personality.firmware]


def cast(recorded: Recorded, host: Host | None = None) -> Role | None:
    """The role; ``host``: whom of the configuration it stands for. None: see :data:`NO_BOOT_PACKET`."""
    said = recorded.requests
    if not said:
        return None
    firmware = _first(said, lambda client: client.kind is not ClientKind.OTHER or _is_u_boot(client))
    ipxe = _first(said, lambda client: client.kind is ClientKind.IPXE)
    begins = firmware if firmware is not None else said[0]
    client = boot_client(begins.message)
    base, evidence = fingerprint(client, begins)
    notes: list[str] = []
    if base is None:
        base, evidence = PERSONALITIES["uefi"], f"{evidence}: {_UNKNOWN_EFI}"
    if recorded.over_ipv6:
        notes.append(
            "part of it was over IPv6, which this server does not speak: replayed from its first packet over IPv4"
        )
    uuid = client.uuid
    programs = list(_programs(recorded.files, base))
    personality = replace(
        base,
        voice=_voice(FIRMWARE, said, begins, client.uuid, recorded.mac) or base.voice,
        ipxe=(_voice(IPXE, said, ipxe, client.uuid, recorded.mac) if ipxe is not None else None) or base.ipxe,
        post_s=0.0,
        settles_s=_settles(recorded, base.settles_s),
        system=_system(recorded, firmware),
    )
    return Role(
        recorded,
        mac=host.mac if host is not None and host.mac is not None else recorded.mac,
        uuid=parse_uuid(host.uuid) if host is not None and host.uuid is not None else uuid,
        personality=personality,
        manners=Manners(tftp=dict(_tftp_manners(programs)), http=dict(_http_manners(recorded.files))),
        relay=begins if begins.message.giaddr else None,
        evidence=evidence,
        notes=tuple(notes),
    )


def fingerprint(client: BootClient, said: DhcpSaid) -> tuple[Personality | None, str]:
    """The personality that a client's first packet tells, and by what; None: nobody simulates that one."""
    vendor = f'class "{client.vendor_class}"' if client.vendor_class else "no vendor class"
    where = f"{vendor}, architecture {client.arch} ({architecture_name(client.arch)})"
    if client.raspberry:
        four = client.uuid is not None
        return PERSONALITIES[
            "raspberry-4" if four else "raspberry"
        ], f"Raspberry Pi by its address and option 97; {where}"
    if _is_u_boot(client):
        return PERSONALITIES["u-boot"], where
    if client.kind is ClientKind.OTHER:
        return _SYSTEM, vendor
    if client.kind is ClientKind.IPXE:
        by = "user class iPXE" if client.user_class else "option 175"
        return PERSONALITIES[_BY_ARCH.get((client.kind, client.arch), "ipxe")], f"{by}, {where}"
    name = _BY_ARCH.get((client.kind, client.arch))
    if name == "bios-rom":
        return BIOS_ROM, where
    return (PERSONALITIES[name] if name is not None else None), where


def relay_of(role: Role, server: int) -> Relay | None:
    """The relay agent in front of the machine, as it was captured."""
    if role.relay is None:
        return None
    message = role.relay.message
    information = message.options.raw(OptionCode.RELAY_AGENT) or b""
    inside, _ = type(message.options).parse_damaged(information, RELAY)
    port = role.relay.source_port if RelayCode.SOURCE_PORT in inside else 0
    return Relay(message.giaddr, server, port, agent_information=information)


# -- words --------------------------------------------------------------------------------------------------------------------------


def _is_u_boot(client: BootClient) -> bool:
    return client.vendor_class.startswith("U-Boot") or client.arch in range(21, 25)


def _first(said: tuple[DhcpSaid, ...], suits: Callable[[BootClient], bool]) -> DhcpSaid | None:
    return next((one for one in said if suits(boot_client(one.message))), None)


def _speaks_alike(one: DhcpSaid, other: DhcpSaid) -> bool:
    """Both messages are one program's: same kind of client, same vendor class."""
    first, second = boot_client(one.message), boot_client(other.message)
    return (first.kind, first.vendor_class, first.arch) == (second.kind, second.vendor_class, second.arch)


def _voice(name: str, said: tuple[DhcpSaid, ...], begins: DhcpSaid, uuid: bytes | None, mac: bytes) -> Voice | None:
    """The captured words of the program that said ``begins``; what it never said is made of what it did."""
    own = [one for one in said if _speaks_alike(one, begins)]
    discover = next((one for one in own if _type(one) == MessageType.DISCOVER), None)
    request = next((one for one in own if _type(one) == MessageType.REQUEST and _is_choice(one)), None)
    model = discover or request
    if model is None:
        return None
    chosen = (OptionCode.SERVER_ID, OptionCode.REQUESTED_ADDRESS)
    if discover is not None:
        asks = _words(discover, uuid, mac)
    else:
        asks = tuple(word for word in _words(model, uuid, mac) if word[0] not in chosen)
    if request is not None:
        takes = _words(request, uuid, mac)
    else:
        rest = tuple(word for word in asks if word[0] != OptionCode.REQUESTED_ADDRESS)
        takes = (*rest, (OptionCode.SERVER_ID, Fill.SERVER_ID), (OptionCode.REQUESTED_ADDRESS, Fill.REQUESTED))
    flags = model.message.flags
    shortest = len(serialize(replace(model.message, giaddr=0), max_size=LARGEST_BYTES, min_size=0))
    padded = len(model.payload) if len(model.payload) > shortest else 0
    return Voice(name, asks, takes, flags, min_bytes=padded)


def _words(said: DhcpSaid, uuid: bytes | None, mac: bytes) -> Words:
    """The options in their order. What names the machine, the server or the address is filled in anew each time."""
    fills: dict[int, Fill] = {OptionCode.MESSAGE_TYPE: Fill.TYPE}
    if _type(said) == MessageType.REQUEST:
        fills |= {OptionCode.SERVER_ID: Fill.SERVER_ID, OptionCode.REQUESTED_ADDRESS: Fill.REQUESTED}
    words: list[tuple[int, bytes | Fill]] = []
    for code, raw in said.message.options:
        if code == OptionCode.RELAY_AGENT:
            continue  # the relay's word, see ``relay_of``
        if code == OptionCode.CLIENT_ID and raw == b"\1" + mac:
            words.append((code, Fill.CLIENT_ID))
        elif code == OptionCode.MACHINE_ID and uuid is not None and raw == b"\0" + uuid:
            words.append((code, Fill.MACHINE_ID))
        else:
            words.append((code, fills.get(code, raw)))
    return tuple(words)


def _type(said: DhcpSaid) -> int | None:
    return lenient(said.message.options.number, OptionCode.MESSAGE_TYPE)


def _is_choice(said: DhcpSaid) -> bool:
    """A REQUEST that takes an offer, not a question to a boot server or a renewal."""
    return OptionCode.SERVER_ID in said.message.options and OptionCode.REQUESTED_ADDRESS in said.message.options


# -- files --------------------------------------------------------------------------------------------------------------------------

_PROGRAM_TRAITS = {
    "ipxe": tftp.IPXE, "pxelinux": tftp.PXELINUX, "lpxelinux": tftp.LPXELINUX, "syslinux": tftp.LPXELINUX, "grub": tftp.GRUB,
    "shim": tftp.SHIM, "u-boot": tftp.U_BOOT, "raspberry": tftp.RASPBERRY, "raspberry-4": tftp.RASPBERRY,
}  # fmt: skip

_AGENTS = (
    http.EDK2, http.IPXE, http.SYSLINUX, http.GRUB, http.U_BOOT, http.CURL, http.LIBREPO, http.WGET, http.DEBIAN, http.BUSYBOX,
)  # fmt: skip

_OF_THE_REQUEST = frozenset({"cookie", "content-length", "range", "if-match", "if-unmodified-since"})
"""Headers that belong to one request, not to its client."""


def _programs(files: tuple[FileAsked, ...], base: Personality) -> Iterator[tuple[str, FileAsked]]:
    """Each file asked for by TFTP with the traits of whoever asked: the firmware, then the program that was loaded last."""
    program, loaded = base.firmware, ""
    for file in files:
        if file.method != "RRQ":
            loaded = kind_of(file.url) or loaded
            continue
        name = file.url.rpartition("/")[2]
        if loaded and name != loaded:
            program, loaded = kind_of(loaded), ""
        if program in ("edk2-pxe", "edk2-http"):
            traits = tftp.EDK2_SIZE if file.aborted or any(key == "tsize" for key, _ in file.asked) else tftp.EDK2
        else:
            traits = _PROGRAM_TRAITS.get(program, tftp.IPXE)
        yield traits.name, file
        if not file.failure and not file.aborted and kind_of(name):
            loaded = name


def _tftp_manners(programs: list[tuple[str, FileAsked]]) -> Iterator[tuple[str, Pairs]]:
    seen: set[str] = set()
    for name, file in programs:
        if name not in seen:
            seen.add(name)
            yield name, file.asked


def _http_manners(files: tuple[FileAsked, ...]) -> Iterator[tuple[str, Pairs]]:
    """The headers of each HTTP client that is told by the first word of its user agent."""
    known = {_product(agent.headers): agent.name for agent in _AGENTS}
    for file in reversed(files):  # of several the first wins
        name = known.get(_product(file.asked)) if file.method != "RRQ" else None
        if name is not None:
            own = tuple((key, value) for key, value in file.asked if key.lower() not in _OF_THE_REQUEST)
            yield name, tuple((key, http.HOST if key.lower() == "host" else value) for key, value in own)


def _product(headers: Pairs) -> str:
    agent = next((value for name, value in headers if name.lower() == "user-agent"), "")
    return agent.partition("/")[0].partition(" ")[0]


def _settles(recorded: Recorded, otherwise: float) -> float:
    """From the firmware's first ACK to the first file, as far as the capture shows both and they belong together."""
    acks = [said.at_s for said in recorded.replies if _type(said) == MessageType.ACK]
    if not acks or not recorded.files:
        return otherwise
    first = recorded.files[0].at_s
    return first - acks[0] if 0 <= first - acks[0] < 60 else otherwise


# -- the system ---------------------------------------------------------------------------------------------------------------------

_SYSTEMS: tuple[tuple[str, System], ...] = (
    ("anaconda-", installer.ANACONDA_SYSTEM), ("d-i", installer.DEBIAN_SYSTEM), ("udhcp", installer.PAYLOAD),
)  # fmt: skip


def _system(recorded: Recorded, firmware: DhcpSaid | None) -> System | None:
    """The system whose DHCP was captured behind a boot; None: what the kernel's arguments name will run."""
    if firmware is None:
        return None
    for said in recorded.requests:
        client = boot_client(said.message)
        if client.kind is not ClientKind.OTHER or _is_u_boot(client) or said.at_s < firmware.at_s:
            continue
        base = next((system for word, system in _SYSTEMS if client.vendor_class.startswith(word)), None)
        voice = _voice(SYSTEM, recorded.requests, said, client.uuid, recorded.mac)
        if base is None or voice is None:
            return None
        before = [file.at_s for file in recorded.files if file.at_s < said.at_s]
        starts_s = said.at_s - before[-1] if before else base.starts_s
        return replace(base, voice=voice, starts_s=min(median((starts_s, 0.1, 600.0)), 600.0), gives_way=True)
    return None

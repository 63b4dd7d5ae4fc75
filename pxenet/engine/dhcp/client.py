"""What a DHCP packet says about the machine that sent it: firmware, boot loader or operating system, and for which processor.

Knows options 43, 55, 60, 77, 93, 97 and 175 as clients send them; must not know what they will be given. RFC 4578, RFC 3004.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pxenet.model import BootClient, ClientKind, Platform, platform_of
from pxenet.wire.dhcp import Message
from pxenet.wire.iana import OptionCode
from pxenet.wire.options import Options
from pxenet.wire.pxe import FEATURE_CODES, HTTP_CLIENT, IPXE, parse_class
from pxenet.wire.reader import WireError
from pxenet.wire.shapes import show

T = TypeVar("T")

_RASPBERRY_ARCHES = (0, 41)
"""Its ROM calls itself x86 BIOS; 41 is the number it got later."""
_RASPBERRY_PREFIXES = tuple(
    bytes.fromhex(prefix) for prefix in ("b827eb", "dca632", "e45f01", "d83add", "28cdc1", "2ccf67")
)
_RASPBERRY_UUIDS = (b"RPi", b"4iPR", b"5iPR")
"""Option 97 of Pi 4 and later begins with "RPi4" or "RPi5", as the bytes of a number in either order."""


def lenient(read: Callable[[int], T | None], code: int) -> T | None:
    """An option's value, None when it is absent or malformed.

    A server ignores an option that is not what it should be, and serves the rest of the packet.
    """
    try:
        return read(code)
    except WireError:
        return None


def boot_client(message: Message) -> BootClient:
    """The machine as its packet describes it."""
    options = message.options
    return of_machine(client_form(options), asks_43(options), message.hardware, options.raw(OptionCode.MACHINE_ID))


def client_form(options: Options) -> BootClient:
    """What machines of its kind say alike: a client without hardware address and machine id."""
    # Only how it begins counts, so a ROM that leaves rubbish behind a NUL boots all the same.
    vendor_class = show((options.raw(OptionCode.VENDOR_CLASS) or b"").partition(b"\0")[0])
    user_class = options.raw(OptionCode.USER_CLASS) or b""
    boot_class = parse_class(vendor_class)
    # iPXE's class is that of the firmware it replaces; only 77 and 175 give it away, and 77 comes bare or as RFC 3004's list.
    is_ipxe = user_class in (b"iPXE", b"\x04iPXE") or OptionCode.IPXE in options
    kind = ClientKind.OTHER
    if is_ipxe:
        kind = ClientKind.IPXE
    elif boot_class is not None:
        kind = ClientKind.HTTP if boot_class.name == HTTP_CLIENT else ClientKind.PXE
    arch, platform = _architecture(options, boot_class.arch if boot_class else None)
    return BootClient(
        mac=b"",
        kind=kind,
        arch=arch,
        platform=platform,
        ipxe_features=_features(options) if is_ipxe else frozenset(),
        vendor_class=vendor_class,
        user_class=user_class.lstrip(b"\x04").decode("ascii", "backslashreplace"),
    )


def asks_43(options: Options) -> bool:
    """Option 43 is in its list."""
    return OptionCode.VENDOR_SPECIFIC in (lenient(options.numbers, OptionCode.PARAMETER_LIST) or ())


def of_machine(form: BootClient, asks_43: bool, hardware: bytes, machine_id: bytes | None) -> BootClient:
    """The client of this form that has this hardware address and (raw, None when absent) option 97."""
    return BootClient(
        hardware,
        form.kind,
        form.arch,
        form.platform,
        None if machine_id is None else _uuid(machine_id),
        form.ipxe_features,
        form.kind is ClientKind.PXE
        and form.arch in _RASPBERRY_ARCHES
        and _is_raspberry(hardware, machine_id or b"", asks_43),
        form.vendor_class,
        form.user_class,
    )


def _architecture(options: Options, in_class: int | None) -> tuple[int, Platform | None]:
    """The first listed type that has a platform, else the first one; without option 93 the digits of the class, else x86 BIOS."""
    listed = lenient(options.numbers, OptionCode.ARCHITECTURE) or (in_class or 0,)
    for arch in listed:
        platform, _ = platform_of(arch)
        if platform is not None:
            return arch, platform
    return listed[0], None


def _uuid(raw: bytes) -> bytes | None:
    if len(raw) != 17 or raw[0] != 0:
        return None
    uuid = raw[1:]
    # One octet sixteen times names no machine: EDK2 sends zeros for "unknown", the Raspberry Pi 3 B a constant 0x44.
    return None if uuid.count(uuid[0]) == len(uuid) else uuid


def _features(options: Options) -> frozenset[int]:
    inside, _ = Options.parse_damaged(options.raw(OptionCode.IPXE) or b"", IPXE)
    return frozenset(code for code, _ in inside if code in FEATURE_CODES)


def _is_raspberry(hardware: bytes, machine_id: bytes, asks_43: bool) -> bool:
    return machine_id.startswith(_RASPBERRY_UUIDS, 1) or (asks_43 and hardware.startswith(_RASPBERRY_PREFIXES))

"""A first look at a DHCP request: one pass over its options that tells what is alike in many packets from what is each machine's own.

Fast path beside ``wire.dhcp.parse``, which stays the only one that says what an option means: whoever has seen a packet of the same
form need not read the next one again. Anything out of the ordinary is None here, and for the plain path to judge. Must not know what
is made of an option. RFC 2131 §2, RFC 2132 §2.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pxenet.wire.dhcp import COOKIE
from pxenet.wire.iana import BOOTREQUEST, OptionCode
from pxenet.wire.options import END, PAD

OWN: Mapping[int, int] = MappingProxyType(
    {
        OptionCode.HOST_NAME: 1,
        OptionCode.REQUESTED_ADDRESS: 2,
        OptionCode.CLIENT_ID: 3,
        OptionCode.MACHINE_ID: 4,
        OptionCode.RELAY_AGENT: 5,
    }
)
"""Options that belong to one machine or its place: where in a :data:`Glance` their raw values stand."""

FORMING = frozenset(
    {
        OptionCode.VENDOR_SPECIFIC,
        OptionCode.LEASE_TIME,
        OptionCode.MESSAGE_TYPE,
        OptionCode.SERVER_ID,
        OptionCode.PARAMETER_LIST,
        OptionCode.MAX_SIZE,
        OptionCode.VENDOR_CLASS,
        OptionCode.USER_CLASS,
        OptionCode.ARCHITECTURE,
        OptionCode.SUBNET_SELECTION,
        OptionCode.IPXE,
    }
)
"""Options that machines of a kind send alike, and that answers depend on. Those in neither table change no answer."""

Glance = tuple[bytes, bytes | None, bytes | None, bytes | None, bytes | None, bytes | None]
"""The form (all that is not the machine's own: equal forms mean the same), then the raw values of :data:`OWN`; None: absent."""

_FORMS, _NEVER = 0, -1
_PLACES: Mapping[int, int] = MappingProxyType(
    dict.fromkeys(FORMING, _FORMS) | dict(OWN) | {OptionCode.OVERLOAD: _NEVER}
)

_OPTIONS_AT = 240
_NO_ADDRESS = bytes(4)


def glance_untrusted(data: bytes) -> Glance | None:
    """What can be seen without understanding it; None: this packet must be parsed.

    That is: BOOTP, a reply, damaged or overloaded options, an own option that comes in pieces (RFC 3396), a hardware address of no
    bytes or too many, and a client that has an address already (``ciaddr``).
    """
    if len(data) < _OPTIONS_AT or data[236:240] != COOKIE or data[0] != BOOTREQUEST or data[12:16] != _NO_ADDRESS:
        return None
    if not 0 < data[2] <= 16:
        return None
    form = [data[1:3], data[10:12], data[24:28]]  # htype and hlen, flags, giaddr
    own: list[bytes | None] = [None] * 6
    place_of = _PLACES.get
    at = _OPTIONS_AT
    try:
        while (code := data[at]) != END:
            if code == PAD:
                at += 1
                continue
            behind = at + 2 + data[at + 1]
            place = place_of(code)
            if place == _FORMS:
                form.append(data[at:behind])
            elif place is not None:
                if place == _NEVER or own[place] is not None:
                    return None
                own[place] = data[at + 2 : behind]
            at = behind
    except IndexError:  # an option that is cut off, or no end
        return None
    return b"".join(form), own[1], own[2], own[3], own[4], own[5]

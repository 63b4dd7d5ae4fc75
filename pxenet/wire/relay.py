"""Relay agent information (option 82, RFC 3046): what a relay says about where a client is plugged in.

Inside it are (code, length, value) like DHCP's own options, but neither pad nor end: 0 and 255 are codes like any other. A server
echoes the whole option unchanged; it understands only what changes its answer (5, 11 and 19).
"""

from __future__ import annotations

import enum

from pxenet.wire.shapes import ADDRESS, OPAQUE, PRESENCE, TEXT, U8, Row, Space


class RelayCode(enum.IntEnum):
    """Sub-options of option 82."""

    CIRCUIT_ID = 1  # RFC 3046
    REMOTE_ID = 2  # RFC 3046
    DOCSIS_CLASS = 4  # RFC 3256
    LINK_SELECTION = 5  # RFC 3527
    SUBSCRIBER_ID = 6  # RFC 3993
    RADIUS = 7  # RFC 4014
    AUTHENTICATION = 8  # RFC 4030
    VENDOR_SPECIFIC = 9  # RFC 4243
    FLAGS = 10  # RFC 5010
    SERVER_ID_OVERRIDE = 11  # RFC 5107
    RELAY_ID = 12  # RFC 6925
    ACCESS_TECHNOLOGY = 13  # 13 to 18: RFC 7839
    ACCESS_NETWORK = 14
    ACCESS_POINT_NAME = 15
    ACCESS_POINT_BSSID = 16
    OPERATOR_ID = 17
    OPERATOR_REALM = 18
    SOURCE_PORT = 19  # RFC 8357
    VIRTUAL_SUBNET = 151  # RFC 6607
    VIRTUAL_SUBNET_CONTROL = 152


FLAG_UNICAST = 0x80
"""In FLAGS: the client had sent its message to the relay's unicast address (RFC 5010 §3)."""


RELAY = Space(
    "relay agent information",
    {
        RelayCode.CIRCUIT_ID: Row("circuit id", OPAQUE),
        RelayCode.REMOTE_ID: Row("remote id", OPAQUE),
        RelayCode.DOCSIS_CLASS: Row("DOCSIS class", OPAQUE),
        RelayCode.LINK_SELECTION: Row("link selection", ADDRESS),
        RelayCode.SUBSCRIBER_ID: Row("subscriber id", TEXT),
        RelayCode.RADIUS: Row("RADIUS attributes", OPAQUE),
        RelayCode.AUTHENTICATION: Row("authentication", OPAQUE),
        RelayCode.VENDOR_SPECIFIC: Row("vendor specific", OPAQUE),
        RelayCode.FLAGS: Row("relay flags", U8),
        RelayCode.SERVER_ID_OVERRIDE: Row("server id override", ADDRESS),
        RelayCode.RELAY_ID: Row("relay id", OPAQUE),
        RelayCode.ACCESS_TECHNOLOGY: Row("access technology", OPAQUE),
        RelayCode.ACCESS_NETWORK: Row("access network name", OPAQUE),
        RelayCode.ACCESS_POINT_NAME: Row("access point name", OPAQUE),
        RelayCode.ACCESS_POINT_BSSID: Row("access point BSSID", OPAQUE),
        RelayCode.OPERATOR_ID: Row("operator id", OPAQUE),
        RelayCode.OPERATOR_REALM: Row("operator realm", OPAQUE),
        RelayCode.SOURCE_PORT: Row("relay source port", PRESENCE),
        RelayCode.VIRTUAL_SUBNET: Row("virtual subnet", OPAQUE),
        RelayCode.VIRTUAL_SUBNET_CONTROL: Row("virtual subnet control", OPAQUE),
    },
    framed=False,
)

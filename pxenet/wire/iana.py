"""Registered numbers of DHCP and PXE, by the names of their RFCs.

A number that is not here is no error: codecs keep it as the plain int it is, and the ``_name`` functions print it as such.
Sources: RFC 2132 and the IANA registries "BOOTP Vendor Extensions and DHCP Options" and "Processor Architecture Types"; other RFCs
are named beside their codes.
"""

from __future__ import annotations

import enum

BOOTREQUEST = 1
BOOTREPLY = 2

HTYPE_ETHERNET = 1
HTYPE_IEEE802 = 6
HTYPE_INFINIBAND = 32

INFINITE = 0xFFFFFFFF
"""A lease without end (RFC 2131 §3.3)."""


class MessageType(enum.IntEnum):
    """Option 53 (RFC 2132 §9.6)."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


class OptionCode(enum.IntEnum):
    """DHCP option codes. Those below 77 without a note are RFC 2132's."""

    PAD = 0
    SUBNET_MASK = 1
    TIME_OFFSET = 2
    ROUTERS = 3
    TIME_SERVERS = 4
    NAME_SERVERS = 5
    DNS = 6
    LOG_SERVERS = 7
    COOKIE_SERVERS = 8
    LPR_SERVERS = 9
    IMPRESS_SERVERS = 10
    RESOURCE_SERVERS = 11
    HOST_NAME = 12
    BOOT_FILE_SIZE = 13
    MERIT_DUMP_FILE = 14
    DOMAIN_NAME = 15
    SWAP_SERVER = 16
    ROOT_PATH = 17
    EXTENSIONS_PATH = 18
    IP_FORWARDING = 19
    NON_LOCAL_SOURCE_ROUTING = 20
    POLICY_FILTER = 21
    MAX_REASSEMBLY_SIZE = 22
    DEFAULT_TTL = 23
    PATH_MTU_AGING_TIMEOUT = 24
    PATH_MTU_PLATEAUS = 25
    MTU = 26
    ALL_SUBNETS_LOCAL = 27
    BROADCAST = 28
    PERFORM_MASK_DISCOVERY = 29
    MASK_SUPPLIER = 30
    PERFORM_ROUTER_DISCOVERY = 31
    ROUTER_SOLICITATION_ADDRESS = 32
    STATIC_ROUTES = 33
    TRAILER_ENCAPSULATION = 34
    ARP_CACHE_TIMEOUT = 35
    ETHERNET_ENCAPSULATION = 36
    TCP_DEFAULT_TTL = 37
    TCP_KEEPALIVE_INTERVAL = 38
    TCP_KEEPALIVE_GARBAGE = 39
    NIS_DOMAIN = 40
    NIS_SERVERS = 41
    NTP = 42
    VENDOR_SPECIFIC = 43
    NETBIOS_NAME_SERVERS = 44
    NETBIOS_DATAGRAM_SERVERS = 45
    NETBIOS_NODE_TYPE = 46
    NETBIOS_SCOPE = 47
    X_FONT_SERVERS = 48
    X_DISPLAY_MANAGERS = 49
    REQUESTED_ADDRESS = 50
    LEASE_TIME = 51
    OVERLOAD = 52
    MESSAGE_TYPE = 53
    SERVER_ID = 54
    PARAMETER_LIST = 55
    MESSAGE = 56
    MAX_SIZE = 57
    T1 = 58
    T2 = 59
    VENDOR_CLASS = 60
    CLIENT_ID = 61
    NETWARE_DOMAIN = 62  # RFC 2242
    NETWARE_OPTIONS = 63  # RFC 2242
    NISPLUS_DOMAIN = 64
    NISPLUS_SERVERS = 65
    TFTP_SERVER = 66
    BOOT_FILE = 67
    MOBILE_IP_HOME_AGENTS = 68
    SMTP_SERVERS = 69
    POP3_SERVERS = 70
    NNTP_SERVERS = 71
    WWW_SERVERS = 72
    FINGER_SERVERS = 73
    IRC_SERVERS = 74
    STREETTALK_SERVERS = 75
    STDA_SERVERS = 76
    USER_CLASS = 77  # RFC 3004
    FQDN = 81  # RFC 4702
    RELAY_AGENT = 82  # RFC 3046
    AUTHENTICATION = 90  # RFC 3118
    ARCHITECTURE = 93  # RFC 4578
    NIC = 94  # RFC 4578
    MACHINE_ID = 97  # RFC 4578
    TZ_POSIX = 100  # RFC 4833
    TZ_NAME = 101  # RFC 4833
    IPV6_ONLY = 108  # RFC 8925
    CAPTIVE_PORTAL = 114  # RFC 8910
    AUTO_CONFIGURE = 116  # RFC 2563
    NAME_SERVICE_SEARCH = 117  # RFC 2937
    SUBNET_SELECTION = 118  # RFC 3011
    DOMAIN_SEARCH = 119  # RFC 3397
    SIP_SERVERS = 120  # RFC 3361
    CLASSLESS_ROUTES = 121  # RFC 3442
    VENDOR_CLASS_ENTERPRISE = 124  # RFC 3925
    VENDOR_INFO_ENTERPRISE = 125  # RFC 3925
    PXE_128 = 128  # RFC 4578 §2.4: 128 to 135 are asked for by PXE clients and mean nothing by themselves
    PXE_129 = 129
    PXE_130 = 130
    PXE_131 = 131
    PXE_132 = 132
    PXE_133 = 133
    PXE_134 = 134
    PXE_135 = 135
    TFTP_SERVER_ADDRESSES = 150  # RFC 5859
    IPXE = 175  # iPXE's encapsulated options
    ETHERBOOT = 177
    ISCSI_PRIMARY_TARGET = 201  # iPXE, site-specific range
    ISCSI_SECONDARY_TARGET = 202
    ISCSI_INITIATOR = 203
    PXELINUX_MAGIC = 208  # RFC 5071
    CONFIG_FILE = 209  # RFC 5071
    PATH_PREFIX = 210  # RFC 5071
    REBOOT_TIME = 211  # RFC 5071
    SIX_RD = 212  # RFC 5969
    MICROSOFT_ROUTES = 249  # the same as 121, before it had a number
    PROXY_AUTODISCOVERY = 252  # WPAD
    END = 255


ARCHITECTURES: dict[int, str] = {
    0: "x86 BIOS",
    1: "NEC PC-98",
    2: "Itanium",
    3: "DEC Alpha",
    4: "Arc x86",
    5: "Intel Lean Client",
    6: "ia32 UEFI",
    7: "x64 UEFI",
    8: "EFI Xscale",
    9: "EBC",  # RFC 4578 as printed had 7 and 9 exchanged, and old firmware still sends 9 for x64
    10: "ARM 32 UEFI",
    11: "ARM 64 UEFI",
    12: "PowerPC Open Firmware",
    13: "PowerPC ePAPR",
    14: "POWER OPAL v3",
    15: "ia32 UEFI HTTP",
    16: "x64 UEFI HTTP",
    17: "EBC HTTP",
    18: "ARM 32 UEFI HTTP",
    19: "ARM 64 UEFI HTTP",
    20: "x86 BIOS HTTP",
    21: "ARM 32 U-Boot",
    22: "ARM 64 U-Boot",
    23: "ARM 32 U-Boot HTTP",
    24: "ARM 64 U-Boot HTTP",
    25: "RISC-V 32 UEFI",
    26: "RISC-V 32 UEFI HTTP",
    27: "RISC-V 64 UEFI",
    28: "RISC-V 64 UEFI HTTP",
    29: "RISC-V 128 UEFI",
    30: "RISC-V 128 UEFI HTTP",
    31: "s390 basic",
    32: "s390 extended",
    33: "MIPS 32 UEFI",
    34: "MIPS 64 UEFI",
    35: "Sunway 32 UEFI",
    36: "Sunway 64 UEFI",
    37: "LoongArch 32 UEFI",
    38: "LoongArch 32 UEFI HTTP",
    39: "LoongArch 64 UEFI",
    40: "LoongArch 64 UEFI HTTP",
    41: "ARM rpiboot",
    0xFFFF: "not stated",  # U-Boot on a processor without a number
}
"""Architecture types of option 93 (IANA "Processor Architecture Types")."""


def architecture_name(number: int) -> str:
    """``x64 UEFI``, or ``architecture 4711`` for one that has no name."""
    return ARCHITECTURES.get(number, f"architecture {number}")


def message_type_name(number: int | None) -> str:
    """``DISCOVER``; ``BOOTP`` for a message without option 53; ``message type 17`` for one that has no name."""
    if number is None:
        return "BOOTP"
    try:
        return MessageType(number).name
    except ValueError:
        return f"message type {number}"

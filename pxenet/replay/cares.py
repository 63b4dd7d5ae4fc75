"""Which firmware cares about which part of a DHCP answer, and the fact that says so.

A table of (field or option, family) → whether it cares, why, and the source. Families are those of ``cast``; "*" stands for all others.
Sources are named as in the facts of this project: RFCs, and the firmware's own source with its function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

IPXE, EDK2, HTTP, ROM, SYSTEM, U_BOOT, PI = (
    "iPXE", "EDK2 PXE", "UEFI HTTP boot", "BIOS PXE ROM", "operating system", "U-Boot", "Raspberry Pi",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Care:
    """What a difference means to a family."""

    cares: bool
    why: str
    fact: str


Field = str | int
"""A header field's name, or an option's code."""


def care(field: Field, family: str) -> Care:
    """What is known about a field and a family; what nobody has written down is taken for something it may care about."""
    found = TABLE.get((field, family)) or TABLE.get((field, "*"))
    if found is not None:
        return found
    if isinstance(field, int) and family in _READS and field not in _READS[family]:
        return Care(
            False,
            f"{family} does not read option {field} to boot",
            "the options each client requests and reads (dhcp.md §3)",
        )
    return Care(True, "nothing is known about who reads it", "no fact")


_SIADDR = "the server of a file without URL is siaddr of the same answer, and nothing else"
_NO_66 = "it never takes the server from option 66"
_LEASE = "it ends long before the lease does, and never renews"

TABLE: Mapping[tuple[Field, str], Care] = MappingProxyType(
    {
        ("yiaddr", "*"): Care(False, "any address of the network will do", "RFC 2131 §4.3.1"),
        ("siaddr", IPXE): Care(True, _SIADDR, "iPXE dhcppkt.c dhcppkt_fetch"),
        ("siaddr", EDK2): Care(True, "it reads the file from siaddr, else from option 54", "edk2 PxeBcBoot.c"),
        ("siaddr", HTTP): Care(False, "the URL names the server", "edk2 HttpBootDhcp4.c"),
        ("siaddr", ROM): Care(True, "it reads the file from siaddr", "RFC 2131 §2; the loaders behind it too (shim, GRUB, PXELINUX)"),
        ("siaddr", U_BOOT): Care(True, "it reads everything from siaddr", "U-Boot net/bootp.c"),
        ("siaddr", PI): Care(True, "it reads its files from there", "Raspberry Pi documentation, network boot flow"),
        ("siaddr", SYSTEM): Care(False, "a system that runs boots nothing", "RFC 2131 §2"),
        ("file", IPXE): Care(True, "it takes `file`, option 67 only when that is empty", "iPXE fetch_next_server_and_filename"),
        ("file", EDK2): Care(True, "it takes 67, else `file`; shim behind it `file` alone", "edk2, shim parseDhcp4"),
        ("file", HTTP): Care(True, "it takes the URL from option 67, else from `file`", "edk2 HttpBootDhcp4.c"),
        ("file", ROM): Care(True, "PXELINUX takes its prefix from it; of the ROM itself not confirmed", "PXELINUX dhcp_option.c"),
        ("file", U_BOOT): Care(True, "`file` wins over option 67", "U-Boot net/bootp.c"),
        ("file", PI): Care(False, "its ROM asks for names of its own", "Raspberry Pi documentation, network boot flow"),
        ("file", SYSTEM): Care(False, "a system that runs boots nothing", "RFC 2131 §2"),
        ("sname", "*"): Care(False, "a name for people; GRUB alone looks at it, where siaddr and 66 are empty", "GRUB bootp.c"),
        (1, EDK2): Care(True, "without a subnet mask it declines the lease", "edk2 Dhcp4Dxe DhcpHandleSelect"),
        (1, HTTP): Care(True, "without a subnet mask it declines the lease", "edk2 Dhcp4Dxe DhcpHandleSelect"),
        (1, "*"): Care(True, "it tells who is on the wire and who behind the router", "RFC 2132 §3.3"),
        (3, "*"): Care(True, "servers on other networks are reached by it; on the same wire it does not matter", "RFC 2132 §3.5"),
        (6, HTTP): Care(True, "a URL with a name needs a name server in the chosen offer", "edk2 HttpBootDhcp4.c"),
        (6, SYSTEM): Care(True, "installers find their mirrors by it; Debian's asks a person without", "lab: Debian installer"),
        (6, "*"): Care(False, "only URLs with names need it", "iPXE, edk2: addresses in URLs are used as they are"),
        (12, "*"): Care(False, "a name for the running system", "RFC 2132 §3.14"),
        (13, EDK2): Care(True, "it skips its question for the size, and trusts this one in 512-byte blocks", "edk2 PxeBcBoot.c"),
        (15, "*"): Care(False, "a name for the running system", "RFC 2132 §3.17"),
        (28, "*"): Care(False, "follows from address and mask", "RFC 2132 §5.3"),
        (43, IPXE): Care(True, "of class PXEClient it is a menu, or sends it to a boot server", "iPXE dhcp.c"),
        (43, EDK2): Care(True, "of class PXEClient it decides between direct load, menu and port 4011", "edk2 PxeBcParseDhcp4Packet"),
        (43, ROM): Care(True, "of class PXEClient it decides between direct load, menu and port 4011", "edk2; ROMs not confirmed"),
        (43, PI): Care(True, 'it goes on only when it finds "Raspberry Pi Boot" there', "Raspberry Pi documentation, boot-net"),
        (51, SYSTEM): Care(True, "it renews at half of it", "RFC 2131 §4.4.5"),
        (51, "*"): Care(False, _LEASE, "RFC 2131 §4.4.5"),
        (54, EDK2): Care(True, "offer and ACK must name the same server, or they are ignored", "edk2 Dhcp4Dxe DhcpHandleRequest"),
        (54, HTTP): Care(True, "offer and ACK must name the same server, or they are ignored", "edk2 Dhcp4Dxe DhcpHandleRequest"),
        (54, "*"): Care(False, "another server is another server: it chooses it by this", "RFC 2131 §4.3.2"),
        (58, "*"): Care(False, "half of the lease by itself", "RFC 2131 §4.4.5"),
        (59, "*"): Care(False, "seven eighths of the lease by itself", "RFC 2131 §4.4.5"),
        (60, EDK2): Care(True, "PXEClient makes it wait for menu or port 4011, else it loads at once", "edk2 PxeBcSelectDhcp4Offer"),
        (60, ROM): Care(True, "PXEClient makes it wait for menu or port 4011, else it loads at once", "edk2; ROMs not confirmed"),
        (60, IPXE): Care(True, "an answer of class PXEClient counts as ProxyDHCP too", "iPXE dhcp.c"),
        (60, HTTP): Care(True, "only offers of class HTTPClient boot it", "edk2 HttpBootDhcp4.c"),
        (60, PI): Care(True, "it wants an answer of class PXEClient", "Raspberry Pi documentation, boot-net"),
        (61, "*"): Care(False, "its own words, sent back", "RFC 6842 §3"),
        (66, IPXE): Care(False, _NO_66, "iPXE dhcppkt.c dhcppkt_fetch"),
        (66, EDK2): Care(False, _NO_66 + "; GRUB behind it does where siaddr is empty", "edk2 PxeBcBoot.c; GRUB bootp.c"),
        (66, "*"): Care(False, "the server is taken from siaddr", "dhcp.md §6"),
        (67, IPXE): Care(True, "read when `file` is empty", "iPXE fetch_next_server_and_filename"),
        (67, EDK2): Care(True, "its first choice for the file's name", "edk2 PxeBcParseDhcp4Packet"),
        (67, HTTP): Care(True, "its first choice for the URL", "edk2 HttpBootDhcp4.c"),
        (67, ROM): Care(True, "whether it prefers this or `file` is not confirmed", "no fact about ROMs"),
        (67, U_BOOT): Care(False, "overwritten by `file` where that says anything", "U-Boot net/bootp.c"),
        (67, PI): Care(False, "its ROM asks for names of its own", "Raspberry Pi documentation, network boot flow"),
        (67, SYSTEM): Care(False, "a system that runs boots nothing", "RFC 2131 §2"),
        (82, "*"): Care(False, "for the relay, which takes it away", "RFC 3046 §2.2"),
        (97, "*"): Care(False, "its own id, sent back; GRUB names its configuration file by it", "GRUB bootp.c; RFC 4578 §2.3"),
        (175, IPXE): Care(True, "with no-pxedhcp in it, it does not wait about two seconds for ProxyDHCP", "iPXE dhcp.c"),
        (209, "*"): Care(True, "PXELINUX reads this configuration first", "RFC 5071 §4"),
        (210, "*"): Care(True, "PXELINUX puts it before every name", "RFC 5071 §5"),
    }
)  # fmt: skip

_READS: Mapping[str, frozenset[int]] = MappingProxyType(
    {
        IPXE: frozenset({1, 3, 6, 7, 12, 15, 17, 26, 43, 54, 60, 66, 67, 119, 121, 175, 203}),
        EDK2: frozenset({1, 3, 13, 43, 51, 52, 54, 60, 67}),
        HTTP: frozenset({1, 3, 6, 51, 52, 54, 60, 67}),
        ROM: frozenset({1, 3, 43, 51, 52, 54, 60, 67}),
        U_BOOT: frozenset({1, 3, 6, 12, 15, 17, 52, 54, 67}),
        PI: frozenset({1, 3, 43, 54, 60, 66, 67, 97}),
    }
)
"""What each reads on its way to a boot program (requested lists and sources; dhcp.md §3 and §6, pxe.md §3 and §4)."""

TFTP_OPTIONS: Mapping[str, Care] = MappingProxyType(
    {
        "blksize": Care(True, "the size of each block; 512 when it is not granted", "RFC 2348"),
        "windowsize": Care(True, "so many blocks for each ACK; one when it is not granted", "RFC 7440 §4"),
        "tsize": Care(True, "EDK2 gives up without it, others show it as progress", "edk2 PxeBcMtftp.c; RFC 2349"),
        "timeout": Care(True, "U-Boot refuses another value than its own", "U-Boot net/tftp.c"),
    }
)
"""What it means that an OACK grants something else."""

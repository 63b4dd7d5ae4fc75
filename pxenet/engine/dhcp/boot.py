"""How a boot file is put into an answer so that every firmware and loader finds it.

Who reads what: PXELINUX, iPXE and shim take the header's ``file`` (shim nothing else), EDK2 and GRUB option 67 first; nearly all take
the server from ``siaddr``, GRUB also from 66. So all of them are sent, in OFFER and ACK alike, and never overloaded: iPXE and
shim would take the options in ``file`` for a name. RFC 2132 §9.4, §9.5; RFC 4578; Intel PXE 2.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pxenet.model import BootClient, BootFile, ClientKind
from pxenet.wire.iana import OptionCode
from pxenet.wire.pxe import DIRECT_BOOT_43, HTTP_CLIENT, PXE_CLIENT
from pxenet.wire.text import address_text

FILE_BYTES = 127
"""What fits into ``file``, with its NUL. A longer URI goes into option 67 alone."""
OPTION_BYTES = 255
"""Longer names cannot be sent: no boot client joins an option that was split."""

RASPBERRY_43 = bytes.fromhex("06 01 03 0a 04 00 50 58 45 09 14 00 00 11") + b"Raspberry Pi Boot\xff"
"""The text that its ROM looks for before it asks anything by TFTP."""
NO_PXE_DHCP_175 = bytes.fromhex("b0 01 01")
"""iPXE need not wait for a ProxyDHCP answer: the boot is about two seconds shorter."""

_FIRST_BOOT_SERVER_ARCH = 6
"""From here on (EFI) a proxy's file is asked for on port 4011: some UEFI firmware shows a menu for an offer that has it."""

_U_BOOT_ARCHES = range(21, 25)
_U_BOOT_CLASS = "U-Boot"
"""Followed by a dot and the processor; boards without an architecture type say only this."""


@dataclass(frozen=True, slots=True)
class BootFields:
    """The parts of an answer that make a machine boot."""

    siaddr: int = 0
    file: bytes = b""
    options: tuple[tuple[int, bytes], ...] = ()
    """(code, value), none of them ever to be dropped for lack of room."""


NOTHING = BootFields()


def name_of(boot: BootFile) -> str:
    """The text a client is told: a URI, or a path that it asks ``siaddr`` for."""
    return boot.url or boot.path


def has_file(boot: BootFile) -> bool:
    """Whether the answer boots anything, and can be said in one option."""
    return 0 < len(name_of(boot).encode()) <= OPTION_BYTES


def knows_its_files(client: BootClient) -> bool:
    """Whether the client has file names of its own and wants to hear only where they are: a Raspberry Pi's ROM, and U-Boot, which
    reads pxelinux.cfg and boot.scr from the server in ``siaddr`` and takes 0.0.0.0 for what it is."""
    return client.raspberry or client.arch in _U_BOOT_ARCHES or client.vendor_class.startswith(_U_BOOT_CLASS)


def _file_fields(boot: BootFile, tftp_server: int) -> BootFields:
    name = name_of(boot).encode()
    where = (OptionCode.TFTP_SERVER, address_text(tftp_server).encode())
    return BootFields(
        siaddr=tftp_server,
        file=name if len(name) <= FILE_BYTES else b"",
        options=(where, (OptionCode.BOOT_FILE, name)) if name else (where,),
    )


def _with(fields: BootFields, *options: tuple[int, bytes]) -> BootFields:
    return replace(fields, options=fields.options + options)


def server_fields(client: BootClient, boot: BootFile, tftp_server: int) -> BootFields:
    """Beside an address of ours.

    Without class PXEClient and option 43 the answer is what EDK2 calls "DHCP only with boot file": the one form that every PXE firmware
    loads from at once, without menu, prompt or a question on port 4011.
    """
    fields = _file_fields(boot, tftp_server)
    if client.raspberry:
        return _with(
            fields,
            (OptionCode.VENDOR_CLASS, PXE_CLIENT.encode()),
            (OptionCode.VENDOR_SPECIFIC, RASPBERRY_43),
        )
    if client.kind is ClientKind.HTTP:
        return _with(fields, (OptionCode.VENDOR_CLASS, HTTP_CLIENT.encode()))
    if client.kind is ClientKind.IPXE and boot.complete:
        return _with(fields, (OptionCode.IPXE, NO_PXE_DHCP_175))
    return fields


def proxy_fields(client: BootClient, boot: BootFile, tftp_server: int, server: int) -> BootFields:
    """In a ProxyDHCP offer, beside another server's address."""
    pxe_class = (OptionCode.VENDOR_CLASS, PXE_CLIENT.encode())
    if client.kind is ClientKind.HTTP:
        return _with(_file_fields(boot, tftp_server), (OptionCode.VENDOR_CLASS, HTTP_CLIENT.encode()))
    if client.raspberry:
        return _with(_file_fields(boot, tftp_server), pxe_class, (OptionCode.VENDOR_SPECIFIC, RASPBERRY_43))
    if client.kind is not ClientKind.IPXE and client.arch >= _FIRST_BOOT_SERVER_ARCH:
        return BootFields(siaddr=server, options=(pxe_class,))
    return boot_server_fields(boot, tftp_server, DIRECT_BOOT_43)


def boot_server_fields(boot: BootFile, tftp_server: int, vendor_specific: bytes) -> BootFields:
    """In an answer on port 4011, or an offer that needs none."""
    return _with(
        _file_fields(boot, tftp_server),
        (OptionCode.VENDOR_CLASS, PXE_CLIENT.encode()),
        (OptionCode.VENDOR_SPECIFIC, vendor_specific),
    )

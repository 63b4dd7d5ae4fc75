"""Which DHCP answers real firmware and boot loaders accept, and what they load then: each one's rules, as their sources have them.

    edk2_pxe([offer], ack, ask=...)  ->  Loads(server=0x0a000001, name="x64/shimx64.efi")

Answers are read from their bytes by a parser of its own, as simple as the firmware's: the first option of a code counts, nothing
is joined. A client that would boot nothing raises :class:`RefusedError` with the reason. Sources: EDK2 ``Dhcp4Dxe``,
``UefiPxeBcDxe``, ``HttpBootDxe``; iPXE ``dhcp.c``, ``autoboot.c``; shim ``netboot.c``; GRUB ``bootp.c``; syslinux
``dhcp_option.c``; U-Boot ``net/bootp.c``; the Raspberry Pi documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

Ask = Callable[[int], "bytes | None"]
"""Asks the boot server of this address on port 4011; its answer, or None."""


class RefusedError(Exception):
    """The client does not boot by these answers."""


@dataclass(frozen=True)
class Loads:
    """What the client fetches: a name by TFTP from a server, or (server 0) a URL."""

    server: int
    name: str


@dataclass(frozen=True)
class Answer:
    """A reply as firmware reads it."""

    payload: bytes
    options: dict[int, bytes]

    def word(self, at: int) -> int:
        """Four octets of the header."""
        return int.from_bytes(self.payload[at : at + 4], "big")

    @property
    def yiaddr(self) -> int:
        return self.word(16)

    @property
    def siaddr(self) -> int:
        return self.word(20)

    @property
    def file(self) -> str:
        return self.payload[108:236].split(b"\0")[0].decode("ascii")

    @property
    def sname(self) -> str:
        return self.payload[44:108].split(b"\0")[0].decode("ascii")

    def text(self, code: int) -> str:
        """An option as text; empty when absent."""
        return self.options.get(code, b"").decode("ascii")

    def address(self, code: int) -> int:
        """An option as an address; 0 when absent."""
        return int.from_bytes(self.options.get(code, b""), "big")


def need(condition: object, reason: str) -> None:
    """Refuse unless the condition holds."""
    if not condition:
        raise RefusedError(reason)


def read(payload: bytes) -> Answer:
    """The reply; every list of options has to be whole and end in 255."""
    need(len(payload) >= 300, f"{len(payload)} bytes: U-Boot and old BOOTP clients want 300")
    need(payload[236:240] == bytes.fromhex("63825363"), "no cookie")
    return Answer(payload, read_options(payload[240:]))


def read_options(area: bytes) -> dict[int, bytes]:
    """Code to value, the first of each."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(area):
        code = area[at]
        if code == 255:
            need(not any(area[at + 1 :]), "something behind the end")
            return found
        if code == 0:
            at += 1
            continue
        need(at + 2 + area[at + 1] <= len(area), f"option {code} is cut off")
        need(code not in found, f"option {code} comes twice, and no firmware joins them")
        found[code] = area[at + 2 : at + 2 + area[at + 1]]
        at += 2 + area[at + 1]
    raise RefusedError("the options have no end")


def answers(reply: Answer, request: bytes) -> None:
    """What every client compares: op, xid, the hardware address."""
    need(reply.payload[0] == 2, "op is not 2")
    need(reply.payload[4:8] == request[4:8], "another xid")
    need(reply.payload[28:44] == request[28:44], "another hardware address")


# -- EDK2 --------------------------------------------------------------------------------------------------------------------


_ONE_ADDRESS = {1, 16, 28, 32, 50, 54}
_ADDRESSES = {3, 4, 5, 6, 7, 8, 9, 10, 11, 41, 42, 44, 45, 48, 49, 65, 68, 69, 70, 71, 72, 73, 74, 75, 76}
_SIZES = {2: 4, 13: 2, 22: 2, 23: 1, 24: 4, 26: 2, 35: 4, 37: 1, 38: 4, 46: 1, 51: 4, 57: 2, 58: 4, 59: 4}
_SWITCHES = {19, 20, 27, 29, 30, 31, 34, 36, 39}
_RANGES = {52: range(1, 4), 53: range(1, 10)}
_AT_LEAST = {12: 1, 15: 1, 17: 1, 43: 1, 60: 1, 61: 2, 66: 1, 67: 1, 121: 5}


def edk2_valid(payload: bytes, request: bytes, *, lease: bool = True) -> Answer:
    """``DhcpValidateOptions``: one option of an illegal length, and the whole packet is dropped without a word."""
    need(len(payload) <= 1472, "longer than its receive buffer")
    reply = read(payload)
    answers(reply, request)
    for code, value in reply.options.items():
        size = len(value)
        bad = f"option {code} has {size} bytes: {value.hex()}"
        need(code not in _ONE_ADDRESS or size == 4, bad)
        need(code not in _ADDRESSES or (size and size % 4 == 0), bad)
        need(size == _SIZES.get(code, size), bad)
        need(code not in _SWITCHES or value in (b"\0", b"\1"), bad)
        need(code not in _RANGES or (size == 1 and value[0] in _RANGES[code]), bad)
        need(size >= _AT_LEAST.get(code, 0), bad)
    if lease:
        need(54 in reply.options, "no server identifier")
        need(1 in reply.options, "no subnet mask: the lease would be declined")
        need(51 in reply.options, "no lease time")
    return reply


def edk2_kind(reply: Answer) -> str:
    """``PxeBcParseDhcp4Packet``: Pxe10, Binl or DhcpOnly; with Proxy in front when it gives no address."""
    proxy = "" if reply.yiaddr else "Proxy"
    if 53 not in reply.options:
        need(edk2_file(reply), "BOOTP without a boot file")
        return "Bootp"
    if not reply.options.get(60, b"").startswith(b"PXEClient"):
        need(not proxy, "an offer without address and class: dropped, but it spoils the plain offers")
        return "DhcpOnly"
    inside = _pxe_options(reply)
    need(not set(range(1, 6)) <= set(inside), "multicast is not supported")
    return proxy + ("Pxe10" if set(inside) & set(range(6, 11)) else "Binl")


def edk2_file(reply: Answer) -> str:
    """67, else ``file``."""
    return reply.text(67) or reply.file


def _pxe_options(reply: Answer) -> dict[int, bytes]:
    inside = reply.options.get(43)
    return {} if inside is None else read_options(inside if inside.endswith(b"\xff") else inside + b"\xff")


def _edk2_loads(reply: Answer) -> Loads:
    need(edk2_file(reply), "PXE-E53: no file name")
    need(13 not in reply.options, "a boot file size makes it skip asking for the real one")
    return Loads(reply.siaddr or reply.address(54), edk2_file(reply))


def _edk2_direct(reply: Answer) -> Loads:
    inside = _pxe_options(reply)
    need(inside.get(6, b"\0")[0] & 8, "it shows a menu or asks for a boot server")
    return _edk2_loads(reply)


def edk2_pxe(offers: Sequence[bytes], ack: bytes | None, request: bytes, ask: Ask | None = None) -> Loads:
    """``PxeBcSelectDhcp4Offer``: which offer it takes, and what it loads then. ``ack`` answers the offer with an address."""
    replies = [edk2_valid(offer, request, lease=any(offer[16:20])) for offer in offers]
    kinds = {edk2_kind(reply): reply for reply in reversed(replies)}
    proxied = [kind for kind in kinds if kind.startswith("Proxy")]
    if "DhcpPxe10" in kinds or "Pxe10" in kinds:
        need(ack, "no ACK")
        return _edk2_direct(edk2_valid(ack or b"", request))
    need("DhcpOnly" in kinds or "Binl" in kinds, "PXE-E16: nobody gives an address")
    if "DhcpOnly" in kinds and "ProxyPxe10" in proxied:
        return _edk2_direct(kinds["ProxyPxe10"])
    if "Binl" in kinds or ("DhcpOnly" in kinds and "ProxyBinl" in proxied):
        asked = kinds.get("ProxyBinl") or kinds["Binl"]
        answer = ask(asked.siaddr or asked.address(54)) if ask is not None else None
        need(answer, "PXE-E16: the boot server on port 4011 does not answer")
        reply = read(answer or b"")
        need(edk2_kind(reply) == "ProxyPxe10" or edk2_file(reply), "the boot server names no file")
        return _edk2_direct(reply) if "Pxe10" in edk2_kind(reply) else _edk2_loads(reply)
    need(ack, "no ACK")
    reply = edk2_valid(ack or b"", request)
    need(reply.address(54) == kinds["DhcpOnly"].address(54), "the ACK is another server's")
    need(reply.yiaddr == kinds["DhcpOnly"].yiaddr, "the ACK has another address: DECLINE")
    need(_edk2_loads(reply) == _edk2_loads(kinds["DhcpOnly"]), "ACK and OFFER differ")
    return _edk2_loads(reply)


def edk2_http(offers: Sequence[bytes], ack: bytes | None, request: bytes) -> Loads:
    """UEFI HTTP boot: a URI in an offer of class HTTPClient, from whoever gives the address or from a proxy."""
    replies = [edk2_valid(offer, request, lease=any(offer[16:20])) for offer in offers]
    if ack is not None:
        edk2_valid(ack, request)
    for reply in replies:
        if reply.options.get(60, b"").startswith(b"HTTPClient"):
            url = urlsplit(edk2_file(reply))
            need(url.scheme in ("http", "https") and url.hostname, f"not a URL: {edk2_file(reply)!r}")
            literal = (url.hostname or "").replace(".", "").isdigit()
            need(literal or any(6 in other.options for other in replies), "a name, and no name server")
            return Loads(0, edk2_file(reply))
    raise RefusedError("no offer of class HTTPClient")


# -- boot loaders that read what the firmware left them, or ask themselves ----------------------------------------------------------


def ipxe(offers: Sequence[bytes], ack: bytes, request: bytes, ask: Ask | None = None) -> Loads:
    """The proxy's offer if it is complete, else the lease; ``file`` before 67. No waiting for a proxy that will not come."""
    lease = read(ack)
    answers(lease, request)
    need(lease.yiaddr, "no address")
    proxied = [reply for reply in map(read, offers) if reply.options.get(60, b"").startswith(b"PXEClient")]
    if proxied and not _ipxe_no_proxy(lease):
        proxy = proxied[-1]
        if not (proxy.siaddr and proxy.file) and 9 not in _pxe_options(proxy):
            answer = ask(proxy.address(54) or proxy.siaddr) if ask is not None else None
            need(answer, "the boot server on port 4011 does not answer: two seconds lost")
            proxy = read(answer or b"")
        return _ipxe_loads(proxy)
    need(_ipxe_no_proxy(lease), "it waits two seconds for a proxy")
    need(60 not in lease.options, "class PXEClient without need")
    return _ipxe_loads(lease)


def _ipxe_no_proxy(reply: Answer) -> bool:
    inside = reply.options.get(175, b"")
    return read_options(inside + b"\xff").get(0xB0) == b"\1" if inside else False


def _ipxe_loads(reply: Answer) -> Loads:
    need(52 not in reply.options, "it knows no overload and would take options for a name")
    name = reply.file or reply.text(67)
    need(name, "nothing to boot")
    if "://" in name:
        return Loads(0, name)
    need(reply.siaddr, "no next server")
    return Loads(reply.siaddr, name)


def shim(ack: bytes, proxy: bytes | None = None) -> Loads:
    """``parseDhcp4``: ``siaddr`` and ``file`` of the header, of the ACK if it has a name, else of the proxy's answer."""
    for payload in (ack, proxy):
        if payload is not None and (reply := read(payload)).file:
            need(reply.siaddr, "no server")
            return Loads(reply.siaddr, reply.file)
    raise RefusedError("no name in the header")


def grub(ack: bytes) -> Loads:
    """``siaddr``, else 66, else ``sname``; 67, else ``file``: where its modules and configuration are."""
    reply = read(ack)
    server = reply.siaddr or _dotted(reply.text(66)) or _dotted(reply.sname)
    need(server, "no server")
    need(reply.text(67) or reply.file, "no prefix")
    need(reply.text(60) != "HTTPClient", "it would take the network for an HTTP boot")
    return Loads(server, reply.text(67) or reply.file)


def pxelinux(ack: bytes) -> Loads:
    """``siaddr``, else 54; ``file``, else 67. It has no use for more than one router but takes none of several."""
    reply = read(ack)
    need(len(reply.options.get(3, b"1234")) == 4, "several routers: it takes none")
    name = reply.file or reply.text(67)
    need(name, "no prefix")
    return Loads(reply.siaddr or reply.address(54), name)


def u_boot(ack: bytes) -> Loads:
    """``siaddr`` alone; 67, overwritten by ``file``."""
    reply = read(ack)
    need(reply.siaddr, "no server")
    need(reply.file or reply.text(67), "no file")
    return Loads(reply.siaddr, reply.file or reply.text(67))


def raspberry(offer: bytes, request: bytes) -> Loads:
    """The boot ROM decides by the OFFER alone: its text in option 43, the class, its machine id back."""
    reply = read(offer)
    answers(reply, request)
    need(b"Raspberry Pi Boot" in reply.options.get(43, b""), "not its text in option 43")
    need(reply.text(60) == "PXEClient", "no class")
    need(reply.options.get(97) == read_options(request[240:]).get(97), "its machine id does not come back")
    need(reply.siaddr, "no server")
    return Loads(reply.siaddr, "bootcode.bin")


def system(offer: bytes, ack: bytes, request: bytes) -> int:
    """An operating system or installer: any DHCP client by the book. Its address."""
    one, two = read(offer), read(ack)
    for reply in (one, two):
        answers(reply, request)
        need({1, 51, 53, 54} <= set(reply.options), "mask, lease time, type or server identifier is missing")
    need(one.yiaddr and one.yiaddr == two.yiaddr, "OFFER and ACK differ")
    need(not (reply.file or reply.text(67)), "an operating system boots nothing")
    return two.yiaddr


def _dotted(text: str) -> int:
    parts = text.split(".")
    if len(parts) != 4 or not all(part.isdigit() for part in parts):
        return 0
    return int.from_bytes(bytes(int(part) for part in parts), "big")

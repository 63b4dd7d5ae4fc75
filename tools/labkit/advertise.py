"""Router advertisements for the lab's wire: they say that there is no router and nothing to configure (RFC 4861 §4.2).

iPXE settles IPv4 and IPv6 side by side and fetches nothing before both are done: without any advertisement it repeats its
question for 13 seconds after it has its IPv4 lease. Runs as a process inside the wire's namespace.
"""

from __future__ import annotations

import socket
import struct
import sys

ROUTER_SOLICITATION = 133
ROUTER_ADVERTISEMENT = 134
ALL_NODES = "ff02::1"
ALL_ROUTERS = "ff02::2"
_ICMP6_FILTER = 1  # ICMPV6_FILTER of linux/icmpv6.h
_EVERY_S = 2.0


def advertisement(mac: bytes) -> bytes:
    """The message without its checksum, which the kernel fills in (RFC 3542 §3.1): hop limit 64, no flags, router lifetime 0."""
    source_link_layer = struct.pack("!BB6s", 1, 1, mac)
    return struct.pack("!BBHBBHII", ROUTER_ADVERTISEMENT, 0, 0, 64, 0, 0, 0, 0) + source_link_layer


def _only_solicitations() -> bytes:
    """A filter that blocks every ICMPv6 type but one: a set bit means blocked."""
    words = [0xFFFFFFFF] * 8
    words[ROUTER_SOLICITATION // 32] &= ~(1 << ROUTER_SOLICITATION % 32)
    return struct.pack("=8I", *words)


def serve(interface: str) -> None:
    """Answer every router solicitation on ``interface``, and advertise unasked every two seconds. Never returns."""
    index = socket.if_nametoindex(interface)
    with open(f"/sys/class/net/{interface}/address") as text:
        message = advertisement(bytes.fromhex(text.read().strip().replace(":", "")))
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sock:
        sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, _only_solicitations())
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        join = socket.inet_pton(socket.AF_INET6, ALL_ROUTERS) + struct.pack("=I", index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, join)
        sock.settimeout(_EVERY_S)
        while True:
            try:
                sock.sendto(message, (ALL_NODES, 0, 0, index))
            except OSError:
                pass  # "unreachable" until the first machine is plugged in: the bridge has no carrier
            try:
                sock.recv(1500)
            except TimeoutError:
                pass


if __name__ == "__main__":
    serve(sys.argv[1])

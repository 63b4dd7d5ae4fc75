"""Run on the client host: sends two DISCOVERs, without and with the broadcast flag, and prints the frame that each OFFER came in.

One line each: destination hardware address, destination address, destination port, and whether both checksums are right.
Usage: sniff_offer.py INTERFACE MAC
"""

from __future__ import annotations

import select
import socket
import sys
import time

ETH_P_ALL = 3


def discover(mac: bytes, xid: int, flags: int) -> bytes:
    head = bytes((1, 1, 6, 0)) + xid.to_bytes(4, "big") + b"\0\0" + flags.to_bytes(2, "big") + bytes(16)
    return (head + mac.ljust(16, b"\0") + bytes(192) + bytes.fromhex("63825363 350101 ff")).ljust(300, b"\0")


def checksum(data: bytes) -> int:
    total = sum(int.from_bytes(data[i : i + 2].ljust(2, b"\0"), "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def offer_frame(sniffer: socket.socket, xid: int) -> bytes:
    deadline = time.monotonic() + 10
    while (left := deadline - time.monotonic()) > 0:
        if select.select([sniffer], [], [], left)[0]:
            frame = sniffer.recv(4096)
            udp = frame[34:]
            if (
                frame[12:14] == b"\x08\0"
                and udp[:2] == (67).to_bytes(2, "big")
                and udp[12:16] == xid.to_bytes(4, "big")
            ):
                return frame
    raise SystemExit("no OFFER came")


def main(interface: str, mac_text: str) -> None:
    mac = bytes.fromhex(mac_text.replace(":", ""))
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sniffer.bind((interface, ETH_P_ALL))
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    sender.bind(("0.0.0.0", 68))
    for xid, flags in ((0x1001, 0), (0x1002, 0x8000)):
        sender.sendto(discover(mac, xid, flags), ("255.255.255.255", 67))
        frame = offer_frame(sniffer, xid)
        packet = frame[14 : 14 + int.from_bytes(frame[16:18], "big")]
        pseudo = packet[12:20] + bytes((0, 17)) + (len(packet) - 20).to_bytes(2, "big")
        right = checksum(packet[:20]) == 0 and (flags or checksum(pseudo + packet[20:]) == 0)
        port = int.from_bytes(packet[22:24], "big")
        print(frame[:6].hex(":"), socket.inet_ntoa(packet[16:20]), port, "ok" if right else "wrong checksum")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

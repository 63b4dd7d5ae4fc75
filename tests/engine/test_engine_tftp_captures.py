"""Every TFTP request of the real boots is answered with what that firmware accepts, and its file gets there whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from tftp_harness import EVERYONE, Client, Network, Personality, Weather, content, pattern

from pxenet.capture import frames, pcap
from pxenet.net.datagram import pack_peer
from pxenet.wire.tftp import Request, parse

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcap"))


def requests(path: Path) -> list[Request]:
    """Those in a capture that were sent to port 69, in order."""
    packets = (frames.parse(frame) for _, frame in pcap.read(path))
    parsed = [parse(packet.payload) for packet in packets if packet is not None and packet.destination_port == 69]
    return [packet for packet in parsed if isinstance(packet, Request)]


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_captured_requests(path: Path) -> None:
    """With the very options that were asked for; the client checks the OACK as strictly as the strictest of them does."""
    for number, request in enumerate(requests(path)):
        data = pattern(20_000 + number, number)
        network = Network({request.filename: content(data)}, Weather(loss=0.02), number)
        client = Client(Personality("captured", request.options), request.filename, pack_peer(0x0A000005, 2070))
        network.add(client)
        network.run()
        assert data == client.data
        asked = dict(request.options)
        assert client.blksize == int(asked.get("blksize", "512"))
        assert client.windowsize == int(asked.get("windowsize", "1"))
        assert client.tsize == (len(data) if "tsize" in asked else None)


def test_the_models_ask_as_the_captured_clients_do() -> None:
    """The harness's iPXE, GRUB, pxelinux and EDK2 send the options, in the order, of real ones."""
    captured = {request.options for path in CAPTURES for request in requests(path)}
    modelled = {p.options for p in EVERYONE if p.name in ("iPXE", "GRUB", "pxelinux", "EDK2")}
    assert modelled <= captured

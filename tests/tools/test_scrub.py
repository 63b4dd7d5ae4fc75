"""A capture that is given away: nobody is named in it in any form, and everything else is as it was."""

from __future__ import annotations

import ipaddress
import json
import random
import re
import struct
import subprocess
import uuid
from pathlib import Path

import pytest
import tshark
from hypothesis import given, settings
from hypothesis import strategies as st
from scrubkit.book import Book
from scrubkit.cli import main
from scrubkit.packets import Packets
from scrubkit.streams import Streams

from pxenet.capture.boots import HttpRequest, Transfer
from pxenet.capture.dissect import read
from pxenet.capture.frames import COOKED, COOKED_2, ETHERNET, LINK_TYPES
from pxenet.capture.kept import CaptureFiles
from pxenet.capture.made import Conversation, End, udp_frame
from pxenet.capture.reading import open_capture
from pxenet.capture.text import capture_text
from pxenet.wire.dhcp import Message, serialize
from pxenet.wire.iana import BOOTREPLY, BOOTREQUEST, OptionCode
from pxenet.wire.options import Options

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = sorted((ROOT / "captures").glob("*.pcap"))

MAC, SERVER_MAC = bytes.fromhex("3cecef1122ab"), bytes.fromhex("3cecef0a0b0c")
ADDRESS, SERVER = "203.0.113.57", "192.168.47.9"
UUID = uuid.UUID("4c4c4544-0051-3910-8043-b7c04f4d3432")
SERIAL, PASSWORD, TOKEN = "9QC7M42", "Tr0ub4dor&3", "6f1e2d3c4b5a69788796a5b4c3d2e1f0"
HOST, DOMAIN = "web-kiel-07", "acme-werke.example"
SITE = "Halle-Drei"
"""Nobody could know this one to be a secret: it is said to be."""


def forms() -> dict[str, bytes]:
    """Every secret, as it could be left."""
    found: dict[str, bytes] = {}
    for name, mac in (("client", MAC), ("server", SERVER_MAC)):
        found |= {f"{name} mac": mac, f"{name} mac digits": mac.hex().encode()}
        found |= {f"{name} mac {by}": mac.hex(by).encode() for by in ":-"}
    for address in (ADDRESS, SERVER):
        packed = ipaddress.IPv4Address(address).packed
        found |= {address: address.encode(), f"{address} packed": packed, f"{address} digits": packed.hex().encode()}
        found |= {f"{address} half": packed.hex()[:6].encode()}
    orders = {"wire": UUID, "swapped": uuid.UUID(bytes=UUID.bytes_le)}
    for order, one in orders.items():
        found |= {
            f"uuid {order}": one.bytes,
            f"uuid {order} text": str(one).encode(),
            f"uuid {order} digits": one.hex.encode(),
        }
    words = {"serial": SERIAL, "password": PASSWORD, "token": TOKEN, "host": HOST, "domain": "acme-werke", "site": SITE}
    found |= {name: word.encode() for name, word in words.items()}
    return found | {f"{name} utf-16": word.encode("utf-16-le") for name, word in words.items()}


def left(data: bytes) -> list[str]:
    """Which of them are in there, whatever their case."""
    return [name for name, form in forms().items() if form.lower() in data.lower()]


def message(op: int, options: dict[int, object], **fields: object) -> bytes:
    values = {"chaddr": MAC.ljust(16, b"\0"), "xid": 7, "options": Options.build(options)} | fields
    return serialize(Message(op, 1, 6, **values))  # type: ignore[arg-type]


def secretive(path: Path) -> None:
    """One boot that names them all, everywhere."""
    address, server = (int(ipaddress.IPv4Address(one)) for one in (ADDRESS, SERVER))
    client, us = End(address, 2070, MAC), End(server, 69, SERVER_MAC)
    asks = message(
        BOOTREQUEST,
        {
            OptionCode.MESSAGE_TYPE: 1, OptionCode.HOST_NAME: HOST, OptionCode.CLIENT_ID: b"\1" + MAC,
            OptionCode.MACHINE_ID: b"\0" + UUID.bytes_le, OptionCode.VENDOR_CLASS: "PXEClient:Arch:00007:UNDI:003016",
            OptionCode.REQUESTED_ADDRESS: address, 81: b"\0\0\0" + f"{HOST}.{DOMAIN}".encode(),
            OptionCode.RELAY_AGENT: b"\1\x0a" + SITE.encode() + b"\2\6" + SERVER_MAC + b"\5\4" + server.to_bytes(4, "big"),
        },
    )  # fmt: skip
    answer = message(
        BOOTREPLY,
        {
            OptionCode.MESSAGE_TYPE: 5, OptionCode.SERVER_ID: server, OptionCode.DOMAIN_NAME: DOMAIN,
            OptionCode.ROUTERS: (server,), OptionCode.BOOT_FILE: f"http://{SERVER}/{TOKEN}/{MAC.hex('-')}.efi",
            OptionCode.TFTP_SERVER: f"boot.{DOMAIN}", OptionCode.ROOT_PATH: f"nfs:{SERVER}:/srv/{SERIAL}",
            43: b"\x08\7\0\0\1" + server.to_bytes(4, "big") + b"\xff",
            128: f"uuid={UUID}".encode(), 224: UUID.bytes + MAC + server.to_bytes(4, "big"),
        },
        yiaddr=address, siaddr=server, sname=f"boot.{DOMAIN}".encode(), file=f"{UUID.hex}/{HOST}".encode(),
    )  # fmt: skip
    config = f"linux vmlinuz ip={ADDRESS} hostname={HOST} inst.ks=http://{SERVER}/{TOKEN}/ks.cfg\nrootpw {PASSWORD}\n".encode()
    names = [
        f"grub.cfg-01-{MAC.hex('-')}",
        f"pxelinux.cfg/{address:08X}",
        f"pxelinux.cfg/{address:08X}"[:-2],
        f"{UUID}",
        f"{MAC.hex()}.cfg",
    ]
    with CaptureFiles(path) as files:
        frames = [udp_frame(0, End(0, 68, MAC), End(0xFFFFFFFF, 67, b"\xff" * 6), asks)]
        frames.append(udp_frame(1, End(server, 67, SERVER_MAC), End(address, 68, MAC), answer))
        for name in names:
            frames.append(udp_frame(2, client, us, f"\0\1{name}\0octet\0".encode()))
            frames.append(udp_frame(3, us, client, b"\0\5\0\1" + f"{name}: not for {ADDRESS}\0".encode()))
        frames.append(udp_frame(4, client, us, b"\0\1grub.cfg\0octet\0"))
        frames.append(udp_frame(5, End(server, 4001, SERVER_MAC), client, b"\0\3\0\1" + config))
        frames.append(
            udp_frame(5, End(server, 514, SERVER_MAC), End(address, 514, MAC), f"<13>{HOST}: {PASSWORD}".encode())
        )
        web = Conversation(End(address, 40000, MAC), End(server, 80, SERVER_MAC))
        frames += web.opened(6)
        head = (
            f"GET /{TOKEN}/ks.cfg?serial={SERIAL}&mac={MAC.hex(':')}&uuid={UUID} HTTP/1.1\r\nHost: boot.{DOMAIN}\r\n"
            f"X-System-Serial-Number: {SERIAL}\r\nAuthorization: Basic {PASSWORD}\r\nReferer: http://{SERVER}/\r\n\r\n"
        ).encode()
        frames += [*web.heard(7, head[:40]), *web.heard(7, head[40:])]
        body = f"network --hostname={HOST}.{DOMAIN}\nrootpw {PASSWORD}\n".encode()
        frames += web.said(8, f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n".encode())
        frames += [*web.said(9, body[:9]), *web.said(9, body[9:]), *web.said(9, b"\r\n0\r\n\r\n"), *web.closed(10)]
        for frame in frames:
            files.write(frame)


def scrubbed(source: Path, target: Path, *more: str) -> dict[str, dict[str, str]]:
    """The tool's work; its map."""
    where = target.with_suffix(".json")
    assert 0 == main([str(source), str(target), "--key", "a key", "--map", str(where), *more])
    found: dict[str, dict[str, str]] = json.loads(where.read_text())
    return found


def told(path: Path, pairs: dict[str, dict[str, str]]) -> str:
    """What it decodes to, with everything replaced as the map says: by a search of its own."""
    words: dict[str, str] = {}
    for kind, found in pairs.items():
        for one, other in found.items():
            words[one] = other
            if kind == "hardware":
                words |= {one.replace(":", by): other.replace(":", by) for by in ("-", "")}
    text = capture_text(read(path))
    pattern = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    text = re.sub(rf"(?<![0-9a-zA-Z])(?:{pattern})(?![0-9a-zA-Z])", lambda found: words[found[0]], text)
    hexes = {_hex(one): _hex(other) for one, other in pairs["ipv4"].items()}

    def by_address(found: re.Match[str]) -> str:
        like = [other for one, other in sorted(hexes.items()) if one.startswith(found[1])]
        return f"pxelinux.cfg/{like[0][: len(found[1])]}" if like else found[0]

    text = re.sub(r"pxelinux\.cfg/([0-9A-F]{1,8})(?![0-9a-zA-Z])", by_address, text)
    return re.sub(r"Cookie: .*", "Cookie: …", text)


def _hex(address: str) -> str:
    return ipaddress.IPv4Address(address).packed.hex().upper()


def test_nothing_is_left(tmp_path: Path) -> None:
    """None of the secrets in any form; before, all of those that a packet can carry were there."""
    source, target = tmp_path / "one.pcap", tmp_path / "two.pcap"
    secretive(source)
    there = set(left(source.read_bytes()))
    assert {name for name in forms() if "utf-16" not in name} - there == {
        "server mac digits",
        "server mac :",
        "server mac -",
        f"{SERVER} digits",
        f"{SERVER} half",
        "uuid swapped text",
        "uuid swapped digits",
    }
    pairs = scrubbed(source, target, "--secret", SITE)
    assert [] == left(target.read_bytes())
    assert {SITE, ADDRESS, MAC.hex(":"), HOST} <= {one for found in pairs.values() for one in found}


def test_what_was_secretive_still_boots_the_same(tmp_path: Path) -> None:
    """The same steps: requests, sizes, answers; the same texts but for the names."""
    source, target = tmp_path / "one.pcap", tmp_path / "two.pcap"
    secretive(source)
    scrubbed(source, target)
    ours, theirs = read(source), read(target)
    assert (ours.counts, ours.damage) == (theirs.counts, theirs.damage)
    assert [type(step) for step in ours.boots[0].steps] == [type(step) for step in theirs.boots[0].steps]
    before, after = ([step for step in one.boots[0].steps if isinstance(step, HttpRequest)] for one in (ours, theirs))
    assert [(one.sent_bytes, len(one.head), one.response) for one in before] == [
        (one.sent_bytes, len(one.head), one.response) for one in after
    ]
    assert b"xxxxxxx --xxxxxxxx=xxx-xxxx-00.xxxx-xxxxx.xxxxxxx\nxxxxxx Xx0xx0xxx&0\n" == after[0].content
    loaded = [step.content for step in theirs.boots[0].steps if isinstance(step, Transfer) and step.content]
    assert loaded[0] is not None
    assert loaded[0].startswith(b"xxxxx xxxxxxx xx=000.0.000.00 xxxxxxxx=")


@pytest.mark.parametrize("path", CAPTURES, ids=[path.stem for path in CAPTURES])
def test_the_dissection_is_equal(path: Path, tmp_path: Path) -> None:
    """Every recorded boot decodes to the same text, but for what the map names; no name of before is left."""
    target = tmp_path / "two.pcap"
    pairs = scrubbed(path, target)
    assert told(path, pairs) == told(target, {kind: {} for kind in pairs} | {"hardware": {"-": "-"}})
    data = target.read_bytes()
    assert [] == [one for one in pairs["hardware"] if bytes.fromhex(one.replace(":", "")) in data]
    assert [] == [
        one for one in pairs["ipv4"] if re.search(rb"(?<![0-9.])" + re.escape(one).encode() + rb"(?![0-9])", data)
    ]


@tshark.installed
@pytest.mark.parametrize("path", CAPTURES, ids=[path.stem for path in CAPTURES])
def test_checksums_are_right(path: Path, tmp_path: Path) -> None:
    """Where they were."""
    target = tmp_path / "two.pcap"
    scrubbed(path, target)
    assert wrong_checksums(path) == wrong_checksums(target) == []


def wrong_checksums(path: Path) -> list[str]:
    checks = [word for kind in ("ip", "udp", "tcp") for word in ("-o", f"{kind}.check_checksum:TRUE")]
    bad = " || ".join(f"{kind}.checksum.status == 0" for kind in ("ip", "udp", "tcp", "icmpv6"))
    done = subprocess.run(
        ["tshark", "-n", "-r", str(path), *checks, "-Y", bad], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_a_key_decides(tmp_path: Path) -> None:
    """The same key makes the same file, another one another, and none a different one each time."""
    made = []
    for number, words in enumerate((["--key", "a"], ["--key", "a"], ["--key", "b"], [], [])):
        target = tmp_path / f"{number}.pcap"
        assert 0 == main([str(CAPTURES[0]), str(target), *words])
        made.append(target.read_bytes())
    assert made[0] == made[1]
    assert 4 == len(set(made))


def test_cut_packets_keep_their_sums(tmp_path: Path) -> None:
    """Of a packet that was not recorded whole the checksum fits what was on the wire: only the difference is made."""
    source, target, whole = tmp_path / "one.pcap", tmp_path / "two.pcap", tmp_path / "whole.pcap"
    raw = CAPTURES[0].read_bytes()
    made = raw[:24]
    with open_capture(CAPTURES[0]) as reader:
        for at_ns, _, _, buffer, start, end, wire in reader:
            part = bytes(buffer[start : min(end, start + 80)])
            made += struct.pack("<IIII", at_ns // 10**9, at_ns % 10**9 // 1000, len(part), wire) + part
    source.write_bytes(made)
    scrubbed(source, target)
    scrubbed(CAPTURES[0], whole)
    assert read(source).counts == read(target).counts
    with open_capture(target) as ours, open_capture(whole) as theirs:
        for one, other in zip(ours, theirs, strict=True):
            assert one[6] == other[6]
            assert (
                one[3][one[4] + 24 : one[4] + 34] == other[3][other[4] + 24 : other[4] + 34]
            )  # IP's checksum, addresses


def test_pcapng_keeps_nothing_but_packets(tmp_path: Path) -> None:
    """Interfaces and their times stay, their names and comments do not; several of them need pcapng."""
    packets = [(0, 5, b"\xff" * 6 + MAC + b"\x08\6" + bytes(28), 42), (1, 9, MAC * 5, 30)]
    said = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    for link, name in ((ETHERNET, HOST), (101, DOMAIN)):
        options = struct.pack("<HH", 2, len(name)) + name.encode() + bytes(-len(name) % 4)
        said += block(1, struct.pack("<HHI", link, 0, 0) + options + struct.pack("<HHB3xHH", 9, 1, 9, 0, 0))
    said += block(0x0BAD, PASSWORD.encode())
    for interface, at_ns, data, wire in packets:
        said += block(6, struct.pack("<IIIII", interface, 0, at_ns, len(data), wire) + data)
    source, target = tmp_path / "one.pcapng", tmp_path / "two.pcapng"
    source.write_bytes(said)
    assert 2 == main([str(source), str(tmp_path / "two.pcap")])
    assert 0 == main([str(source), str(target)])
    assert [] == left(target.read_bytes())
    with open_capture(target) as reader:
        found = [(one[1], one[0], one[5] - one[4], one[6]) for one in reader]
        assert [(at, ns, len(data), wire) for at, ns, data, wire in packets] == found
        assert [(ETHERNET, ""), (101, "")] == [(one.link, one.name) for one in reader.interfaces]


def block(kind: int, body: bytes) -> bytes:
    """One of pcapng."""
    body += bytes(-len(body) % 4)
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def test_it_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No capture, no file, the capture itself, and where a broken one ends."""
    nothing, whole = tmp_path / "nothing", tmp_path / "whole.pcap"
    nothing.write_bytes(b"no capture, whatever it is called")
    whole.write_bytes(CAPTURES[0].read_bytes()[:-3])
    out = str(tmp_path / "out.pcap")
    assert [2, 2, 2] == [
        main([str(one), to]) for one, to in ((nothing, out), (tmp_path / "x", out), (whole, str(whole)))
    ]
    said = capsys.readouterr().err
    assert "not a pcap or pcapng file" in said
    assert "No such file" in said
    assert "name another file" in said
    assert 0 == main([str(whole), out])
    assert "the file ends inside a packet" in capsys.readouterr().err


@pytest.mark.parametrize("link", [COOKED, COOKED_2, 101])
def test_other_links(link: int) -> None:
    """The same datagram behind other heads comes to the same."""
    frame = udp_frame(0, End(0xCB007139, 2070, MAC), End(0xC0A82F09, 69, SERVER_MAC), b"\0\1a\0octet\0").data
    heads = {
        COOKED: b"\0\0\0\1\0\6" + MAC + b"\0\0\x08\0", COOKED_2: b"\x08\0\0\0\0\0\0\1\0\1\0\6" + MAC + b"\0\0", 101: b""
    }  # fmt: skip
    tagged = frame[:12] + b"\x88\xa8\0\5\x81\0\0\6" + frame[12:]
    made = [scrub_frames([one], kind)[0] for one, kind in (
        (frame, ETHERNET), (tagged, ETHERNET), (heads[link] + frame[14:], link)
    )]  # fmt: skip
    assert made[0][14:] == made[1][22:] == made[2][len(heads[link]) :]
    assert MAC not in made[2]
    assert len(made[2]) == len(heads[link]) + len(frame) - 14


def scrub_frames(frames: list[bytes], link: int) -> list[bytes]:
    book = Book(b"key")
    streams = Streams(book)
    packets = Packets(book, streams)
    for number, raw in enumerate(frames, 1):
        packets.frame(raw, link, len(raw), number, number)
    streams.settle()
    book.settle()
    streams.rewrite()
    return [packets.frame(raw, link, len(raw), number, number) for number, raw in enumerate(frames, 1)]


@given(st.lists(st.binary(max_size=120), max_size=4), st.sampled_from(sorted(LINK_TYPES)))
@settings(max_examples=150, deadline=None)
def test_any_bytes(frames: list[bytes], link: int) -> None:
    """Nothing is raised, and every length stays."""
    assert [len(one) for one in frames] == [len(one) for one in scrub_frames(frames, link)]


@pytest.mark.parametrize("path", CAPTURES, ids=[path.stem for path in CAPTURES])
def test_damaged_packets(path: Path) -> None:
    """Real packets with bytes changed or cut off: likewise."""
    chance = random.Random(path.stem)
    frames = []
    with open_capture(path) as reader:
        for _, _, _, buffer, start, end, _ in reader:
            data = bytearray(buffer[start:end])
            for _ in range(chance.randrange(4)):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            frames.append(bytes(data[: chance.randrange(len(data) + 1)] if chance.random() < 0.2 else data))
    assert [len(one) for one in frames] == [len(one) for one in scrub_frames(frames, ETHERNET)]

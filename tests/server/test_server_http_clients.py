"""Boot firmware's requests, captured or taken from its sources, and real programs: each gets what it is known to need."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import dpkt
import needs
import pytest
import trio
from httplab import BIG, FakeSite, make_site, read_all, serving

CAPTURES = Path(__file__).parents[2] / "captures"


@pytest.fixture
def site(tmp_path: Path) -> FakeSite:
    return make_site(tmp_path)


def check_reply(request: bytes, reply: bytes, data: bytes | None) -> None:
    """What every boot client needs of a reply to ``request`` for a file with ``data`` (None: that is not there).

    Sources: GRUB net/http.c, iPXE net/tcp/httpcore.c, PXELINUX core/fs/pxe/http.c, edk2 HttpBootDxe, shim httpboot.c, librepo.
    """
    head, blank, body = reply.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert blank
    assert lines[0] == (b"HTTP/1.1 404 Not Found" if data is None else b"HTTP/1.1 200 OK")
    assert b"\n" not in head.replace(b"\r\n", b"")
    for line in lines[1:]:
        assert re.fullmatch(rb"[A-Z][A-Za-z-]+: [^ ].*", line), line
    lengths = [line for line in lines if line.startswith(b"Content-Length: ")]
    assert len(lengths) == 1
    assert b"Content-Length" not in lines[-1]  # PXELINUX loses the last field
    assert b"Transfer-Encoding" not in head
    assert b"Location" not in head
    length = int(lengths[0].partition(b": ")[2])
    if data is not None:
        assert length == len(data)
        assert re.search(rb'\r\nETag: "[^"]+"\r\n', head)
        assert b"\r\nLast-Modified: " in head
        assert b"charset" not in head
    if request.startswith(b"HEAD"):
        assert body == b""
    else:
        assert len(body) == length
        assert data is None or body == data


def captured() -> list[tuple[str, list[bytes]]]:
    """Every connection with HTTP requests in the captures: (capture and client port, heads in order)."""
    found: dict[str, list[bytes]] = {}
    for path in sorted(CAPTURES.glob("*.pcap")):
        with path.open("rb") as file:
            for _, frame in dpkt.pcap.Reader(file):
                packet = dpkt.ethernet.Ethernet(frame).data
                segment = getattr(packet, "data", None)
                if isinstance(segment, dpkt.tcp.TCP) and re.match(rb"(GET|HEAD) .*\r\n\r\n\Z", segment.data, re.DOTALL):
                    found.setdefault(f"{path.stem}-{segment.sport}", []).append(bytes(segment.data))
    return list(found.items())


CAPTURED = captured()


def test_there_are_captured_requests() -> None:
    """The captures with HTTP in them are there: edk2's, lpxelinux', the Debian installer's, busybox'."""
    names = " ".join(name for name, _ in CAPTURED)
    assert all(name in names for name in ("uefi-http-ipxe", "di-preseed", "uefi-pxe-grub"))


@pytest.mark.parametrize("heads", [heads for _, heads in CAPTURED], ids=[name for name, _ in CAPTURED])
async def test_captured_requests(site: FakeSite, tmp_path: Path, heads: list[bytes]) -> None:
    """Each connection of the captures, replayed: right for the client that sent it, for files there and not there."""
    path = heads[0].split(b" ")[1].decode().lstrip("/")
    for data in (b"x" * 70000, None):
        if data is not None:
            (tmp_path / path).write_bytes(data)
        else:
            (tmp_path / path).unlink()
        async with serving(site) as http, await http.connect() as stream:
            for head in heads:
                await stream.send_all(head)
                reply = await receive_one(stream, head)
                check_reply(head, reply, data)
            if b"HTTP/1.0" in heads[-1] or b"onnection: close" in heads[-1]:
                assert await read_all(stream) == b""


async def receive_one(stream: trio.SocketStream, request: bytes) -> bytes:
    """One reply, ended by its own length."""
    data = bytearray()
    while True:
        head, blank, body = bytes(data).partition(b"\r\n\r\n")
        if blank:
            length = int(re.findall(rb"\r\nContent-Length: (\d+)\r\n", head + b"\r\n")[0])
            if request.startswith(b"HEAD") or len(body) >= length:
                return bytes(data)
        piece = await stream.receive_some(1 << 20)
        assert piece, "the connection ended early"
        data += piece


FIRMWARE = {
    "GRUB": b"GET /x64/shimx64.efi HTTP/1.1\r\nHost: 10.0.0.1\r\nUser-Agent: GRUB 2.06\r\n\r\n",
    "GRUB, port not in Host, raw space": b"GET /a b.txt HTTP/1.1\r\nHost: 10.0.0.1\r\nUser-Agent: GRUB 2.12\r\n\r\n",
    "iPXE": b"GET /x64/shimx64.efi HTTP/1.1\r\nConnection: keep-alive\r\nUser-Agent: iPXE/1.21.1\r\nHost: 10.0.0.1:8080\r\n\r\n",
    "iPXE SAN": b"HEAD /big HTTP/1.1\r\nConnection: keep-alive\r\nUser-Agent: iPXE/1.21.1\r\nHost: 10.0.0.1\r\n\r\n",
    "U-Boot": b"GET /a%20b.txt HTTP/1.0\r\n\r\n",
    "shim probes": b"GET /revocations_sku.efi HTTP/1.1\r\nHost: 10.0.0.1\r\nUser-Agent: UefiHttpBoot/1.0\r\nAccept: */*\r\n\r\n",
    "lpxelinux searches": b"GET /pxelinux.cfg/01-52-54-00-77-00-01 HTTP/1.0\r\nHost: 10.0.0.1:80\r\n"
    b"User-Agent: Syslinux/6.04\r\nConnection: close\r\nCookie: _Syslinux_BOOTIF=01-52-54-00-77-00-01;\r\n\r\n",
    "anaconda probes": b"GET /repo/.treeinfo HTTP/1.1\r\nHost: 10.0.0.1\r\nUser-Agent: Fedora (anaconda)/36\r\n"
    b"Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n",
}


@pytest.mark.parametrize("head", FIRMWARE.values(), ids=FIRMWARE.keys())
async def test_firmware_requests(site: FakeSite, tmp_path: Path, head: bytes) -> None:
    """Requests as the sources of these clients write them."""
    path = tmp_path / head.split(b" HTTP/")[0].split(b" ", 1)[1].decode().lstrip("/").replace("%20", " ")
    async with serving(site) as http, await http.connect() as stream:
        await stream.send_all(head)
        check_reply(head, await receive_one(stream, head), path.read_bytes() if path.is_file() else None)


async def test_grub_seeks(site: FakeSite) -> None:
    """GRUB seeks by a new connection with an open range, and takes 206 for it; it ends the old one with data under way."""
    request = b"GET /big HTTP/1.1\r\nHost: h\r\nUser-Agent: GRUB 2.06\r\nRange: bytes=12000000-\r\n\r\n"
    async with serving(site) as http, await http.connect() as stream:
        await stream.send_all(request)
        head, _, body = (await receive_one(stream, request)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 206 Partial Content\r\n")
    assert b"\r\nContent-Range: bytes 12000000-%d/%d\r\n" % (len(BIG) - 1, len(BIG)) in head
    assert body == BIG[12000000:]


async def test_edk2_resumes(site: FakeSite) -> None:
    """After an interruption edk2 asks for the rest with If-Match, and wants 206 with the same total."""
    async with serving(site) as http, await http.connect() as stream:
        probe = b"HEAD /big HTTP/1.1\r\nHost: h\r\nUser-Agent: UefiHttpBoot/1.0\r\n\r\n"
        await stream.send_all(probe)
        tag = re.findall(rb"ETag: (.*?)\r\n", await receive_one(stream, probe))[0]
        resume = b"GET /big HTTP/1.1\r\nHost: h\r\nRange: bytes=12582900-12582911\r\nIf-Match: %s\r\n\r\n" % tag
        await stream.send_all(resume)
        reply = await receive_one(stream, resume)
        assert reply.startswith(b"HTTP/1.1 206 ")
        assert reply.endswith(BIG[-12:])
        resume = resume.replace(tag, b'"another"')
        await stream.send_all(resume)
        assert (await receive_one(stream, resume)).startswith(b"HTTP/1.1 412 ")


async def run(*command: str, stdin: bytes = b"", check: bool = True) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which(command[0])
    assert program is not None
    return await trio.run_process(
        [program, *command[1:]], stdin=stdin, capture_stdout=True, capture_stderr=True, check=check
    )


CURL = ("curl", "--silent", "--show-error", "--fail", "--max-time", "20", "--noproxy", "*")


@needs.tool("curl")
async def test_curl(site: FakeSite, tmp_path: Path) -> None:
    """Download, headers, one range, resumption, HTTP/1.0, conditional download, keep-alive, form, chunked and large bodies."""
    async with serving(site) as http:
        url = f"http://127.0.0.1:{http.port}"
        assert (await run(*CURL, f"{url}/big")).stdout == BIG
        assert f"Content-Length: {len(BIG)}".encode() in (await run(*CURL, "-I", f"{url}/big")).stdout
        assert (await run(*CURL, "-r", "100-199", f"{url}/big")).stdout == BIG[100:200]
        assert (await run(*CURL, "-r", "-5", f"{url}/big")).stdout == BIG[-5:]
        partial = tmp_path / "partial"
        partial.write_bytes(BIG[:5000])
        await run(*CURL, "-C", "-", "-o", str(partial), f"{url}/big")
        assert partial.read_bytes() == BIG
        assert (await run(*CURL, "--http1.0", f"{url}/a%20b.txt")).stdout == b"spaced\n"
        assert (await run(*CURL, "--http2", f"{url}/a%20b.txt")).stdout == b"spaced\n"
        tag = tmp_path / "tag"
        await run(*CURL, "--etag-save", str(tag), f"{url}/a%20b.txt")
        assert (await run(*CURL, "--etag-compare", str(tag), "-w", "%{http_code}", f"{url}/a%20b.txt")).stdout == b"304"
        accepted = http.server.statistics().accepted
        assert (await run(*CURL, f"{url}/a%20b.txt", f"{url}/empty", f"{url}/a%20b.txt")).stdout == b"spaced\n" * 2
        assert http.server.statistics().accepted == accepted + 1
        assert (await run(*CURL, "-d", "state=ok", f"{url}/installed/t")).stdout == b"POST 8\n"
        chunked = (*CURL, "-X", "POST", "-H", "Transfer-Encoding: chunked", "--data-binary", "@-")
        assert (await run(*chunked, f"{url}/installed/t", stdin=b"x" * 60000)).stdout == b"POST 60000\n"
        large = (*CURL, "-w", "%{http_code}", "--data-binary", "@-")
        refused = await run(*large, f"{url}/installed/t", stdin=b"x" * 2_000_000, check=False)
        assert refused.stdout.endswith(b"413")
        assert (await run(*CURL, "--path-as-is", f"{url}/../../etc/passwd", check=False)).returncode == 22


@needs.tool("curl")
async def test_curl_with_many_ranges(site: FakeSite) -> None:
    """A multipart reply has exactly the length that it names, or curl complains."""
    async with serving(site) as http:
        ranges = ",".join(f"{n * 1000}-{n * 1000 + 9}" for n in range(200))
        body = (await run(*CURL, "-r", ranges, f"http://127.0.0.1:{http.port}/big")).stdout
    for n in range(200):
        assert BIG[n * 1000 : n * 1000 + 10] in body
    assert len(site.requests) == 1


@needs.tool("wget")
async def test_wget(site: FakeSite, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Download, resumption, a time stamp kept, a directory fetched by its listing."""
    target = tmp_path_factory.mktemp("down")
    wget = ("wget", "-q", "--no-proxy", "-P", str(target))
    async with serving(site) as http:
        url = f"http://127.0.0.1:{http.port}"
        (target / "big").write_bytes(BIG[:70000])
        await run(*wget, "-c", f"{url}/big")
        assert (target / "big").read_bytes() == BIG
        assert int((target / "big").stat().st_mtime) == int((tmp_path / "big").stat().st_mtime)
        await run(*wget, "-N", f"{url}/big")
        assert site.requests[-1].method in ("HEAD", "GET")
        await run(*wget, "-r", "-np", "-nH", f"{url}/x64/")
        assert (target / "x64/shimx64.efi").read_bytes() == (tmp_path / "x64/shimx64.efi").read_bytes()

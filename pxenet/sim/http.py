"""Reading by HTTP as boot clients do: each one's request head, and what it makes of the reply. No connection is known here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pxenet.sim.body import Body, BootError, HttpFetch, HttpReply, Read, Steps
from pxenet.sim.url import join, split

Headers = tuple[tuple[str, str], ...]

HOST = "{host}"
"""Stands in a table for the authority of the URL."""
HOST_WITHOUT_PORT = "{host without port}"

WAITS_S = 300.0
"""A transport that never answers: whoever carries the requests should fail them long before."""


@dataclass(frozen=True, slots=True)
class Agent:
    """One HTTP client's head and habits (facts: http.md §2, §3)."""

    name: str
    headers: Headers
    version: str = "1.1"
    follows: bool = True
    """Redirects."""
    tries: int = 1
    needs_size: bool = False
    """Content-Length is mandatory."""


EDK2 = Agent(
    "UEFI HTTP boot",
    (("Host", HOST), ("Accept", "*/*"), ("User-Agent", "UefiHttpBoot/1.0")),
    follows=False,
    needs_size=True,
)  # captured
SHIM = Agent("shim", EDK2.headers, follows=False, needs_size=True)
IPXE = Agent(
    "iPXE", (("Connection", "keep-alive"), ("User-Agent", "iPXE/1.0.0+"), ("Host", HOST))
)  # net/tcp/httpcore.c
SYSLINUX = Agent(
    "lpxelinux", (("Host", HOST), ("User-Agent", "Syslinux/6.04"), ("Connection", "close")), version="1.0"
)  # captured; its cookie follows, see ``pxelinux``
GRUB = Agent("GRUB", (("Host", HOST_WITHOUT_PORT), ("User-Agent", "GRUB 2.06")), follows=False)  # net/http.c
U_BOOT = Agent("U-Boot wget", (("Host", HOST), ("User-Agent", "U-Boot")), version="1.0", follows=False)
CURL = Agent("dracut (curl)", (("Host", HOST), ("User-Agent", "curl/7.76.1"), ("Accept", "*/*")), tries=4)
# dracut's url-lib: --retry 3 --retry-connrefused --location --fail
REQUESTS = Agent(
    "Anaconda",
    (
        ("Host", HOST), ("User-Agent", "AlmaLinux (anaconda)/9"), ("Accept-Encoding", "gzip, deflate"), ("Accept", "*/*"),
        ("Connection", "keep-alive"),
    ),
)  # fmt: skip
LIBREPO = Agent(
    "dnf (librepo)",
    (("Host", HOST), ("User-Agent", "libdnf (AlmaLinux 9; generic; Linux.x86_64)"), ("Accept", "*/*")),
    tries=3,
)
WGET = Agent(
    "wget",
    (
        ("Host", HOST),
        ("User-Agent", "Wget/1.21.3"),
        ("Accept", "*/*"),
        ("Accept-Encoding", "identity"),
        ("Connection", "Keep-Alive"),
    ),
)  # captured
DEBIAN = Agent("Debian installer", (WGET.headers[0], ("User-Agent", "debian-installer"), *WGET.headers[2:]))  # captured
BUSYBOX = Agent("busybox wget", (("Host", HOST), ("User-Agent", "Wget"), ("Connection", "close")))  # captured


def request(
    agent: Agent,
    url: str,
    method: str = "GET",
    more: Headers = (),
    *,
    keep: bool = False,
    body: bytes = b"",
    manners: Headers | None = None,
) -> HttpFetch:
    """The request as this client makes it; ``manners``: with these headers instead of its kind's."""
    parts = split(url)
    names = {HOST: parts.netloc.rpartition("@")[2], HOST_WITHOUT_PORT: parts.hostname or ""}
    own = agent.headers if manners is None else manners
    headers = tuple((name, names.get(value, value)) for name, value in own)
    if body:
        more = (*more, ("Content-Length", str(len(body))))
    return HttpFetch(0, method, url, (*headers, *more), body, keep, agent.version)


def get(
    body: Body, agent: Agent, url: str, more: Headers = (), *, keep: bool = False, method: str = "GET"
) -> Steps[HttpReply]:
    """One request and its reply, redirects followed by those who do. The caller looks at the status."""
    for _ in range(6):
        reply = yield from _tried(body, agent, url, more, keep, method)
        target = reply.header("Location")
        if reply.status not in (301, 302, 303, 307, 308) or not target or not agent.follows:
            return reply
        url = join(url, target)
    raise BootError(f"{agent.name}: too many redirects from {url}")


def post(body: Body, agent: Agent, url: str, data: bytes) -> Steps[HttpReply]:
    """One request that carries something, and its reply."""
    body.file = url
    (reply,) = yield from wait(body, [body.fetch(request(agent, url, "POST", body=data))])
    return reply


def _tried(body: Body, agent: Agent, url: str, more: Headers, keep: bool, method: str) -> Steps[HttpReply]:
    reply = HttpReply(failed="not asked")
    read = body.asks(Read(body.now, agent.name, url, method))
    for attempt in range(agent.tries):
        if attempt:
            body.retries += 1
            until = body.now + (1 << (attempt - 1))  # curl --retry: 1, 2, 4 s
            while body.now < until:
                yield until
        (reply,) = yield from wait(body, [_ask(body, agent, url, more, keep, method)])
        if not reply.failed and reply.status < 500:
            break
    read.status, read.granted, read.size, read.ended_at = reply.status, reply.headers, reply.size, body.now
    read.failure = reply.failed or ("" if reply.status < 400 else f"HTTP status {reply.status}")
    return reply


def _ask(body: Body, agent: Agent, url: str, more: Headers, keep: bool, method: str) -> int:
    body.file = url
    return body.fetch(request(agent, url, method, more, keep=keep, manners=body.manners.http.get(agent.name)))


def wait(body: Body, ids: Sequence[int]) -> Steps[list[HttpReply]]:
    """The replies to these requests, in their order, when all are there."""
    found: dict[int, HttpReply] = {}
    until = body.now + WAITS_S
    while len(found) < len(ids):
        heard = yield until
        if heard is None:
            for id in ids:
                found.setdefault(id, HttpReply(failed="no reply for five minutes"))
        elif isinstance(heard, tuple) and heard[0] in ids:
            found[heard[0]] = heard[1]
            body.bytes_read += heard[1].size
    return [found[id] for id in ids]


def whole(agent: Agent, url: str, reply: HttpReply) -> HttpReply:
    """The reply when it is a 200 that this client takes. BootError otherwise."""
    if reply.failed:
        raise BootError(f"{agent.name}: {url}: {reply.failed}")
    if reply.status != 200:
        raise BootError(f"{agent.name}: {url}: HTTP status {reply.status}")
    if agent.needs_size and not reply.header("Content-Length"):
        raise BootError(f"{agent.name}: {url}: no Content-Length")
    return reply

"""What runs after the loader: the installer's kernel with its DHCP, its answer file, its repository, its report.

Which installer it is, is told by the kernel's arguments: ``inst.ks=`` and ``ks=`` are Anaconda's, ``url=`` and ``preseed/url=`` the
Debian installer's. Facts: answerfiles.md §1 and §4, http.md §3 and §4; captures for udhcpc, busybox wget and debian-installer.
"""

from __future__ import annotations

import configparser
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from pxenet.sim import http
from pxenet.sim.body import Body, BootError, HttpReply, Stage, Steps, work
from pxenet.sim.http import Agent, Headers
from pxenet.sim.lease import acquire
from pxenet.sim.programs import Kernel
from pxenet.sim.seeds import Seed, script_of, seed_of
from pxenet.sim.url import join, split
from pxenet.sim.voices import ANACONDA, DEBIAN, UDHCPC, Voice
from pxenet.wire import discovery
from pxenet.wire.discovery import Hardware, Nic
from pxenet.wire.text import mac_text

STAGE2 = ("images/install.img", "LiveOS/squashfs.img")
OPTIONAL_IMAGES = ("images/updates.img", "images/product.img")
PARALLEL = 3
"""librepo's default number of connections (facts: http.md §1)."""


@dataclass(frozen=True, slots=True)
class System:
    """One installer: how it asks for its address, and how it fetches."""

    name: str
    voice: Voice
    answer: Agent
    """Fetches the answer file."""
    repository: Agent
    starts_s: float = 10.0
    """From the loader's jump to the first DHCP packet; captured: 10 s for a small payload, 47 s for the Debian installer."""
    settles_s: float = 0.15
    """From the lease to the first fetch."""
    installs_s: float = 3.0
    """What the machine does by itself between repository and report. Real ones take minutes."""
    headers: Headers = ()
    kickstart: bool = True
    reads_repository: bool = True
    gives_way: bool = False
    """It does not run where the kernel's arguments are for another one: it is what a capture showed of another kernel."""


ANACONDA_SYSTEM = System("Anaconda", ANACONDA, http.CURL, http.LIBREPO)
DEBIAN_SYSTEM = System(
    "Debian installer", DEBIAN, http.DEBIAN, http.WGET, starts_s=47.0, settles_s=13.0, kickstart=False
)
SEEDED_SYSTEM = System(
    "cloud-init and others", UDHCPC, http.REQUESTS, http.CURL, kickstart=False, reads_repository=False
)
"""Voices of these were not captured: busybox' stands for them."""
PAYLOAD = System("payload", UDHCPC, http.BUSYBOX, http.BUSYBOX, reads_repository=False)
"""What the captured machines ran: busybox with udhcpc and wget."""

# Anaconda's dracut part says these with every fetch of the answer file (facts: answerfiles.md §1).
_DRACUT_HEADERS: Headers = (("X-Anaconda-Architecture", "x86_64"), ("X-Anaconda-System-Release", "AlmaLinux"))


@dataclass(frozen=True, slots=True)
class Arguments:
    """A kernel's command line."""

    line: str
    words: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, line: str) -> Arguments:
        return cls(line, tuple(re.findall(r'(?:[^\s"]|"[^"]*")+', line)))

    def last(self, *names: str) -> str:
        """The value of the last argument with one of these names; empty when there is none."""
        found = [word.partition("=")[2].strip('"') for word in self.words if word.partition("=")[0] in names]
        return found[-1] if found else ""

    def flag(self, *names: str) -> bool:
        """One of these words stands there."""
        return any(word.partition("=")[0] in names for word in self.words)


def run(body: Body, kernel: Kernel, system: System | None = None) -> Steps[None]:
    """From the kernel's start to the report. BootError: the install has failed, in the installer's words."""
    arguments = Arguments.of(kernel.args)
    if asked := arguments.last("pxenet.discovery"):
        yield from _discovered(body, asked)
        return
    seed = seed_of(arguments.last) if system is None else None
    if seed is not None:
        yield from _seeded(body, seed)
        return
    kickstart, preseed = arguments.last("inst.ks", "ks"), arguments.last("url", "preseed/url")
    debian = bool(preseed and not kickstart)
    if system is None or (system.gives_way and system.kickstart is debian):
        system = DEBIAN_SYSTEM if debian else ANACONDA_SYSTEM
    answer_url = preseed if not system.kickstart else kickstart
    body.enter(Stage.SYSTEM)
    yield from work(body, system.starts_s)
    yield from acquire(body, system.voice)
    yield from work(body, system.settles_s)
    text = ""
    if answer_url:
        body.enter(Stage.ANSWER)
        text = yield from _answer(body, system, arguments, answer_url)
    source = arguments.last("inst.repo", "repo", "method", "inst.stage2") or _kickstart_source(text)
    if system.reads_repository and source.startswith("http"):
        body.enter(Stage.REPOSITORY)
        if system.kickstart:
            yield from _repository(body, system, source, arguments.last("inst.stage2") or source)
    if not system.kickstart:
        yield from _debian(body, system, text)
    yield from work(body, system.installs_s)
    yield from _report(body, system, text)
    body.enter(Stage.INSTALLED)


def _seeded(body: Body, seed: Seed) -> Steps[None]:
    """An installer that is known by what it reads: all of it, then the report that stands in it."""
    system = replace(SEEDED_SYSTEM, name=seed.name)
    body.enter(Stage.SYSTEM)
    yield from work(body, system.starts_s)
    yield from acquire(body, system.voice)
    yield from work(body, system.settles_s)
    body.enter(Stage.ANSWER)
    texts: list[str] = []
    for url in seed.urls:
        reply = yield from http.get(body, system.answer, url, keep=True)
        texts.append(http.whole(system.answer, url, reply).body.decode("utf-8", "replace"))
    for url in seed.optional:
        yield from http.get(body, system.answer, url)
    yield from work(body, system.installs_s)
    yield from _reported(body, script_of(texts[0]))
    body.enter(Stage.INSTALLED)


def _discovered(body: Body, url: str) -> Steps[None]:
    """A small environment that tells what the machine is, by the script that it is given."""
    system = PAYLOAD
    body.enter(Stage.SYSTEM)
    yield from work(body, system.starts_s)
    yield from acquire(body, system.voice)
    yield from work(body, system.settles_s)
    body.enter(Stage.ANSWER)
    script = http.whole(system.answer, url, (yield from http.get(body, system.answer, url, keep=True)))
    told = next((each for each in _urls(script.body.decode("utf-8", "replace")) if "/discovered/" in each), "")
    if not told:
        raise BootError(f"{url} does not say where to tell what this machine is")
    body.enter(Stage.CALLBACK)
    nic = Nic("eth0", body.mac, "virtio_net")
    hardware = Hardware(body.serial, vendor="pxenet", product="simulated machine", cpus=1, nics=(nic,))
    reply = yield from http.post(body, http.CURL, told, discovery.serialize(hardware))
    http.whole(http.CURL, told, reply)
    body.enter(Stage.DISCOVERED)


def _answer(body: Body, system: System, arguments: Arguments, url: str) -> Steps[str]:
    if not url.startswith("http"):
        raise BootError(f"{system.name}: the answer file {url} is not on HTTP, and nothing else is simulated")
    if not split(url).path.strip("/") and system.kickstart:
        url = join(url, "/ks.cfg")  # facts: a path left out means /ks.cfg
    more = _DRACUT_HEADERS if system is ANACONDA_SYSTEM else ()
    if system.kickstart and arguments.flag("inst.ks.sendmac", "kssendmac"):
        more = (*more, ("X-RHN-Provisioning-MAC-0", f"eth0 {mac_text(body.mac)}"))
    if system.kickstart and arguments.flag("inst.ks.sendsn", "kssendsn") and body.serial:
        more = (*more, ("X-System-Serial-Number", body.serial))
    reply = yield from http.get(body, system.answer, url, more, keep=True)
    return http.whole(system.answer, url, reply).body.decode("utf-8", "replace")


def _kickstart_source(text: str) -> str:
    found = re.search(r"^\s*url\s+.*--url[= ]\"?([^\s\"]+)", text, re.MULTILINE)
    return found[1] if found else ""


def _repository(body: Body, system: System, source: str, stage2: str) -> Steps[None]:
    """Stage 2 by dracut, then the packages' metadata by dnf; 404 is normal but for repomd.xml where a repository is."""
    source, stage2 = source.rstrip("/"), stage2.rstrip("/")
    info = yield from http.get(body, http.CURL, f"{stage2}/.treeinfo", keep=True)
    image = _stage2_of(info.body.decode("utf-8", "replace")) if info.status == 200 else ""
    for name in dict.fromkeys(filter(None, (image, *STAGE2))):
        reply = yield from http.get(body, http.CURL, f"{stage2}/{name}")
        if reply.status == 200:
            break
    else:
        body.note(f"no stage 2 image below {stage2}: a real Anaconda stops here; the simulated one goes on without")
    for name in OPTIONAL_IMAGES:
        yield from http.get(body, http.CURL, f"{stage2}/{name}")
    yield from http.get(body, http.REQUESTS, f"{source}/.treeinfo")
    reply = yield from http.get(body, system.repository, f"{source}/repodata/repomd.xml", keep=True)
    if reply.status != 200:
        return
    names = list(dict.fromkeys(re.findall(rb'<location\s+href="([^"]+)"', reply.body)))[:64]
    urls = [f"{source}/{name.decode('utf-8', 'replace')}" for name in names]
    for at in range(0, len(urls), PARALLEL):
        body.file = urls[at]
        ids = [body.fetch(http.request(system.repository, url)) for url in urls[at : at + PARALLEL]]
        replies: list[HttpReply] = yield from http.wait(body, ids)
        body.retries += sum(1 for reply in replies if reply.failed)


def _stage2_of(treeinfo: str) -> str:
    parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    try:
        parser.read_string(treeinfo)
        return (parser.get("stage2", "mainimage", fallback="") or "").strip()
    except configparser.Error:
        return ""


def _debian(body: Body, system: System, text: str) -> Steps[None]:
    """The early command's fetch and the mirror's Release file, when the preseed names them (captured: both)."""
    for url in _urls(_preseed_value(text, "preseed/early_command")):
        yield from http.get(body, system.repository, url)
    host = _preseed_value(text, "mirror/http/hostname")
    if host:
        directory = _preseed_value(text, "mirror/http/directory") or "/debian"
        suite = _preseed_value(text, "mirror/suite") or "stable"
        body.enter(Stage.REPOSITORY)
        yield from http.get(
            body, system.repository, f"http://{host}{posixpath.join(directory, 'dists', suite, 'Release')}"
        )


def _preseed_value(text: str, question: str) -> str:
    joined = text.replace("\\\n", " ")
    found = re.search(rf"^\s*\S+\s+{re.escape(question)}\s+\S+[ \t]+(.*)$", joined, re.MULTILINE)
    return found[1].strip() if found else ""


def _report(body: Body, system: System, text: str) -> Steps[None]:
    """The fetches of the answer file's last script; with ``||`` between them until one succeeds."""
    script = "\n".join(_sections(text, "%post")) if system.kickstart else _preseed_value(text, "preseed/late_command")
    yield from _reported(body, script)


def _reported(body: Body, script: str) -> Steps[None]:
    commands = list(_fetches(script))
    if not commands:
        body.note("the answer file has no fetch in its last script: nobody will hear that this install has ended")
    for alternatives in commands:
        body.enter(Stage.CALLBACK)
        for agent, url, method in alternatives:
            reply = yield from http.get(body, agent, url, method=method)
            if not reply.failed and reply.status < 400:
                break
            body.note(f"{url}: {reply.failed or f'HTTP status {reply.status}'}")
        else:
            raise BootError(f"the report {alternatives[0][1]} was not taken: {body.trail[-1]}")


def _sections(text: str, name: str) -> Iterator[str]:
    for found in re.finditer(rf"^\s*{name}\b[^\n]*\n(.*?)^\s*%end", text, re.MULTILINE | re.DOTALL):
        yield found[1]


def _fetches(script: str) -> Iterator[list[tuple[Agent, str, str]]]:
    """Each line's alternatives: (client, URL, method) of its curl and wget commands."""
    for line in script.replace("\\\n", " ").splitlines():
        line = line.split(" #")[0].strip()
        if line.startswith("#"):
            continue
        found = []
        for command in re.split(r"\|\|", line):
            urls = list(_urls(command))
            words = command.split()
            program = next((word for word in words if posixpath.basename(word) in ("curl", "wget")), "")
            if not urls or not program:
                continue
            post = re.search(r"(-X\s*POST|--request[= ]POST|--post-data|--post-file|\s-d\s|--data)", command)
            agent = http.CURL if posixpath.basename(program) == "curl" else http.WGET
            found.append((agent, urls[0], "POST" if post else "GET"))
        if found:
            yield found


def _urls(text: str) -> Iterator[str]:
    for found in re.finditer(r"https?://[^\s'\";|&)]+", text):
        yield found[0]

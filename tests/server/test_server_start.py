"""What keeps the server from starting is said with file, line, key and remedy, in words and as JSON; nothing is left behind."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import needs
import pytest
from programlab import free_ports

from pxenet.cli import serving
from pxenet.store.sqlite import open_sqlite

PROFILE = """
[[profile]]
name = "alma9"
kernel = "vmlinuz"
initrd = "initrd.img"
answer = "my.ks"
[[host]]
name = "web01"
mac = "52:54:00:12:34:56"
profile = "alma9"
"""
SUBNET = """
[[dhcp.subnet]]
network = "127.0.0.0/24"
pool = "127.0.0.100-127.0.0.199"
"""


@dataclass
class Place:
    """A directory with a configuration, ports that were free a moment ago, and what a case opened in its way."""

    directory: Path
    ports: dict[str, int]
    closing: ExitStack

    @property
    def state(self) -> Path:
        return self.directory / "state"

    def config(self, server: str = "", more: str = "", interface: str = "lo") -> None:
        """Write rack.toml. Lines 1 to 9 are the same in every case; what ``server`` says is from line 10 on."""
        ports = self.ports
        state = "" if "state" in server else 'state = "state"\n'
        (self.directory / "rack.toml").write_text(
            f"[dhcp]\nport = {ports['dhcp']}\nproxy_port = {ports['proxy']}\n[tftp]\nport = {ports['tftp']}\n"
            f'[http]\nport = {ports["http"]}\n[server]\ninterface = "{interface}"\n{server}\n{state}{more}'
        )

    def listing(self) -> list[str]:
        return sorted(str(path.relative_to(self.directory)) for path in self.directory.rglob("*"))

    def taken(self) -> list[str]:
        """The ports that somebody has now."""
        kinds = {"http": socket.SOCK_STREAM}
        found = []
        for name, port in self.ports.items():
            with socket.socket(socket.AF_INET, kinds.get(name, socket.SOCK_DGRAM)) as sock:
                try:
                    sock.bind(("0.0.0.0", port))
                except OSError:
                    found.append(name)
        return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as closing:
        for name in ("vmlinuz", "initrd.img", "my.ks"):
            (tmp_path / name).write_text("{{ host.name }}\n")
        yield Place(tmp_path, free_ports(), closing)


@pytest.fixture(autouse=True)
def alarm() -> Iterator[None]:
    """A server that starts although it should not must not serve for ever."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise AssertionError("the server has started")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def take(place: Place, name: str) -> None:
    kind = socket.SOCK_STREAM if name == "http" else socket.SOCK_DGRAM
    sock = place.closing.enter_context(socket.socket(socket.AF_INET, kind))
    sock.bind(("0.0.0.0", place.ports[name]))
    if name == "http":
        sock.listen()
    place.config()


def template(place: Place, text: str) -> None:
    (place.directory / "my.ks").write_text(text)
    place.config(more=PROFILE)


def store(place: Place, *, lost: bool = False, damaged: bool = False, held: bool = False) -> None:
    opened = open_sqlite(place.state)
    if held:
        place.closing.callback(opened.close)
    else:
        opened.close()
    if lost:
        (place.state / "pxenet.db").unlink()
    if damaged:
        (place.state / "pxenet.db").write_bytes(b"not a database, but long enough to be taken for one" * 100)
    place.config()


def later(version: str) -> Callable[[Place], None]:
    """The configuration with that line in [server]."""
    return lambda place: place.config(version)


@dataclass(frozen=True)
class Case:
    """What is wrong, and how it is said: the beginning of the message (file and line follow), its key, and words of it."""

    prepare: Callable[[Place], None]
    key: str
    words: tuple[str, ...]
    line: int | None = 10
    file: str = "rack.toml"


CASES = {
    "tftp port taken": Case(lambda p: take(p, "tftp"), "tftp.port", ("is taken", "ss -lunp"), 5),
    "http port taken": Case(lambda p: take(p, "http"), "http.port", ("is taken", "ss -ltnp"), 7),
    "dhcp port taken": Case(lambda p: take(p, "dhcp"), "dhcp.port", ("is taken", "ss -lunp"), 2),
    "proxy port taken": Case(lambda p: take(p, "proxy"), "dhcp.proxy_port", ("is taken",), 3),
    "interface missing": Case(
        lambda p: p.config(interface="eth77"),
        "server.interface",
        ('there is no interface "eth77"', "machine has", "lo"),
        9,
    ),
    "address not ours": Case(
        later('address = "192.0.2.7"'), "server.address", ("192.0.2.7 is no address of this machine", "127.0.0.1")
    ),
    "address outside subnet": Case(
        lambda p: p.config(more=SUBNET + '[[host]]\nname = "a"\nmac = "52:54:00:00:00:01"\naddress = "10.9.9.9"\n'),
        "host[1] (a).address",
        ("10.9.9.9 is in no configured subnet", "127.0.0.0/24"),
        19,
    ),
    "reservation in pool": Case(
        lambda p: p.config(more=SUBNET + '[[host]]\nname = "a"\nmac = "52:54:00:00:00:01"\naddress = "127.0.0.150"\n'),
        "dhcp.subnet[1] (127.0.0.0/24).pool",
        ("contains 127.0.0.150, which is reserved for host[1] (a) in line 16", "127.0.0.151-127.0.0.199"),
        15,
    ),
    "own address in pool": Case(
        lambda p: p.config(more=SUBNET.replace("100-", "1-")),
        "dhcp.subnet[1] (127.0.0.0/24).pool",
        ("127.0.0.1", "this server's own address on lo"),
        15,
    ),
    "root missing": Case(later('root = "nowhere"'), "server.root", ("nowhere does not exist",)),
    "root is a file": Case(later('root = "vmlinuz"'), "server.root", ("vmlinuz is not a directory",)),
    "template undefined": Case(
        lambda p: template(p, "text\nuser {{ vars.nobody }}\n"), "", ("nobody", "web01"), 2, "my.ks"
    ),
    "template syntax": Case(lambda p: template(p, "text\n\n{% if %}\n"), "", ("web01",), 3, "my.ks"),
    "arguments undefined": Case(
        lambda p: p.config(more=PROFILE.replace("answer =", 'args = "console={{ vars.console }}"\nanswer =')),
        "profile[1] (alma9).args",
        ("console", "web01"),
        17,
    ),
    "state is a file": Case(later('state = "vmlinuz/state"'), "server.state", ("vmlinuz/state", "Not a directory")),
    "store lost": Case(
        lambda p: store(p, lost=True),
        "server.state",
        ("pxenet.db is missing, but", "pxenet.marker", "would install every machine again", "Restore"),
        11,
    ),
    "store damaged": Case(lambda p: store(p, damaged=True), "server.state", ("pxenet.db cannot be read", "backup"), 11),
    "second server": Case(
        lambda p: store(p, held=True), "server.state", ("another server uses this state directory (process",), 11
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_what_keeps_it_from_starting(place: Place, case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2; one line on stderr with file, line, key, what is wrong; the same as JSON; files and ports as before."""
    case.prepare(place)
    before, held = place.listing(), place.taken()
    path = place.directory / "rack.toml"

    assert 2 == serving.start(path, (), None, as_json=False)
    said = capsys.readouterr()
    assert "" == said.out
    file = str(place.directory / case.file)
    where = f"{file}:{case.line}: " + (f"{case.key}: " if case.key else "")
    assert said.err.startswith(where), said.err
    assert [] == [word for word in case.words if word not in said.err], said.err
    assert 1 == said.err.count("\n"), said.err

    assert 2 == serving.start(path, (), None, as_json=True)
    said = capsys.readouterr()
    (problem,) = json.loads(said.out)["problems"]
    assert ("", file, case.line, case.key) == (said.err, problem["file"], problem["line"], problem["key"])
    text = f"{problem['wrong']}; {problem['right']}"
    assert [] == [word for word in case.words if word not in text]

    lock = ["state/pxenet.lock"] if case.key == "server.state" and "state/pxenet.marker" in before else []
    assert sorted({*before, *lock}) == place.listing()
    assert held == place.taken()


@needs.root()
def test_an_unknown_user(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Said before anything is opened, and the state directory is not made."""
    place.config('user = "nobody-of-that-name"')
    before = place.listing()
    assert 2 == serving.start(place.directory / "rack.toml", (), None, as_json=False)
    assert capsys.readouterr().err == (
        f'{place.directory}/rack.toml:10: server.user: there is no user "nobody-of-that-name" on this machine; '
        "create it with: useradd --system nobody-of-that-name\n"
    )
    assert before == place.listing()


@needs.root()
def test_a_state_directory_that_others_use_too(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Root gives away nothing but the server's own: a directory with other things in it keeps its owner, and so do they."""
    place.config('user = "nobody"\nstate = "."')
    assert 2 == serving.start(place.directory / "rack.toml", (), None, as_json=False)
    said = capsys.readouterr().err
    assert said.startswith(f"{place.directory}/rack.toml:11: server.state: ")
    assert "is not the server's alone" in said
    assert {0} == {path.stat().st_uid for path in (place.directory, *place.directory.iterdir())}
    assert [] == place.taken()

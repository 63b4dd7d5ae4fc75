"""The commands as people type them, beside a server that runs, and on its store when it has stopped or was killed."""

from __future__ import annotations

import contextlib
import json
import pwd
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL

import needs
import pytest
from programlab import PATIENCE_S, Program, free_ports, loopback_config, program
from typer.testing import CliRunner

from pxenet.cli.main import app
from pxenet.model import InstallRecord, InstallState, Lease, SeenHost
from pxenet.server.control import SOCKET
from pxenet.store.sqlite import open_sqlite, read_sqlite

WEB01 = bytes.fromhex("525400000001")
KEY = "52:54:00:00:00:01"
MACHINES = """
[[dhcp.subnet]]
network = "127.0.0.0/24"
pool = "127.0.0.100-127.0.0.199"
[[profile]]
name = "alma9"
kernel = "vmlinuz"
answer = "kickstart"
vars.sshkey = "ssh-ed25519 AAAA"
[[host]]
mac = "52:54:00:00:00:01"
name = "web01"
profile = "alma9"
[[host]]
mac = "52:54:00:00:00:02"
name = "db01"
"""
INSTALLED = InstallRecord(KEY, InstallState.INSTALLED, "alma9", 1, since_at=1000.0)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a configuration, and a store that knows something."""
    (tmp_path / "vmlinuz").touch()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "file").write_text("content")
    (tmp_path / "rack.toml").write_text(loopback_config(free_ports(), 'root = "root"') + MACHINES)
    now = time.time()
    store = open_sqlite(tmp_path / "state")
    store.commit(
        [
            Lease(0x7F000064, b"\1" + WEB01, WEB01, now + 7200, hostname="web01\x1b[2J", since_at=now - 60),
            Lease(0x7F000065, b"\1" + bytes(6), bytes(6), now - 60, since_at=now - 600),
            SeenHost(KEY, WEB01, "", 7, now - 600, now - 300),
            INSTALLED,
        ]
    )
    store.close()
    return tmp_path


@pytest.fixture
def running(place: Path) -> Iterator[Program]:
    with program(place, "--config", "rack.toml") as server:
        yield server


def pxenet(place: Path, *arguments: str, expect: int = 0, **environment: str) -> str:
    """What the command prints, on both of its streams. In this process, which is not the server's: starting one takes a second."""
    with contextlib.chdir(place):
        done = CliRunner().invoke(app, arguments, env=environment, prog_name="pxenet")
    assert expect == done.exit_code, done.output
    return done.output


def table(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


# -- on both -------------------------------------------------------------------------------------------------------------------


def both(place: Path) -> Iterator[None]:
    """First offline, then beside a server."""
    yield
    with program(place, "--config", "rack.toml"):
        yield


def test_hosts_and_leases(place: Path) -> None:
    """Are the same, whoever answers; plain text in a pipe, and nothing of a machine's reaches the terminal as it is."""
    for _ in both(place):
        shown = pxenet(place, "hosts", "--config", "rack.toml")
        assert ["HOST", "MAC", "ADDRESS", "STATE", "PROFILE", "NEXT", "SEEN", "FIRMWARE"] == table(shown)[0]
        assert f"web01 {KEY} 127.0.0.100 installed alma9 its disk 5 min ago x64 UEFI".split() == table(shown)[1]
        assert "db01" == table(shown)[2][0]
        shown = pxenet(place, "leases", "--config", "rack.toml", "--sort", "-address")
        assert ["127.0.0.101", "127.0.0.100"] == [line[0] for line in table(shown)[1:]]
        assert "bound" in shown
        assert "expired" in shown
        assert "\x1b" not in shown


def test_json(place: Path) -> None:
    """The same for programs, sorted alike."""
    for _ in both(place):
        hosts = json.loads(pxenet(place, "hosts", "--config", "rack.toml", "--sort", "host", "--json"))
        assert ["db01", "web01"] == [row["host"] for row in hosts]
        assert ("installed", KEY, "its installation") == (
            hosts[1]["state"], hosts[1]["mac"], " ".join(hosts[1]["because"].split()[-2:])
        )  # fmt: skip
        leases = json.loads(pxenet(place, "leases", "--state", "state", "--json"))
        assert ["127.0.0.100", "127.0.0.101"] == [row["address"] for row in leases]


def reinstalled(place: Path) -> None:
    """Order it in every way, and look into the store."""
    assert "web01 installs alma9 at its next network boot\n" == pxenet(
        place, "reinstall", "web01", "--config", "rack.toml"
    )
    store = read_sqlite(place / "state")
    assert [(InstallState.NEW, 2)] == [(record.state, record.generation) for record in store.installs()]
    store.close()
    said = pxenet(place, "reinstall", "web1", "--config", "rack.toml", expect=1)
    assert 'no machine is called "web1"; did you mean web01?\n' == said
    row = json.loads(pxenet(place, "reinstall", "db01", "--config", "rack.toml", "--json"))
    assert ("db01", True) == (row["host"], "names no profile" in row["next"])


def test_cancelled_and_retired(place: Path) -> None:
    """By the server and in its store alike: durable, shown, and taken back by another order; a retired machine is served nothing."""
    for _ in both(place):
        for order, state, next_boot in (("cancel", "cancelled", "local"), ("retire", "retired", "none")):
            pxenet(place, "reinstall", "web01", "--config", "rack.toml")
            row = json.loads(pxenet(place, order, "web01", "--config", "rack.toml", "--json"))
            shown = json.loads(pxenet(place, "hosts", "show", "web01", "--config", "rack.toml", "--json"))
            assert (state, state, next_boot, False) == (row["state"], shown["state"], shown["next"], row["running"])
            store = read_sqlite(place / "state")
            assert [state] == [record.state.value for record in store.installs()]
            store.close()
        said = pxenet(place, "retire", "web01", "--config", "rack.toml")
        assert "web01 is not installed at its next network boot: pxenet reinstall takes it back into service\n" == said
        assert ["state", "retired"] in table(pxenet(place, "hosts", "show", "web01", "--config", "rack.toml"))
        for order in ("cancel", "retire", "hosts show"):
            said = pxenet(place, *order.split(), "web1", "--config", "rack.toml", expect=1)
            assert 'no machine is called "web1"; did you mean web01?\n' == said


def test_reinstall_offline(place: Path) -> None:
    """On the store: durable, and in force when the server starts."""
    reinstalled(place)
    with program(place, "--config", "rack.toml"):
        assert "web01 new" == " ".join(table(pxenet(place, "hosts", "--config", "rack.toml"))[1][0:5:3])


def test_reinstall(place: Path, running: Program) -> None:
    """By the server: confirmed when it is on disk, and told."""
    reinstalled(place)
    assert 0 == running.stopped()
    assert "is now new (was installed; was armed again)" in running.said()


def test_status(place: Path) -> None:
    """Running or not is the exit status, too."""
    for expect, _ in zip((1, 0), both(place), strict=True):
        said = pxenet(place, "status", "--config", "rack.toml", expect=expect)
        assert ("no server runs on" in said) == bool(expect)
        assert "2 configured, 1 seen, 1 installed" in said
        status = json.loads(pxenet(place, "status", "--config", "rack.toml", "--json", expect=expect))
        assert 1 == status["machines"]["installed"]


# -- beside a server -------------------------------------------------------------------------------------------------------------


def test_events(place: Path, running: Program) -> None:
    """What happened is remembered, and told as it happens; Ctrl-C ends that well."""
    port = json.loads(pxenet(place, "status", "--state", "state", "--json"))["url"].rpartition(":")[2]
    url = f"http://127.0.0.1:{port}/file"
    urllib.request.urlopen(url).read()
    assert "127.0.0.1 has read file (7 bytes" in pxenet(place, "events", "--state", "state")
    (told,) = pxenet(place, "events", "--state", "state", "--json").splitlines()
    assert ("http.done", "file") == (json.loads(told)["kind"], json.loads(told)["detail"]["path"])
    assert "" == pxenet(place, "events", "--state", "state", "--last", "0")
    assert "did you mean web01" in pxenet(place, "events", "--state", "state", "--host", "web02", expect=1)
    follower = subprocess.Popen(
        [sys.executable, "-m", "pxenet", "events", "--follow", "--state", "state"],
        cwd=place,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert follower.stdout is not None
    try:
        assert "has read file" in follower.stdout.readline()
        urllib.request.urlopen(url).read()
        assert "has read file" in follower.stdout.readline()
        assert 0 == running.stopped()
        assert 1 == follower.wait(PATIENCE_S)
    finally:
        follower.kill()
        follower.wait()
        follower.stdout.close()


def test_the_socket_goes_with_the_server(place: Path, running: Program) -> None:
    """Removed at the end; left by one that is killed, and no obstacle to commands or to the next server."""
    socket = place / "state" / SOCKET
    assert socket.is_socket()
    assert 0 == running.stopped()
    assert not socket.exists()
    with program(place, "--config", "rack.toml") as killed:
        killed.signal(SIGKILL)
        killed.ended()
    assert socket.is_socket()
    assert "no server runs" in pxenet(place, "status", "--state", "state", expect=1)
    with program(place, "--config", "rack.toml"):
        assert "runs since" in pxenet(place, "status", "--state", "state")


def test_a_server_without_a_socket(place: Path) -> None:
    """It serves all the same and says why no command can reach it; what only reads works, what writes is refused."""
    (place / "state" / SOCKET).mkdir()
    with program(place, "--config", "rack.toml") as server:
        assert "web01" in pxenet(place, "hosts", "--config", "rack.toml")
        (place / "state" / SOCKET).rmdir()
        assert "a server runs on" in pxenet(place, "reinstall", "web01", "--config", "rack.toml", expect=1)
        assert 0 == server.stopped()
        assert "no commands can reach this server" in server.said()


@needs.root()
@needs.tool("setpriv")
def test_only_the_servers_user_may_ask() -> None:
    """The socket belongs to the user that the server has become; others are told whose commands these are."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "rack.toml").write_text(loopback_config(free_ports(), 'user = "nobody"'))
        with program(place, "--config", "rack.toml"):
            assert pwd.getpwnam("nobody").pw_uid == (place / "state" / SOCKET).stat().st_uid
            assert "runs since" in pxenet(place, "status", "--state", "state")
            for uid, status, words in ((65534, 0, "runs since"), (4242, 1, "run this as root, or as the user")):
                done = subprocess.run(
                    ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--",
                     sys.executable, "-m", "pxenet", "status", "--state", "state"],
                    cwd=place, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
                )  # fmt: skip
                assert (status, True) == (done.returncode, words in done.stdout + done.stderr), done.stderr


# -- what goes wrong ---------------------------------------------------------------------------------------------------------------

WRONG = {
    "no store": (("hosts", "--state", "nowhere"), 1, "there is no store here"),
    "no store to write": (("reinstall", "web01", "--state", "nowhere"), 1, "there is no store here"),
    "no configuration": (("leases", "--config", "none.toml"), 2, "none.toml: cannot be read"),
    "no such column": (("hosts", "--state", "state", "--sort", "colour"), 2, "the columns are host, mac, address"),
    "no events": (("events", "--state", "state"), 1, "no server runs on"),
    "no host": (("reinstall",), 2, "Missing argument 'HOST'"),
}


@pytest.mark.parametrize(("arguments", "status", "words"), WRONG.values(), ids=list(WRONG))
def test_what_goes_wrong(place: Path, arguments: tuple[str, ...], status: int, words: str) -> None:
    """Is said with a remedy, and is the exit status; nothing is made on the way."""
    before = sorted(place.rglob("*"))
    assert words in pxenet(place, *arguments, expect=status)
    assert before == sorted(place.rglob("*"))


def test_wrong_as_json(place: Path) -> None:
    """For programs as well."""
    assert {"error", "right"} == set(json.loads(pxenet(place, "hosts", "--state", "nowhere", "--json", expect=1)))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script(place: Path, shell: str) -> None:
    """Each shell gets its script."""
    assert "_PXENET_COMPLETE=complete_" in pxenet(place, _PXENET_COMPLETE=f"source_{shell}")


COMPLETIONS = {
    "reinstall w": {"web01"},
    "reinstall --config rack.toml ": {"web01", "db01"},
    "reinstall --state state 52": {KEY},
    "events --host w": {"web01"},
    "hosts --sort se": {"seen"},
    "reinstall --config none.toml ": set(),
}


@pytest.mark.parametrize(("typed", "expected"), COMPLETIONS.items(), ids=list(COMPLETIONS))
def test_completion(place: Path, typed: str, expected: set[str]) -> None:
    """Names of machines, from the configuration or from the store; nothing where nothing is known."""
    state = place / "home" / "pxenet"
    state.parent.mkdir()
    if "--state" not in typed and "rack.toml" not in typed and "none" not in typed:
        typed = typed.replace("reinstall ", "reinstall --config rack.toml ").replace(
            "events ", "events --config rack.toml "
        )
    words = f"pxenet {typed}"
    # A completion script runs the command itself, with what was typed so far in the environment.
    count = str(len(words.split(" ")) - 1)
    found = pxenet(place, _PXENET_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=count)
    assert expected == set(found.split())

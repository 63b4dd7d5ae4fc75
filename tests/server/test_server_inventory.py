"""Hosts by command: a running server has them at once and after a crash, and an order is carried out whole or not at all."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from programlab import program
from test_server_reload import Place

from pxenet.cli.asking import ask, settings_of
from pxenet.cli.inventory import change_of, record_of
from pxenet.config import from_text
from pxenet.config.draft import Extra
from pxenet.config.inventory import Change
from pxenet.config.problems import Place as Where
from pxenet.model import AddedHost
from pxenet.store.sqlite import open_sqlite, read_sqlite

HOST = '[[host]]\nname = "web01"\nmac = "52:54:00:00:00:01"\n'
TABLE = "name,mac,address,vars.rack\nweb02,52:54:00:00:00:02,10.9.0.50,b2\nweb03,52:54:00:00:00:03,,\n"
TO = ("--config", "rack.toml")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write("old", HOST)
    (tmp_path / "hosts.csv").write_text(TABLE)
    return place


def run(place: Place, *words: str, status: int = 0) -> str:
    """What ``pxenet hosts ...`` prints."""
    done = place.pxenet("hosts", *words, *TO)
    assert status == done.returncode, done.stdout + done.stderr
    return done.stdout + done.stderr


def known(place: Place) -> list[Any]:
    """The hosts that the server knows."""
    return [row["host"] for row in place.ask("hosts")]


def test_by_a_running_server(place: Place) -> None:
    """Import, add, set, remove and export; kill -9 and a restart change nothing; a reload keeps them."""
    with program(place.directory, *TO) as server:
        assert "web02 would be added\nweb03 would be added\n" == run(place, "import", "hosts.csv", "--dry-run")
        assert ["web01"] == known(place)
        assert "web02 is added\nweb03 is added\n" == run(place, "import", "hosts.csv")
        assert "web04 is added\n" == run(place, "add", "web04", "mac=52:54:00:00:00:04", "vars.size:=3")
        assert "web04 is changed\n" == run(place, "set", "web04", "address=10.9.0.51", "vars.rack=b4")
        assert ["web01", "web02", "web03", "web04"] == known(place)
        assert "web03 is removed\n" == run(place, "remove", "web03")
        exported = run(place, "export")
        server.stopped(SIGKILL)
    with program(place.directory, *TO) as server:
        assert ["web01", "web02", "web04"] == known(place)
        assert exported == run(place, "export")
        assert 0 == place.reload().returncode
        assert ["web01", "web02", "web04"] == known(place)
        place.config.write_text(place.config.read_text() + exported)
        assert 0 == place.reload().returncode
        assert (["web01", "web02", "web04"], "") == (known(place), run(place, "export"))
        assert 0 == server.stopped()
    hosts = {host.name: host for host in from_text(place.config.read_text(), place.directory).hosts}
    assert {"size": 3, "rack": "b4"} == dict(hosts["web04"].vars)
    with closing(read_sqlite(place.directory / "state")) as store:
        assert [] == store.added()


def test_refused_whole(place: Place) -> None:
    """One fault, and nothing of it is there; what the file says, no command changes; a file that comes to differ is refused."""
    with program(place.directory, *TO):
        (place.directory / "bad.csv").write_text(TABLE + "web04,52:54:00:00:00:01,,\n")
        said = run(place, "import", "bad.csv", status=2)
        assert (
            "bad.csv:4: column 2 (mac): is that of host[1] (web01) in rack.toml, line 17 too; give each host its own mac\n"
            == said
        )
        assert "what the file says, no command changes; edit rack.toml" in run(
            place, "set", "web01", "profile=x", status=2
        )
        problems = json.loads(run(place, "remove", "web9", "--json", status=2))["problems"]
        assert ["host web9"] == [problem["key"] for problem in problems]
        assert ["web01"] == known(place)
        run(place, "add", "web02", "mac=52:54:00:00:00:02")
        place.write("new", HOST + HOST.replace("web01", "x").replace("00:01", "00:02"))
        done = place.reload()
        assert (2, True) == (done.returncode, "added host web02.mac: is that of host[2] (x)" in done.stderr), (
            done.stderr
        )
        assert ["web01", "web02"] == known(place)


def test_without_a_server(place: Place) -> None:
    """The store is changed instead, and the next server has them; where no server ever was, nothing is made."""
    assert "there is no store here" in run(place, "import", "hosts.csv", status=1)
    open_sqlite(place.directory / "state").close()
    assert "web02 is added\nweb03 is added\n" == run(place, "import", "hosts.csv")
    assert "web02 is unchanged\nweb03 is unchanged\n" == run(place, "import", "hosts.csv")
    assert "is that of added host web02 too" in run(place, "add", "x", "mac=52:54:00:00:00:02", status=2)
    assert ["web02", "web03"] == [table["name"] for table in json.loads(run(place, "export", "--json"))]
    assert 3 == run(place, "export", "--all").count("[[host]]")
    checked = place.pxenet("check", "rack.toml").stdout
    assert "host web02 (52:54:00:00:00:02, 10.9.0.50, added by command)" in checked
    assert "# web03: " in place.pxenet("render", "rack.toml", "web03").stdout
    assert "10.9.0.50" in place.pxenet("explain", "rack.toml", "web02").stdout
    with program(place.directory, *TO):
        assert ["web01", "web02", "web03"] == known(place)


def test_a_store_that_does_not_go_with_the_file(place: Place) -> None:
    """The server does not start, and says which host it is; removing it by command mends that."""
    with closing(open_sqlite(place.directory / "state")) as store:
        store.commit([AddedHost("web01", '{"name": "web01", "mac": "52:54:00:00:00:09"}')])
    with program(place.directory, *TO, ready=False) as server:
        assert 2 == server.ended()
        assert "added host web01.name: is that of host[1] (web01) in rack.toml, line 17 too" in server.said()
    assert "web01 is removed\n" == run(place, "remove", "web01")
    with program(place.directory, *TO):
        assert ["web01"] == known(place)


def test_many_at_once(place: Place) -> None:
    """Thousands of hosts are one order."""
    many = tuple(
        Extra(
            {"name": f"n{n}", "mac": f"52:54:01:00:{n >> 8:02x}:{n & 255:02x}"},
            Where("", "many.csv", n + 2, {"mac": 2}),
        )
        for n in range(5000)
    )
    change = Change(put=many)
    assert change == change_of(record_of(change))
    with program(place.directory, *TO):
        (row,) = ask(settings_of(None, place.directory / "state"), 60.0, ask="change_hosts", **record_of(change))
        assert ({"added"}, 5000) == (set(row["hosts"].values()), len(row["hosts"]))  # type: ignore[attr-defined, arg-type]
        assert 5001 == len(known(place))

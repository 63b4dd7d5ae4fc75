"""Hosts that are added by command: together with the file's, or refused with the reason; and back as TOML."""

# ruff: noqa: E501 - messages stand in tables, each on one line

from __future__ import annotations

import datetime
import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st

from pxenet.config import ConfigError, Settings, host_table, toml
from pxenet.config import from_text as read
from pxenet.config.draft import Extra
from pxenet.config.inventory import Change, Changed, Patch, changed, with_added
from pxenet.config.problems import Place
from pxenet.model import AddedHost
from pxenet.wire.text import mac_text

FILE = """\
[[dhcp.subnet]]
network = "10.0.0.0/24"
pool = "10.0.0.100-10.0.0.199"
[[profile]]
name = "alma9"
kernel = "vmlinuz"
[[host]]
name = "web01"
mac = "52:54:00:00:00:01"
address = "10.0.0.11"
"""
KEYS = {"mac": "52:54:00:00:00:02", "profile": "alma9", "address": "10.0.0.12", "vars": {"rack": "b2"}}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "vmlinuz").touch()
    return read(FILE, tmp_path, file="rack.toml")


def put(**keys: object) -> Change:
    """One host, by command."""
    return Change(put=(Extra(keys, Place(f"host {keys.get('name', '')}")),), new=True)


def refusal(settings: Settings, change: Change) -> list[str]:
    """Why it is refused."""
    with pytest.raises(ConfigError) as refused:
        changed(settings, change)
    return [str(problem) for problem in refused.value.problems]


def test_added_set_and_removed(settings: Settings) -> None:
    """Each step leaves the others as they were, and says what is to be stored."""
    one = changed(settings, put(name="web02", **KEYS))
    assert ({"web02": "added"}, 2) == (one.fates, len(one.settings.hosts))
    (record,) = one.records
    assert {"name": "web02", **KEYS} == json.loads(record.keys)
    patch = Patch("WEB02", {"address": None, "vars.rack": "b3", "vars.slot": "7", "loader.bios": "ipxe"})
    two = changed(one.settings, Change(patch=(patch,)))
    host = two.settings.host("web02")
    assert host is not None
    assert (None, {"rack": "b3", "slot": "7"}, "ipxe") == (
        host.address,
        dict(host.vars),
        next(iter(host.loaders.values())).value,
    )
    assert ({"WEB02": "changed"}, 1) == (two.fates, len(two.records))
    bare = changed(two.settings, Change(patch=(Patch("web02", dict.fromkeys(("vars.rack", "vars.slot", "vars.no"))),)))
    assert "vars" not in json.loads(bare.records[0].keys)
    same = changed(two.settings, Change(patch=(patch,)))
    assert ({"WEB02": "unchanged"}, two.settings.hosts) == (same.fates, same.settings.hosts)
    gone = changed(two.settings, Change(remove=("web02",)))
    assert ((AddedHost("web02", ""),), settings.hosts) == (gone.records, gone.settings.hosts)


def test_the_same_after_a_restart(settings: Settings) -> None:
    """What was stored makes the same hosts again."""
    one = changed(settings, put(name="web02", **KEYS))
    again = with_added(settings, one.records)
    assert (one.settings.hosts, ()) == (again.settings.hosts, again.records)


REFUSED = {
    "in the file": (put(name="web01", mac="52:54:00:00:00:09"), "host web01.name: is that of host[1] (web01) in rack.toml, line 7 too"),
    "the file's, set": (Change(patch=(Patch("web01", {"profile": "alma9"}),)), "host web01: is host[1] (web01) in rack.toml, line 7, and what the file says, no command changes; edit rack.toml, then: pxenet reload"),
    "the file's, removed": (Change(remove=("web01",)), "what the file says, no command changes"),
    "nobody": (Change(remove=("web0",)), "host web0: was not added; did you mean web02?"),
    "there already": (put(name="Web02", mac="52:54:00:00:00:09"), "host Web02: is there already, added by command; pxenet hosts set Web02 changes it"),
    "an address of the file": (put(name="x", mac="52:54:00:00:00:01"), "host x.mac: is that of host[1] (web01) in rack.toml, line 7 too"),
    "an address of another": (put(name="x", mac="52:54:00:00:00:02"), "host x.mac: is that of added host web02 too"),
    "no profile": (put(name="x", mac="52:54:00:00:00:09", profile="y"), 'host x.profile: there is no profile "y"; known profiles: alma9'),
    "no key": (put(name="x", mac="52:54:00:00:00:09", adress="10.0.0.1"), "host x.adress: no such key; did you mean address?"),
    "no address": (put(name="x", mac="52"), 'host x.mac: "52" is not a hardware address; write it like'),
    "elsewhere": (put(name="x", mac="52:54:00:00:00:09", address="10.1.0.1"), "host x.address: 10.1.0.1 is in no configured subnet; use an address of 10.0.0.0/24"),
    "in the pool": (put(name="x", mac="52:54:00:00:00:09", address="10.0.0.100"), "contains 10.0.0.100, which is reserved for host x"),
    "nothing to know it by": (put(name="x", profile="alma9"), "host x: has none of mac, uuid, serial"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused(settings: Settings, change: Change, reason: str) -> None:
    """With the host, the key, what is wrong and what would be right."""
    with_one = changed(settings, put(name="web02", **KEYS)).settings
    assert any(reason in said for said in refusal(with_one, change)), refusal(with_one, change)


def test_all_or_nothing(settings: Settings) -> None:
    """One wrong host of many: none of them is there, and every reason is told."""
    good, bad = (
        Extra({"name": name, "mac": mac}, Place(name)) for name, mac in (("a", "52:54:00:00:00:0a"), ("b", "52"))
    )
    assert 1 == len(refusal(settings, Change(put=(good, bad))))
    assert 2 == len(refusal(settings, Change(put=(good, bad), remove=())) + refusal(settings, Change(remove=("x",))))


def test_the_file_takes_over(settings: Settings, tmp_path: Path) -> None:
    """What was added and stands in the file now in the same words belongs to the file; in other words it is a conflict."""
    added = changed(settings, put(name="web02", **KEYS)).records
    exported = toml.tables("host", [json.loads(record.keys) for record in added])
    taken = with_added(read(FILE + exported, tmp_path, file="rack.toml"), added)
    assert ((AddedHost("web02", ""),), (), 2) == (taken.records, taken.settings.added, len(taken.settings.hosts))
    with pytest.raises(ConfigError, match=r"added host web02\.name: is that of host\[2\] \(web02\) in rack\.toml"):
        with_added(read(FILE + exported.replace("b2", "b3"), tmp_path, file="rack.toml"), added)


def test_only_these(settings: Settings) -> None:
    """A whole list takes the place of what was added before, and leaves the file's alone."""
    one = changed(settings, put(name="old", mac="52:54:00:00:00:08")).settings
    new = Extra({"name": "new", "mac": "52:54:00:00:00:09"}, Place("new"))
    two = changed(one, Change(put=(new,), only=True))
    assert {"new": "added", "old": "removed"} == two.fates
    assert ["web01", "new"] == [host.name for host in two.settings.hosts]


# -- tables of values --------------------------------------------------------------------------------------------------------

TABLE = """\
name,mac,uuid,serial,profile,address,vars.rack,vars.disk
web02,52:54:00:00:00:02,,,alma9,10.0.0.12,b2,"sda, sdb"

,52:54:00:00:00:03 52:54:00:00:00:04,,,,,,
web04,,4c4c4544-0042-3510-8058-c7c04f4a4e32,,alma9,,"line
two",
"""


def imported(settings: Settings, text: str, **more: bool) -> Changed:
    """As the command does it."""
    return changed(settings, Change(put=host_table.from_text(text, "hosts.csv"), **more))


@pytest.mark.parametrize(
    "text",
    [TABLE, "\ufeff" + TABLE, TABLE.replace("\n", "\r\n"), TABLE.replace(",", "\t").replace("sda\t", "sda,")],
    ids=["plain", "with a mark", "of Windows", "with tabs"],
)
def test_a_table(settings: Settings, tmp_path: Path, text: str) -> None:
    """Every key by its column; an empty value is none; a host without a name is given one."""
    (tmp_path / "hosts.csv").write_text(text, encoding="utf-8", newline="")
    one = changed(settings, Change(put=host_table.read_table(tmp_path / "hosts.csv")))
    assert {"web02": "added", "host-525400000003": "added", "web04": "added"} == one.fates
    web02, made, web04 = one.settings.hosts[1:]
    assert ({"rack": "b2", "disk": "sda, sdb"}, "alma9") == (dict(web02.vars), web02.profile)
    assert ["52:54:00:00:00:03", "52:54:00:00:00:04"] == [mac_text(mac) for mac in made.macs]
    assert "line\ntwo" == str(web04.vars["rack"]).replace("\r\n", "\n")
    again = imported(one.settings, TABLE)
    assert {"unchanged"} == set(again.fates.values())


def test_every_column(settings: Settings, tmp_path: Path) -> None:
    """What a [[host]] may have with one value, and the tables key by key: it arrives, and an export has it all again."""
    text = (
        "name,mac,uuid,serial,profile,address,exit,vars.rack,loader.bios\n"
        "web02,52-54-00-00-00-02,4C4C4544-0042-3510-8058-C7C04F4A4E32,CN7,alma9,10.0.0.12,disk,b2,ipxe\n"
    )
    one = imported(settings, text)
    host = one.settings.hosts[1]
    assert ("web02", "CN7", "alma9", "disk", {"rack": "b2"}) == (
        host.name,
        host.serial,
        host.profile,
        host.exit.value if host.exit is not None else None,
        dict(host.vars),
    )
    assert ["ipxe"] == [loader.value for loader in host.loaders.values()]
    (record,) = one.records
    again = read(FILE + toml.tables("host", [json.loads(record.keys)]), tmp_path, file="rack.toml")
    assert one.settings.hosts == again.hosts


WRONG = {
    "a value": (TABLE.replace("10.0.0.12", "10.0.0"), ['hosts.csv:2: column 6 (address): "10.0.0" is not an IPv4 address; write four']),
    "twice": (TABLE + "web09,52:54:00:00:00:02,,,,,,\n", ["hosts.csv:7: column 2 (mac): is that of line 2 of hosts.csv too; give each host its own mac"]),
    "a name twice": (TABLE + "web02,52:54:00:00:00:09,,,,,,\n", ["hosts.csv:7: column 1 (name): is that of line 2 of hosts.csv too"]),
    "an address twice": (TABLE + "x,52:54:00:00:00:09,,,,10.0.0.12,,\n", ["hosts.csv:7: column 6 (address): is that of line 2 of hosts.csv too"]),
    "of the file": (TABLE + "x,52:54:00:00:00:01,,,,,,\n", ["hosts.csv:7: column 2 (mac): is that of host[1] (web01) in rack.toml, line 7 too"]),
    "short": (TABLE + "x,52:54:00:00:00:09\n", ["hosts.csv:7: has 2 values, and the first line names 8 columns"]),
    "no key": ("name,mac,adress\n", ["hosts.csv:1: column 3 (adress): is no key of a host; did you mean address?"]),
    "a key twice": ("mac,name,mac\n", ["hosts.csv:1: column 3 (mac): is there twice; name each key once"]),
    "no header": ("web02;52:54:00:00:00:02\n", ["hosts.csv:1: column 1 (web02): is no key of a host", "names none of mac, uuid, serial"]),
    "a quote": ('mac\n"52:54\n', ["hosts.csv:2: is no line of a table: unexpected end of data; close every quote"]),
    "empty": ("", ["hosts.csv:1: names none of mac, uuid, serial; begin with a line of keys"]),
    "nothing to know it by": (TABLE + "x,,,,,,,\n", ["hosts.csv:7: has none of mac, uuid, serial"]),
    "no exit": ("mac,exit\n52:54:00:00:00:09,away\n", ['hosts.csv:2: column 2 (exit): "away" is none of the choices']),
    "no loader": ("mac,loader.bios\n52:54:00:00:00:09,lilo\n", ['hosts.csv:2: column 2 (loader.bios): "lilo" is none of the choices']),
}  # fmt: skip


@pytest.mark.parametrize(("text", "reasons"), WRONG.values(), ids=WRONG)
def test_a_wrong_table(settings: Settings, text: str, reasons: list[str]) -> None:
    """Each fault with line and column, and nothing of the table is taken."""
    with pytest.raises(ConfigError) as refused:
        imported(settings, text)
    said = [str(problem) for problem in refused.value.problems]
    for reason in reasons:
        assert any(reason in each for each in said), said


def test_a_table_that_cannot_be_read(tmp_path: Path) -> None:
    """Said like any other fault."""
    (tmp_path / "latin.csv").write_bytes(b"mac\n\xe9\n")
    for name, reason in (
        ("none.csv", "cannot be read: No such file"),
        ("latin.csv", "cannot be read: it is not UTF-8"),
    ):
        with pytest.raises(ConfigError, match=reason):
            host_table.read_table(tmp_path / name)


# -- TOML ------------------------------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.one_of(
        TEXTS,
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        st.dates(),
        st.times(),
        st.datetimes(),
        st.datetimes(timezones=st.just(datetime.UTC)),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(TEXTS, VALUES, max_size=5), min_size=1, max_size=3))
def test_toml_comes_back(entries: list[dict[str, object]]) -> None:
    """What is written is read as the same, whatever keys and values there are."""
    assert {"host": entries} == tomllib.loads(toml.tables("host", entries))


NAMES = st.integers(0, 30).map(lambda number: f"n{number}")
HOSTS = st.fixed_dictionaries(
    {},
    optional={
        "profile": st.just("alma9"),
        "address": st.integers(20, 60).map(lambda number: f"10.0.0.{number}"),
        "vars": st.dictionaries(
            st.from_regex(r"[a-z_]{1,8}", fullmatch=True), VALUES.filter(lambda v: _json(v)), max_size=3
        ),
    },
)


def _json(value: object) -> bool:
    """It survives the store, which keeps JSON."""
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except TypeError:
        return False


@trials(max_examples=60, deadline=None)
@given(st.lists(st.tuples(NAMES, HOSTS), max_size=6, unique_by=lambda each: each[0]))
def test_an_export_is_the_same_inventory(entries: list[tuple[str, dict[str, object]]]) -> None:
    """Hosts that were added, exported and put into the file are the same hosts."""
    taken: set[object] = set()
    tables = []
    for number, (name, keys) in enumerate(entries):
        unique = {key: value for key, value in keys.items() if key != "address" or value not in taken}
        taken.add(keys.get("address"))
        tables.append({"name": name, "mac": f"52:54:00:01:00:{number:02x}", **unique})
    file = FILE.replace('kernel = "vmlinuz"', 'kernel = "/dev/null"').replace("/dev/null", __file__)
    plain = read(file, Path("/"), file="rack.toml")
    added = changed(plain, Change(put=tuple(Extra(table, Place(str(table["name"]))) for table in tables)))
    exported = toml.tables("host", [json.loads(record.keys) for record in added.settings.added])
    assert added.settings.hosts == read(file + exported, Path("/"), file="rack.toml").hosts

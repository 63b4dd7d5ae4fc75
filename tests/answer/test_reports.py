"""Reports in answer files of every kind: added once, where that installer runs them; what is made is accepted by its own parser."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import xml.etree.ElementTree as ElementTree
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import needs
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pxenet.answer.reports import busybox, one_line, reporting

INSTALLED, FAILED = "http://10.0.0.1:8080/installed/t", "http://10.0.0.1:8080/failed/t"
YAML = "/usr/lib/python3/dist-packages/yaml/__init__.py"

PRESEED = "d-i debian-installer/locale string en_US\nd-i passwd/root-password-crypted password $6$a$b\n"
LATE = 'd-i preseed/late_command string in-target touch /a; \\\n  echo "b # c" > /target/b;\nd-i x/y boolean true\n'

PRESEEDS = {
    "none": PRESEED,
    "no end": PRESEED.rstrip(),
    "one": PRESEED + LATE,
    "commented": PRESEED + "#d-i preseed/late_command string a\n# d-i preseed/late_command string b\n",
    "empty one": PRESEED + "d-i preseed/late_command string\n",
}


def preseeded(text: str) -> str:
    """The value of the late command."""
    joined = text.replace("\\\n", " ")
    *_, value = re.findall(r"^d-i preseed/late_command string ?(.*)$", joined, re.MULTILINE)
    return str(value)


@needs.tool("debconf-set-selections")
@pytest.mark.parametrize("name", PRESEEDS)
def test_preseed(name: str, tmp_path: Path) -> None:
    """The late command does what it did, and then reports; debconf and the shell take it, and the rest stays."""
    made = reporting("preseed", PRESEEDS[name], INSTALLED, FAILED)
    (tmp_path / "preseed").write_text(made)
    done = subprocess.run(
        ["debconf-set-selections", "-c", tmp_path / "preseed"], capture_output=True, timeout=60, check=False
    )
    assert (0, b"") == (done.returncode, done.stderr)
    value = preseeded(made)
    assert 0 == subprocess.run(["sh", "-n", "-c", value], timeout=60, check=False).returncode
    assert value.endswith(busybox(INSTALLED))
    if name == "one":
        assert value.startswith('in-target touch /a;    echo "b # c" > /target/b && {')
        assert made.endswith("d-i x/y boolean true\n")
    assert made.startswith(PRESEED)
    assert 1 == made.count("for i in 1 2 3 4 5")


def test_the_last_late_command_counts() -> None:
    """As for debconf, which keeps the last value of a question."""
    text = "d-i preseed/late_command string a\nd-i preseed/late_command string b\n"
    made = reporting("preseed", text, INSTALLED, FAILED)
    assert f"d-i preseed/late_command string a\nd-i preseed/late_command string b && {busybox(INSTALLED)}\n" == made


@needs.tool("debconf-set-selections")
def test_debconf_can_object(tmp_path: Path) -> None:
    """The check of preseeds can fail."""
    (tmp_path / "preseed").write_text("nonsense\n")
    command = ["debconf-set-selections", "-c", tmp_path / "preseed"]
    assert 0 != subprocess.run(command, capture_output=True, timeout=60, check=False).returncode


AUTOINSTALL = """\
#cloud-config
# comment
autoinstall:
  version: 1
  identity: {hostname: n, username: u, password: "$6$a$b"}
  packages:
  - vim
"""
WITH_LATE = (
    AUTOINSTALL
    + """\
  late-commands:
    - echo a
    # why
    - [curtin, in-target, --, sh, -c, "true"]
    - |
      echo ${#x}
      echo b

  keyboard:
    layout: de
package_update: true
"""
)
SAME_DEPTH = AUTOINSTALL + "  late-commands:\n  - echo a\n  updates: all\n  error-commands:\n  - tar\n"
SEEDS = {
    "none": (AUTOINSTALL, 0, 0),
    "late": (WITH_LATE, 3, 0),
    "same depth": (SAME_DEPTH, 1, 1),
    "four blanks": (AUTOINSTALL.replace("  ", "    "), 0, 0),
    "no end": (AUTOINSTALL.rstrip(), 0, 0),
    "other keys": (AUTOINSTALL + "\nusers:\n  - default\n", 0, 0),
}


def loaded(text: str) -> Any:
    """As Debian's YAML reads it."""
    return all_loaded([text])[0]


def all_loaded(texts: list[str]) -> list[Any]:
    """Many by one process."""
    script = (
        "import sys, json, yaml\n"
        "def load(text):\n"
        "    try:\n"
        "        return yaml.safe_load(text)\n"
        "    except yaml.YAMLError as error:\n"
        "        return str(error)\n"
        "print(json.dumps([load(text) for text in json.load(sys.stdin)], default=str))"
    )
    done = subprocess.run(
        ["/usr/bin/python3", "-c", script],
        input=json.dumps(texts),
        text=True,
        capture_output=True,
        timeout=60,
        check=True,
    )
    found: list[Any] = json.loads(done.stdout)
    return found


@needs.file(YAML, "python3-yaml")
@pytest.mark.parametrize("name", SEEDS)
def test_autoinstall(name: str) -> None:
    """Commands are added behind those that are there, and nothing else is changed."""
    text, late, error = SEEDS[name]
    made = reporting("autoinstall", text, INSTALLED, FAILED)
    before, after = loaded(text), loaded(made)
    commands = after["autoinstall"].pop("late-commands"), after["autoinstall"].pop("error-commands")
    given = before["autoinstall"].pop("late-commands", []), before["autoinstall"].pop("error-commands", [])
    assert (late, error) == (len(given[0]), len(given[1]))
    assert before == after
    assert (given[0], given[1]) == (commands[0][:-1], commands[1][:-1])
    assert one_line(INSTALLED) == commands[0][-1]
    assert FAILED in commands[1][-1]
    assert 0 == subprocess.run(["sh", "-n", "-c", commands[1][-1]], timeout=60, check=False).returncode
    assert made.startswith("#cloud-config\n")


_VALUES = st.one_of(
    st.sampled_from(["1", "vim", "[a, b]", "{a: b}", "[]", '"x: #y"', "'late-commands:'", "", "a # b", "&x [1]"]),
    st.sampled_from(["|", ">-"]).map(lambda mark: f"{mark}\n@  late-commands:\n@    - a\n\n@  # b"),
    st.lists(
        st.sampled_from(["a", "[b, c]", '"d"', "{e: f}", "|\n@  - g\n@  # h", "- i\n@  - j"]), min_size=1, max_size=3
    ).flatmap(
        lambda items: st.sampled_from(["\n", "\n  # why\n", "  # how\n"]).flatmap(
            lambda between: st.sampled_from(["", "  "]).map(
                lambda deeper: between + "\n".join(f"@{deeper}- {item.replace('@', '@' + deeper)}" for item in items)
            )
        )
    ),
)
_KEYS = st.sampled_from(
    ["version", "packages", "late-commands", "error-commands", "early-commands", "storage", "late-commandsx"]
)


@st.composite
def seeds(draw: st.DrawFn) -> str:
    """Autoinstall tables as people may write them, at any depth, with other tables around."""
    indent = " " * draw(st.integers(1, 4))
    lines = []
    for key, value in draw(st.dictionaries(_KEYS, _VALUES, min_size=1, max_size=5)).items():
        lines.append(f"{indent}{key}: {value}".replace("@", indent))
        lines += draw(st.sampled_from([[], [""], ["# between"], [f"{indent}# between"]]))
    before = draw(st.sampled_from(["#cloud-config\n", "#cloud-config\nusers: [a]\n# b\n"]))
    after = draw(st.sampled_from(["\n", "\n\n", "\nusers2:\n  - late-commands: x\n", "\n# end\n"]))
    return before + "autoinstall:\n" + "\n".join(lines) + after


@needs.file(YAML, "python3-yaml")
@settings(max_examples=25, deadline=None, phases=[Phase.generate])  # a process each: the text alone says what is wrong
@given(texts=st.lists(seeds(), min_size=40, max_size=40))
def test_autoinstall_of_any_shape(texts: list[str]) -> None:
    """Whatever the YAML looks like: it stays as it is, or it gains these commands and nothing else."""
    made = [reporting("autoinstall", text, INSTALLED, FAILED) for text in texts]
    for text, result, before, after in zip(texts, made, all_loaded(texts), all_loaded(made), strict=True):
        if isinstance(before, str):  # no YAML to begin with
            continue
        assert isinstance(after, dict), (text, after)
        if text != result:
            for key in ("late-commands", "error-commands"):
                assert after["autoinstall"][key][:-1] == before["autoinstall"].get(key, []), text
                after["autoinstall"][key] = before["autoinstall"].get(key)
                before["autoinstall"].setdefault(key, None)
        assert before == after, text


@pytest.mark.parametrize(
    "text",
    [
        "#cloud-config\nautoinstall: {version: 1}\n",
        AUTOINSTALL + "  late-commands: [a]\n",
        AUTOINSTALL + "  late-commands:\n",
        "#cloud-config\nusers: []\n",
        '{"autoinstall": {"version": 1}}',
        f"#cloud-config\nautoinstall:\n  late-commands:\n    - curl {INSTALLED}\n",
        "",
    ],
)
def test_autoinstall_that_is_left_alone(text: str) -> None:
    """Where the place is not certain, or the report is there, it stays as it is."""
    assert text == reporting("autoinstall", text, INSTALLED, FAILED)


PROFILE = (
    '<?xml version="1.0"?>\n<!DOCTYPE profile>\n<profile xmlns="http://www.suse.com/1.0/yast2ns" {}>\n{}</profile>\n'
)
NS = 'xmlns:config="http://www.suse.com/1.0/configns"'
PROFILES = {
    "none": PROFILE.format(NS, "<software/>\n"),
    "no namespace": PROFILE.format("", ""),
    "scripts": PROFILE.format(NS, '<scripts><pre-scripts config:type="list"><script/></pre-scripts></scripts>\n'),
    "chroot": PROFILE.format(NS, '<scripts><chroot-scripts config:type="list"><script/></chroot-scripts></scripts>\n'),
}


@needs.tool("xmllint")
@pytest.mark.parametrize("name", PROFILES)
def test_autoyast(name: str, tmp_path: Path) -> None:
    """One script in the installed system, beside those that are there."""
    made = reporting("autoyast", PROFILES[name], INSTALLED, FAILED)
    (tmp_path / "profile.xml").write_text(made)
    done = subprocess.run(
        ["xmllint", "--noout", tmp_path / "profile.xml"], capture_output=True, timeout=60, check=False
    )
    assert (0, b"") == (done.returncode, done.stderr)
    space = {"y": "http://www.suse.com/1.0/yast2ns"}
    root = ElementTree.fromstring(made.encode())
    (scripts,) = root.findall("y:scripts/y:chroot-scripts", space)
    sources = [each.text or "" for each in scripts.iterfind("y:script/y:source", space)]
    assert [one_line(INSTALLED) + "\n"] == sources
    assert (2 if name == "chroot" else 1) == len(scripts)
    assert "list" == scripts.get("{http://www.suse.com/1.0/configns}type")


IGNITION: dict[str, Any] = {
    "ignition": {"version": "3.3.0"},
    "passwd": {"users": [{"name": "core", "sshAuthorizedKeys": ["ssh-rsa A"]}]},
}
UNIT = {"name": "a.service", "contents": "[Unit]\nDescription=a\n"}


@needs.tool("ignition-validate")
@pytest.mark.parametrize("units", [[], [UNIT]])
def test_ignition(units: list[object], tmp_path: Path) -> None:
    """A unit and its script, which ignition-validate and the shell take."""
    given = {**IGNITION, "systemd": {"units": units}} if units else IGNITION
    made = reporting("ignition", json.dumps(given), INSTALLED, FAILED)
    (tmp_path / "config.ign").write_text(made)
    done = subprocess.run(["ignition-validate", tmp_path / "config.ign"], capture_output=True, timeout=60, check=False)
    assert (0, b"") == (done.returncode, done.stderr)
    config = json.loads(made)
    (script,) = config["storage"]["files"]
    assert "/installed/t" in script["contents"]["source"]
    assert units == config["systemd"]["units"][:-1]
    assert script["path"] in config["systemd"]["units"][-1]["contents"]
    assert IGNITION["passwd"] == config["passwd"]


@pytest.mark.parametrize(
    "text",
    [
        "variant: fcos\n",
        '{"ignition": {"version": "2.2.0"}}',
        "[]",
        "{}",
        '{"ignition": {"version": "3.0.0"}, "systemd": []}',
    ],
)
def test_ignition_that_is_left_alone(text: str) -> None:
    """What is no configuration of version 3 stays as it is."""
    assert text == reporting("ignition", text, INSTALLED, FAILED)


@pytest.mark.parametrize("kind", ["preseed", "autoinstall", "autoyast", "ignition", "agama", ""])
def test_a_report_that_is_there(kind: str) -> None:
    """It is not doubled; and kinds without a place stay as they are."""
    assert f"x {INSTALLED}" == reporting(kind, f"x {INSTALLED}", INSTALLED, FAILED)
    assert "x" == reporting("agama", "x", INSTALLED, FAILED)


class _Listener(BaseHTTPRequestHandler):
    heard: list[tuple[str, str, str]]

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        self.heard.append((self.command, self.path, body))
        self.send_response(200)
        self.end_headers()

    do_POST = do_GET  # noqa: N815 - the library's name

    def log_message(self, *arguments: object) -> None:
        pass


@needs.tool("curl", "wget")
@pytest.mark.parametrize("tools", [("curl",), ("wget",), ("bash", "grep")])
def test_the_line_reports(tools: tuple[str, ...], tmp_path: Path) -> None:
    """With curl, with wget, or with bash alone; a failure brings the end of the log along."""
    heard: list[tuple[str, str, str]] = []
    with HTTPServer(("127.0.0.1", 0), type("Listener", (_Listener,), {"heard": heard})) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        for tool in (*tools, "tail", "sleep"):
            found = needs.find(tool)
            assert found is not None
            (tmp_path / tool).symlink_to(found)
        (tmp_path / "log").write_text('it "broke" $here %s\n')
        for line in (one_line(f"{url}/installed/t"), one_line(f"{url}/failed/t", shlex.quote(str(tmp_path / "log")))):
            command = ["/bin/sh", "-c", line]
            assert (
                0
                == subprocess.run(
                    command, env={"PATH": str(tmp_path)}, capture_output=True, timeout=60, check=False
                ).returncode
            )
        server.shutdown()
    assert [("GET", "/installed/t", ""), ("POST", "/failed/t", 'it "broke" $here %s')] == heard

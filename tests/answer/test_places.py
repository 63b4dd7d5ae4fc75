"""Reports in answer files of every kind: added once, where that installer runs them; what is made is accepted by its own parser."""

from __future__ import annotations

import json
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import needs
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pxenet.answer.places import reporting
from pxenet.answer.reports import busybox, busybox_failed, busybox_watch, one_line

INSTALLED, FAILED = "http://10.0.0.1:8080/installed/t", "http://10.0.0.1:8080/failed/t"
YAML = "/usr/lib/python3/dist-packages/yaml/__init__.py"

PRESEED = "d-i debian-installer/locale string en_US\nd-i passwd/root-password-crypted password $6$a$b\n"
LATE = 'd-i preseed/late_command string in-target touch /a; \\\n  echo "b # c" > /target/b;\nd-i x/y boolean true\n'

PRESEEDS = {
    "none": PRESEED,
    "no end": PRESEED.rstrip(),
    "one": PRESEED + LATE,
    "commented": PRESEED + "#d-i preseed/late_command string a\n# d-i preseed/late_command string b\n",
    "early": PRESEED + "d-i preseed/early_command string sed -i s/a/b/ /c; \\\n  true\n",
    "empty one": PRESEED + "d-i preseed/late_command string\n",
}


def preseeded(text: str, question: str) -> str:
    """The value of one of the commands."""
    joined = text.replace("\\\n", " ")
    *_, value = re.findall(rf"^d-i preseed/{question} string ?(.*)$", joined, re.MULTILINE)
    return str(value)


@needs.tool("debconf-set-selections")
@pytest.mark.parametrize("name", PRESEEDS)
def test_preseed(name: str, tmp_path: Path) -> None:
    """The commands do what they did; debconf and the shell take them, and the rest stays."""
    made = reporting("preseed", PRESEEDS[name], INSTALLED, FAILED)
    (tmp_path / "preseed").write_text(made)
    done = subprocess.run(
        ["debconf-set-selections", "-c", tmp_path / "preseed"], capture_output=True, timeout=60, check=False
    )
    assert (0, b"") == (done.returncode, done.stderr)
    late, early = preseeded(made, "late_command"), preseeded(made, "early_command")
    for value in (late, early):
        assert 0 == subprocess.run(["sh", "-n", "-c", value], timeout=60, check=False).returncode
    assert late.endswith(busybox(INSTALLED))
    assert early.startswith(busybox_watch(FAILED))
    if name == "one":
        assert late.startswith('in-target touch /a;    echo "b # c" > /target/b || { logger')
        assert "d-i x/y boolean true\n" in made
    if name == "early":
        assert early.endswith("& sed -i s/a/b/ /c;    true")
    assert made.startswith(PRESEED)
    assert 1 == made.count("for i in 1 2 3 4 5")


def test_the_last_late_command_counts() -> None:
    """As for debconf, which keeps the last value of a question."""
    text = "d-i preseed/late_command string a\nd-i preseed/late_command string b\n"
    made = reporting("preseed", text, INSTALLED, "")
    assert f"d-i preseed/late_command string a\nd-i preseed/late_command string b && {busybox(INSTALLED)}\n" == made


@pytest.mark.parametrize(
    ("command", "told"), [("true", ["installed"]), ("true; false", ["failed"]), ("", ["installed"])]
)
def test_what_a_late_command_tells(command: str, told: list[str]) -> None:
    """One that fails reports a failure, and still fails; else the end is reported."""
    made = reporting("preseed", f"d-i preseed/late_command string {command}\n", INSTALLED, FAILED)
    late = preseeded(made, "late_command").replace(busybox(INSTALLED), "echo installed")
    done = subprocess.run(
        ["sh", "-c", f"logger() {{ :; }}; {late.replace(busybox_failed(FAILED), 'echo failed')}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (told, told == ["failed"]) == (done.stdout.split(), done.returncode != 0)


def test_a_watch_does_not_see_itself() -> None:
    """The installer logs each command that it runs: in the log that is watched."""
    (pattern,) = re.findall("grep -qE '(.*?)'", busybox_watch(FAILED))
    assert (
        re.search(pattern, f"preseed: running preseed command preseed/early_command: {busybox_watch(FAILED)}") is None
    )
    for line in (
        "main-menu[213]: WARNING **: Menu item 'partman-base' failed.",
        "base-installer: error: exiting on error base-installer/debootstrap-failed",
        "anna[2043]: WARNING **: bad d-i Packages file",
        "anna[2043]: WARNING **: package retrieval failed",
        "choose-mirror[1]: WARNING **: mirror does not support the specified release (bookworm)",
    ):
        assert re.search(pattern, line) is not None, line
    assert re.search(pattern, "anna[2043]: WARNING **: resolver (libgcc1): package doesn't exist (ignored)") is None


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
        for key, url in (("late-commands", INSTALLED), ("error-commands", FAILED)):
            if url in result:
                assert after["autoinstall"][key][:-1] == before["autoinstall"].get(key, []), text
                after["autoinstall"][key] = before["autoinstall"].get(key)
                before["autoinstall"].setdefault(key, None)
        assert before == after, text


@pytest.mark.parametrize(
    "text",
    [
        "#cloud-config\nautoinstall: {version: 1}\n",
        AUTOINSTALL + "  late-commands: [a]\n  error-commands: [a]\n",
        AUTOINSTALL + "  late-commands:\n  error-commands:\n",
        "#cloud-config\nusers: []\n",
        '{"autoinstall": {"version": 1}}',
        f"#cloud-config\nautoinstall:\n  late-commands:\n    - curl {INSTALLED}\n  error-commands:\n    - curl {FAILED}\n",
        "",
    ],
)
def test_autoinstall_that_is_left_alone(text: str) -> None:
    """Where the place is not certain, or the reports are there, it stays as it is."""
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


def autoyast_scripts(text: str, element: str) -> tuple[ElementTree.Element, list[str]]:
    """A list of scripts, and the shell of each."""
    space = {"y": "http://www.suse.com/1.0/yast2ns"}
    (scripts,) = ElementTree.fromstring(text.encode()).findall(f"y:scripts/y:{element}", space)
    return scripts, [each.text or "" for each in scripts.iterfind("y:script/y:source", space)]


@needs.tool("xmllint")
@pytest.mark.parametrize("name", PROFILES)
def test_autoyast(name: str, tmp_path: Path) -> None:
    """One script in the installed system and one before everything else, beside those that are there."""
    made = reporting("autoyast", PROFILES[name], INSTALLED, FAILED)
    (tmp_path / "profile.xml").write_text(made)
    done = subprocess.run(
        ["xmllint", "--noout", tmp_path / "profile.xml"], capture_output=True, timeout=60, check=False
    )
    assert (0, b"") == (done.returncode, done.stderr)
    chroot, sources = autoyast_scripts(made, "chroot-scripts")
    assert [one_line(INSTALLED) + "\n"] == sources
    assert (2 if name == "chroot" else 1) == len(chroot)
    before, _ = autoyast_scripts(made, "pre-scripts")
    assert (2 if name == "scripts" else 1) == len(before)
    for scripts in (chroot, before):
        assert "list" == scripts.get("{http://www.suse.com/1.0/configns}type")


def test_autoyast_leaves_hooks(tmp_path: Path) -> None:
    """The script before everything else leaves what YaST runs at a failure and when it is stopped: programs that send its log."""
    _, (source,) = autoyast_scripts(reporting("autoyast", PROFILES["none"], INSTALLED, FAILED), "pre-scripts")
    assert "/var/lib/YaST2/hooks/installation\n" in source
    subprocess.run(["sh", "-e", "-c", source.replace("/var/lib/YaST2", str(tmp_path))], timeout=60, check=True)
    hooks = {hook.name: hook for hook in (tmp_path / "hooks/installation").iterdir()}
    assert {"installation_failure_00_pxenet", "installation_aborted_00_pxenet"} == hooks.keys()
    for hook in hooks.values():
        assert f"#!/bin/bash\n{one_line(FAILED, '/var/log/YaST2/y2log')}\n" == hook.read_text()
        assert 0o755 == hook.stat().st_mode & 0o777


IGNITION: dict[str, Any] = {
    "ignition": {"version": "3.3.0"},
    "passwd": {"users": [{"name": "core", "sshAuthorizedKeys": ["ssh-rsa A"]}]},
}
UNIT = {"name": "a.service", "contents": "[Unit]\nDescription=a\n"}


@needs.tool("ignition-validate")
@pytest.mark.parametrize(
    "units", [[], [UNIT, {"name": "b.timer", "contents": "[Timer]\n"}, {"name": "c.service", "mask": True}]]
)
def test_ignition(units: list[dict[str, object]], tmp_path: Path) -> None:
    """Units and their scripts, which ignition-validate and the shell take; services that the configuration brings tell of failures."""
    given = {**IGNITION, "systemd": {"units": units}} if units else IGNITION
    made = reporting("ignition", json.dumps(given), INSTALLED, FAILED)
    (tmp_path / "config.ign").write_text(made)
    done = subprocess.run(["ignition-validate", tmp_path / "config.ign"], capture_output=True, timeout=60, check=False)
    assert (0, b"") == (done.returncode, done.stderr)
    config = json.loads(made)
    *own, failed, report = config["systemd"]["units"]
    for unit, script, word in zip((failed, report), config["storage"]["files"], ("failed", "installed"), strict=True):
        shell = unquote(script["contents"]["source"].removeprefix("data:,"))
        assert f"/{word}/t" in shell
        assert 0 == subprocess.run(["sh", "-n", "-c", shell], timeout=60, check=False).returncode
        assert f"ExecStart=/bin/sh {script['path']}\n" in unit["contents"]
        assert ("WantedBy=" in unit["contents"]) == unit["enabled"] == (word == "installed")
    dropin = {"name": "pxenet.conf", "contents": "[Unit]\nOnFailure=pxenet-failed.service\n"}
    assert [{**unit, "dropins": [dropin]} if unit is UNIT else unit for unit in units] == own
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
def test_reports_that_are_there(kind: str) -> None:
    """They are not doubled; and kinds without a place stay as they are."""
    text = f"x {INSTALLED} {FAILED}"
    assert text == reporting(kind, text, INSTALLED, FAILED)
    assert "x" == reporting("agama", "x", INSTALLED, FAILED)

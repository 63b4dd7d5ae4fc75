"""Kickstart from data: every feature for every release is accepted by that release's own parser, or refused by its key."""

from __future__ import annotations

import dataclasses
import shlex
import subprocess
import sys
import typing
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kickstart_scene import FEATURES, HANDLERS, KEY, NET, PASSWORD, REFUSED
from pykickstart.errors import KickstartParseWarning
from pykickstart.parser import KickstartParser
from pykickstart.version import makeVersion

from pxenet.answer.context import names
from pxenet.answer.kickstart import BUILT_IN, Version, check, render
from pxenet.answer.kickstart.commands import render_data
from pxenet.answer.kickstart.data import Kickstart, from_mapping, laid_over, record_in, to_mapping, types_of
from pxenet.answer.kickstart.lines import InexpressibleError, quoted
from pxenet.answer.kickstart.machine import Machine
from pxenet.answer.templates import TemplateProblem
from pxenet.config import from_text
from pxenet.config.document import toml
from pxenet.model import Host, Profile
from pxenet.net.datagram import Interface
from pxenet.rack.desk import Desk
from pxenet.rack.preview import problems


def seen(version: str, data: Mapping[str, object], profile: str = "linux") -> dict[str, object]:
    host = Host("node1", bytes.fromhex("525400123456"), kickstart={"version": version, **PASSWORD, **data})
    source = Profile(profile, "k", answer=BUILT_IN, source_url="{server}/profile/linux")
    return names(host, source, token="ab" * 16, server_url="http://10.0.0.1", server_address=0x0A000001, network=NET)


def complaints(text: str, handler: str) -> list[str]:
    """What the parser of a release says of a kickstart, its warnings included."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            KickstartParser(makeVersion(handler), missingIncludeIsFatal=True).readKickstartFromString(text)
        except Exception as error:  # noqa: BLE001 - whatever it says is the finding
            return [str(error)]
    return [str(each.message) for each in caught if issubclass(each.category, KickstartParseWarning)]


@pytest.mark.parametrize("version", Version, ids=lambda version: version.value)
@pytest.mark.parametrize("feature", FEATURES)
def test_every_feature_in_every_release(feature: str, version: Version) -> None:
    """The release's own parser accepts what is rendered without a warning; what it cannot be told is refused by its key."""
    refused = REFUSED.get((feature, version.value))
    if refused is not None:
        with pytest.raises(InexpressibleError, match=version.value) as caught:
            render(BUILT_IN, seen(version.value, FEATURES[feature]))
        assert refused == caught.value.key
        return
    text = render(BUILT_IN, seen(version.value, FEATURES[feature]))
    assert [] == check(text, version)
    assert {handler: [] for handler in HANDLERS[version]} == {
        handler: complaints(text, handler) for handler in HANDLERS[version]
    }


def _kinds(record: type, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Each key of the data, and the type of what is written there, tables excepted."""
    for each in dataclasses.fields(record):
        kind = types_of(record)[each.name]
        inner, _ = record_in(kind)
        if inner is None:
            yield prefix + each.name, kind
        else:
            yield from _kinds(inner, f"{prefix}{each.name}.")


def _written(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Each key of a feature, and its value."""
    for name, value in values.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, Mapping):
                yield from _written(each, f"{prefix}{name}.")
            else:
                yield prefix + name, each


def _spellings(key: str, kind: object) -> list[tuple[str, object]]:
    """What is to be tried of a key: every choice where there are some, else any value."""
    if typing.get_origin(kind) is typing.Literal:
        return [(key, choice) for choice in typing.get_args(kind) if choice]
    return [(key, True), (key, False)] if kind is bool else [(key, None)]


def test_the_matrix_is_whole() -> None:
    """Every key of the data is a feature of the matrix, with each of its choices; defaults are tried by all others."""
    kinds = dict(_kinds(Kickstart))
    wanted = {each for key, kind in kinds.items() for each in _spellings(key, kind)}
    choices = {key for key, kind in kinds.items() if _spellings(key, kind) != [(key, None)]}
    tried = {(key, value if key in choices else None) for data in FEATURES.values() for key, value in _written(data)}
    tried |= {(key, value if key in choices else None) for key, value in _written({"version": "rhel9", **PASSWORD})}
    defaults = {(key, value) for key, value in _written(_defaults(Kickstart)) if key in choices}
    assert set() == wanted - tried - defaults


def _defaults(record: type) -> dict[str, object]:
    """What is written nowhere: the default of each key that has one, of tables in lists too."""
    found: dict[str, object] = {}
    for each in dataclasses.fields(record):
        inner, _ = record_in(types_of(record)[each.name])
        if inner is not None:
            found[each.name] = _defaults(inner)
        elif each.default is not dataclasses.MISSING:
            found[each.name] = each.default
    return found


@pytest.mark.parametrize(("feature", "version"), REFUSED, ids="-".join)
def test_what_is_refused_names_key_host_and_release(feature: str, version: str, tmp_path: Path) -> None:
    """In a configuration, the problem says where it was written, for which host, and which release cannot be told."""
    (tmp_path / "vmlinuz").write_text("")
    data = {"version": version, **PASSWORD, **FEATURES[feature]}
    lines = "\n".join(f"{key} = {toml(value)}" for key, value in data.items())
    text = f'[[profile]]\nname = "linux"\nkernel = "vmlinuz"\n[profile.kickstart]\n{lines}\n{HOST}'
    settings = from_text(text, tmp_path, file="rack.toml")
    with Desk(settings, [Interface(1, "eth0", b"", ((0x0A000001, 24),))]) as desk:
        (found,) = problems(desk.rack, settings, desk.hosts(), desk.address)
    key = f"profile[1] (linux).kickstart.{REFUSED[feature, version]}"
    assert (key, True, True) == (found.key, version in found.wrong, found.wrong.endswith("(for web01)")), str(found)


HOST = """\
[[dhcp.subnet]]
network = "10.0.0.0/24"
[[host]]
mac = "52:54:00:12:34:56"
name = "web01"
address = "10.0.0.11"
profile = "linux"
"""


def test_the_validator_itself_can_object() -> None:
    """A text of another release is not accepted: the matrix can fail."""
    text = render(BUILT_IN, seen("rhel9", {"ntp": ["ntp.example"]}))
    assert complaints(text, "RHEL7") != []


@pytest.mark.parametrize("feature", ["plain", "lvm", "bond", "scripts"])
def test_the_command_agrees(feature: str, tmp_path: Path) -> None:
    """``ksvalidator``, as people run it, takes the release's kickstart, and not the one of another release."""
    validator = Path(sys.executable).with_name("ksvalidator")
    statuses = []
    for version in ("rhel9", "rhel7"):
        file = tmp_path / f"{version}.cfg"
        file.write_text(render(BUILT_IN, seen(version, FEATURES[feature])))
        statuses.append(subprocess.run([validator, "-v", "RHEL9", file], capture_output=True, timeout=60).returncode)
    assert [True, False] == [status == 0 for status in statuses]  # RHEL 7's begins with "install"


@pytest.mark.parametrize(
    ("data", "key", "words"),
    [
        ({"root_password": ""}, "root_password", "nobody could log in"),
        ({"root_password": "secret"}, "root_password", "openssl passwd -6"),
        ({"user": [{"name": "a"}]}, "user[1].password", "a has no way to log in"),
        ({"version": "solaris"}, "version", '"solaris" is no release that is known; rhel6'),
        ({"network": [{"bond": ["a", "b"]}]}, "network[1].device", "such as bond0"),
        ({"network": [{"device": "x", "bond": ["a"], "bridge": ["b"]}]}, "network[1].bridge", "make two of them"),
        ({"network": [{}, {"device": "b", "method": "static"}]}, "network[2].address", "is missing"),
        ({"network": [{"method": "static", "address": "10.0.0.5"}]}, "network[1].address", "such as 10.0.0.5/24"),
        ({"network": [{"method": "static", "address": "x/24"}]}, "network[1].address", "is not an address"),
        ({"network": [{"address": "10.0.0.5/24"}]}, "network[1].address", 'belongs to method = "static"'),
        ({"disk": {"encrypt": True}}, "disk.encrypt", "needs disk.passphrase"),
        ({"partition": [{"mount": "/"}]}, "partition[1].size", "how large shall / be?"),
        ({"partition": [{"mount": "/", "size": "big"}]}, "partition[1].size", '"big" is not a size'),
        ({"partition": [{"mount": "/", "size": "0G"}]}, "partition[1].size", "is not a size"),
        (
            {"partition": [{"mount": "/", "size": "1G", "group": "vg"}]},
            "partition[1].group",
            "is called vg; known: none",
        ),
        ({"volume_group": [{"name": "vg0"}]}, "volume_group", "vg0 has no partition in it"),
        ({"partition": [{"mount": "/", "size": "1G", "raid": "7"}]}, "partition[1].raid", '"7" is no level'),
        ({"partition": [{"mount": "/", "size": "1G", "raid": "1"}]}, "partition[1].raid", "needs 2 disks"),
        ({"kdump": "much"}, "kdump", '"much" is not auto, off or a number'),
        ({"repository": [{"name": "x"}]}, "repository[1].url", "one of url, mirror_list and metalink"),
        ({"packages": ["vim\n%end"]}, "packages", "is not one package"),
        ({"commands": ["%post"]}, "commands", "is not one command"),
        ({"language": "en\nrootpw x"}, "language", "has more than one line"),
        ({"etc_hosts": ["a\nb"]}, "etc_hosts", "has more than one line"),
        ({"post": "a\n  %end"}, "post", "read by the installer, not by the script"),
        ({"script": [{"when": "pre", "body": "%include x"}]}, "script[1].body", "read by the installer"),
        ({"script": [{"when": "pre", "body": "x", "outside": True}]}, "script[1].body", "outside is for post"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_makes_no_sense(data: Mapping[str, object], key: str, words: str) -> None:
    """Each fault is told by the key it is in, and by what would be right."""
    with pytest.raises(InexpressibleError) as caught:
        render(BUILT_IN, seen("rhel9", data))
    assert (f"kickstart.{key}", True) == (caught.value.file, words in caught.value.message)


def test_shell_text_passes_unharmed() -> None:
    """No character of a script means anything to us, or to a template engine."""
    script = "x=$(cat <<'E'\n{{ a }} {% b %} {# c #} ${#d[@]} $e \\n 'f' \"g\"\nE\n)"
    assert f"%post\n{script}\n%end\n" in render(BUILT_IN, seen("rhel9", {"post": script}))


def test_an_overlay_sees_the_data_rendered(tmp_path: Path) -> None:
    """A template of a profile that has data takes its parts, and adds to them."""
    template = tmp_path / "ks.cfg"
    template.write_text("{{ kickstart.commands }}# mine\n{{ kickstart.packages }}{{ kickstart.scripts }}")
    made = render(str(template), seen("rhel9", {"packages": ["vim"]}))
    assert render(BUILT_IN, seen("rhel9", {"packages": ["vim"]})) == made.replace("# mine\n", "\n")
    assert "# mine\n" in made


def test_hosts_over_profiles() -> None:
    """Tables are laid over key by key, lists and values replaced."""
    below = {"language": "de", "disk": {"use": ["sda"], "wipe": "all"}, "packages": ["a"]}
    above = {"disk": {"use": ["nvme0n1"]}, "packages": ["b"]}
    assert {"language": "de", "disk": {"use": ["nvme0n1"], "wipe": "all"}, "packages": ["b"]} == laid_over(below, above)
    assert below["disk"] == {"use": ["sda"], "wipe": "all"}


@pytest.mark.parametrize("feature", FEATURES)
def test_data_both_ways(feature: str) -> None:
    """A record says of itself what was written, and nothing else."""
    written = {key: value for key, value in {**PASSWORD, **FEATURES[feature]}.items() if value != ""}
    again = to_mapping(from_mapping(written, Kickstart))
    assert from_mapping(again, Kickstart) == from_mapping(written, Kickstart)
    assert set(again) <= set(written)


@given(st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), min_size=1))
def test_quoting(word: str) -> None:
    """Whatever a value is, the installer's splitting of lines gives it back."""

    for each in (word, f"--option={word}"):
        assert [each] == shlex.split(quoted(each), comments=True)


def test_the_first_line_says_whose_it_is() -> None:
    """The machine and its profile; of one that was made for nobody, the release."""
    assert render(BUILT_IN, seen("rhel9", {})).startswith("# node1: linux\n")
    data = from_mapping({"version": "rhel6", **PASSWORD}, Kickstart)
    assert render_data(data, Machine("", "")).text.startswith("# rhel6\n")


def test_keys_for_releases_without_the_command() -> None:
    """RHEL 6 and 7 know no sshkey: a script puts the keys where sshd looks."""
    text = render(BUILT_IN, seen("rhel7", {"root_ssh_keys": [KEY]}))
    assert ("\nsshkey" in text, f"PXENET_KEYS'\n{KEY}\nPXENET_KEYS\n" in text) == (False, True)


def test_a_variable_is_named_as_it_was_written() -> None:
    """Who writes vars.bootproto is not told of a key that is nowhere in the configuration."""
    host = Host("n", vars={"bootproto": "static", "rootpw": "$6$a$b"})
    with pytest.raises(TemplateProblem, match=r"^vars\.bootproto: is static, but"):
        render(
            BUILT_IN, names(host, Profile("alma9", "k", answer=BUILT_IN), token="t", server_url="", server_address=0)
        )

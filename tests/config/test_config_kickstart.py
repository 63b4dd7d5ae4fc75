"""``[profile.kickstart]``: keys of the record, checked like all others, and faults told where they were written."""

from __future__ import annotations

from pathlib import Path

import pytest

from pxenet.config import ConfigError, from_text
from pxenet.model import Asker
from pxenet.net.datagram import Interface
from pxenet.rack.desk import Desk
from pxenet.rack.preview import problems

PROFILE = """\
[[profile]]
name = "alma9"
kernel = "vmlinuz"
[profile.kickstart]
root_password = "$6$salt$hash"
"""
HOST = """\
[[host]]
mac = "52:54:00:12:34:56"
name = "web01"
profile = "alma9"
"""


@pytest.fixture(name="base")
def made_base(tmp_path: Path) -> Path:
    (tmp_path / "vmlinuz").write_bytes(b"kernel")
    return tmp_path


def test_what_is_kept_is_what_was_written(base: Path) -> None:
    """Only written keys count, so that a host's are laid over its profile's; an answer file is then made of them."""
    settings = from_text(PROFILE + HOST + 'kickstart = { packages = ["vim"] }\n', base)
    assert settings.profiles[0].answer == "kickstart"
    assert dict(settings.profiles[0].kickstart) == {"root_password": "$6$salt$hash"}
    assert dict(settings.hosts[0].kickstart) == {"packages": ["vim"]}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('langage = "de"', "profile[1] (alma9).kickstart.langage: no such key; did you mean language?"),
        ("packages = 1", "profile[1] (alma9).kickstart.packages: 1 is not a list"),
        ('disk = { wype = "all" }', "kickstart.disk.wype: no such key; did you mean wipe?"),
        ('disk.wipe = "some"', "kickstart.disk.wipe: \"some\" is not a choice; write 'all', 'linux' or 'none'"),
        ("user = [{ uid = 1 }]", 'kickstart.user[1].name: is missing; write e.g. name = "ops"'),
        (
            'user = [{ name = "a", uid = "1" }]',
            'kickstart.user[1].uid: "1" is not a whole number; write it without quotes',
        ),
        ('firstboot = "no"', 'kickstart.firstboot: "no" is not true or false'),
    ],
)
def test_a_wrong_key(text: str, problem: str, base: Path) -> None:
    """Unknown keys and values of the wrong kind are told with file, line and dotted key."""
    with pytest.raises(ConfigError) as caught:
        from_text(PROFILE + text + "\n" + HOST, base, file="rack.toml")
    (found,) = [str(each) for each in caught.value.problems]
    assert (True, True) == (found.startswith("rack.toml:"), problem in found), found


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('user = [{ name = "a" }]', 6, "kickstart.user[1].password: a has no way to log in"),
        ('ntp = ["x"]\nversion = "rhel6"', 6, "kickstart.ntp: cannot be told to rhel6"),
        ('post = """\nx\n%end\n"""', 6, "kickstart.post: line 2: %end at the start"),
    ],
)
def test_what_a_release_cannot_be_told(text: str, line: int, words: str, base: Path) -> None:
    """The problem names file, line, key, host and release."""
    settings = from_text(PROFILE + text + "\n" + HOST, base, file="rack.toml")
    desk = Desk(settings, [Interface(1, "eth0", b"", ((0x0A000001, 24),))])
    (found,) = problems(desk.rack, settings, desk.hosts(), desk.address)
    assert (line, True, True) == (found.line, words in str(found), "(for web01)" in str(found)), str(found)


def test_inheritance(base: Path) -> None:
    """Defaults, profile, host: tables of the data key by key, variables by name; a profile without data gets none."""
    text = (
        '[defaults]\nvars = { a = 1, b = 1, c = 1 }\nkickstart = { timezone = "UTC", disk = { use = ["sda"], wipe = "linux" } }\n'
        + PROFILE
        + 'disk = { use = ["sdb"] }\n[[profile]]\nname = "other"\nkernel = "vmlinuz"\nvars = { b = 2, c = 2 }\n'
        + HOST.replace("alma9", "other")
        + "vars = { c = 3 }\n"
    )
    settings = from_text(text, base)
    made, other = settings.profiles
    assert {
        "timezone": "UTC",
        "disk": {"use": ["sdb"], "wipe": "linux"},
        "root_password": "$6$salt$hash",
    } == dict(made.kickstart)
    assert (None, {}) == (other.answer, dict(other.kickstart))
    with Desk(settings, []) as desk:
        seen = desk.rack.names(settings.hosts[0], other, Asker(0))
    assert {"a": 1, "b": 2, "c": 3} == seen["vars"]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('[defaults.kickstart]\nntp = ["x"]\n' + PROFILE + 'version = "rhel6"\n' + HOST, "defaults.kickstart.ntp"),
        (PROFILE + 'version = "rhel6"\nntp = ["x"]\n' + HOST, "profile[1] (alma9).kickstart.ntp"),
        (PROFILE + 'version = "rhel6"\n' + HOST + 'kickstart = { ntp = ["x"] }\n', "host[1] (web01).kickstart.ntp"),
    ],
)
def test_a_fault_is_told_where_it_was_written(text: str, where: str, base: Path) -> None:
    """Below the defaults, the profile or the host."""
    settings = from_text(text, base)
    with Desk(settings, []) as desk:
        (found,) = problems(desk.rack, settings, settings.hosts, desk.address)
    assert (where, True) == (found.key, "cannot be told to rhel6" in found.wrong)


def test_a_wrong_default(base: Path) -> None:
    """It is checked as a profile's is."""
    with pytest.raises(ConfigError, match=r"defaults\.kickstart\.disk\.wype: no such key; did you mean wipe\?"):
        from_text('[defaults]\nkickstart.disk = { wype = "all" }\n' + PROFILE, base)

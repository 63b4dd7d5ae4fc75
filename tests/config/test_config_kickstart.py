"""``[profile.kickstart]``: keys of the record, checked like all others, and faults told where they were written."""

from __future__ import annotations

from pathlib import Path

import pytest

from pxenet.config import ConfigError, from_text
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

"""Kickstart: the built-in template is good for every release, and what an installer would stumble over is found by line."""

from __future__ import annotations

import pytest

from pxenet.answer.context import HostNetwork, names
from pxenet.answer.kickstart import DIALECTS, Fate, Version, body_lines, check, render, version_of
from pxenet.answer.templates import TemplateProblem
from pxenet.model import Host, Profile

NET = HostNetwork(0x0A000005, 0xFFFFFF00, 0x0A000001, (0x0A000001, 0x0A000002), "lab.example")
STATIC = {"bootproto": "static"}


def built_in(version: str, variables: dict[str, object], network: HostNetwork = NET) -> str:
    host = Host(
        "node1", bytes.fromhex("525400123456"), vars={"version": version, "rootpw": "$6$salt$hash", **variables}
    )
    profile = Profile("linux", "k", answer="kickstart", source_url="{server}/profile/linux")
    seen = names(
        host, profile, token="ab" * 16, server_url="http://10.0.0.1", server_address=0x0A000001, network=network
    )
    return render("kickstart", seen)


ALL: dict[str, object] = {
    "ntp": ["ntp.example"],
    "packages": ["vim", "-nano"],
    "repos": {"extra": "http://10.0.0.1/extra"},
    "disk": "sda",
    "post": "echo done > /root/done",
    "append": "console=ttyS0",
    "end": "poweroff",
}


@pytest.mark.parametrize("variables", [{}, STATIC, ALL], ids=["plain", "static", "all"])
@pytest.mark.parametrize("version", Version)
def test_the_built_in_kickstart_is_good_everywhere(version: Version, variables: dict[str, object]) -> None:
    """No release finds an error or anything deprecated in it; without a table's column the structure alone is checked."""
    values = {key: value for key, value in variables.items() if not (key == "ntp" and version is Version.RHEL6)}
    text = built_in(version.value, values)
    assert [] == check(text, version)
    assert [] == check(text)


def test_what_is_in_it() -> None:
    """Host name, static network, password hash, packages, repository, callback with a fallback, failure report."""
    text = built_in("rhel9", STATIC | ALL)
    for line in (
        "url --url=http://10.0.0.1/profile/linux\n",
        "repo --name=extra --baseurl=http://10.0.0.1/extra\n",
        "network --device=52:54:00:12:34:56 --bootproto=static --ip=10.0.0.5 --netmask=255.255.255.0 --gateway=10.0.0.1 "
        "--nameserver=10.0.0.1,10.0.0.2 --hostname=node1.lab.example --onboot=yes --activate\n",
        "rootpw --iscrypted $6$salt$hash\n",
        "timesource --ntp-server=ntp.example\n",
        "ignoredisk --only-use=sda\n",
        "\nvim\n-nano\n%end\n",
        "echo done > /root/done\n",
        "curl -fsS --retry 5 -o /dev/null http://10.0.0.1/installed/abababababababababababababababab ||\n    "
        "wget -q -O /dev/null http://10.0.0.1/installed/abababababababababababababababab ||\n    ",
        "%onerror\nlog=$(tail -c 4000 /tmp/anaconda.log /tmp/program.log 2>/dev/null)\n"
        'curl -fsS --retry 5 -o /dev/null --data-binary "$log" http://10.0.0.1/failed/',
        "\npoweroff\n",
    ):
        assert line in text
    assert "--bootproto=dhcp --hostname=node1.lab.example" in built_in("rhel9", {})


@pytest.mark.parametrize(
    ("version", "present", "absent"),
    [
        ("rhel6", ["\ninstall\n", "\n%traceback\n"], ["eula", "%onerror", "--activate"]),
        ("rhel7", ["\ninstall\n", "eula --agreed", "\n%traceback\n"], ["%onerror", "sshkey"]),
        ("rhel8", ["--ntpservers=n", "%onerror"], ["\ninstall\n", "timesource", "%traceback"]),
        ("rhel10", ["timesource --ntp-server=n"], ["--ntpservers"]),
        ("fedora", ["timesource --ntp-server=n"], ["--ntpservers"]),
    ],
)
def test_releases_differ(version: str, present: list[str], absent: list[str]) -> None:
    """Each release gets its own spelling."""
    text = built_in(version, {} if version == "rhel6" else {"ntp": ["n"]})
    assert [] == [word for word in present if word not in text]
    assert [] == [word for word in absent if word in text]


@pytest.mark.parametrize(
    ("variables", "network", "problem"),
    [
        ({"post": "cat <<E\n  %end\nE"}, NET, "vars.post:2: %end at the start of a line"),
        (STATIC, HostNetwork(), "vars.bootproto: is static, but the host has no address"),
    ],
)
def test_what_the_built_in_kickstart_refuses(variables: dict[str, object], network: HostNetwork, problem: str) -> None:
    """A body that would end its own section, and a static network without an address."""
    with pytest.raises(TemplateProblem) as caught:
        built_in("rhel9", variables, network)
    assert str(caught.value).startswith(problem)


def test_a_password_or_key_is_needed() -> None:
    """A machine nobody can enter is not installed; a key alone locks the password."""
    seen = names(Host("n"), Profile("alma9", "k", answer="kickstart"), token="t", server_url="", server_address=0)
    with pytest.raises(TemplateProblem, match=r"vars\.rootpw: is missing"):
        render("kickstart", seen)
    keyed = names(
        Host("n", vars={"sshkey": "ssh-ed25519 AAAA me"}),
        Profile("alma9", "k", answer="kickstart"),
        token="t",
        server_url="",
        server_address=0,
    )
    text = render("kickstart", keyed)
    assert 'rootpw --lock\nsshkey --username=root "ssh-ed25519 AAAA me"\n' in text


@pytest.mark.parametrize(
    ("text", "version", "notes"),
    [
        pytest.param("%post\necho\n", None, ["line 1: %post has no %end"], id="no end"),
        pytest.param("%end\n", None, ["line 1: %end without a section before it"], id="lost end"),
        pytest.param("%psot\n%end", None, ["line 1: %psot is no section", "line 2: %end without"], id="misspelled"),
        pytest.param(
            "%post\n  %packages\n%end", None, ["line 2: %packages stands inside the %post of line 1"], id="nested"
        ),
        pytest.param(
            "%post\n%include /x\n%end", None, ["line 2: %include in the body of %post"], id="include in script"
        ),
        pytest.param(
            "%post\n# %end\n#%end\n%done\necho %end\n%end # over", None, [], id="text that only looks like it"
        ),
        pytest.param("%include /tmp/x\n%packages\n%include /y\n%end", None, [], id="includes elsewhere"),
        pytest.param("zerombr yes", None, ["line 1: zerombr takes no argument (yes)"], id="zerombr"),
        pytest.param("\ninstall", Version.RHEL9, ["line 2: install: removed in rhel9"], id="removed"),
        pytest.param("install", Version.RHEL6, [], id="still there"),
        pytest.param(
            "timesource --ntp-server=x", Version.RHEL8, ["line 1: timesource: not yet known in rhel8"], id="too new"
        ),
        pytest.param(
            "timezone X --isUtc", Version.RHEL9, ["line 1: timezone --isUtc: deprecated in rhel9"], id="deprecated"
        ),
        pytest.param(
            "%packages --nobase\n%end", Version.RHEL8, ["line 1: %packages --nobase: removed in rhel8"], id="section"
        ),
        pytest.param(
            "partition / --fstype=btrfs", Version.RHEL9, ["line 1: part --fstype=btrfs: removed in rhel9"], id="alias"
        ),
        pytest.param("text # install", Version.RHEL10, [], id="comment"),
    ],
)
def test_check(text: str, version: Version | None, notes: list[str]) -> None:
    """What is wrong is told by line, and nothing else is."""
    found = [str(note) for note in check(text, version)]
    assert len(notes) == len(found)
    assert [] == [(want, got) for want, got in zip(notes, found, strict=True) if not got.startswith(want)]


def test_deprecated_is_not_fatal() -> None:
    """A warning of the installer's does not stop it."""
    assert [False, True] == [note.fatal for note in check("timezone X --isUtc\ndevice x", Version.RHEL9)]


def test_lines_that_a_body_must_not_have() -> None:
    """Installers read these even inside a here-document, also indented."""
    assert [(2, "%end"), (3, "%include"), (4, "%pre")] == list(body_lines("x\n %end\n%include y\n\t%pre\n#%end\n%x"))


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("rhel9", Version.RHEL9),
        ("9", Version.RHEL9),
        (8, Version.RHEL8),
        (9.4, Version.RHEL9),
        ("alma9", Version.RHEL9),
        ("rocky-8.10", Version.RHEL8),
        ("centos-stream10", Version.RHEL10),
        ("rhel6", Version.RHEL6),
        ("fedora", Version.FEDORA),
        ("f41", Version.FEDORA),
        ("Fedora 40", Version.FEDORA),
        ("debian12", None),
        ("linux", None),
        ("", None),
    ],
)
def test_versions(text: object, version: Version | None) -> None:
    """A release is read out of what people call it."""
    assert version is version_of(text)


def test_the_table_is_complete() -> None:
    """Each row has a fate for each version; a removed command is never back in a later RHEL."""
    for what, row in DIALECTS.items():
        assert set(Version) == set(row), what
        fates = [row[version] for version in Version if version is not Version.FEDORA]
        after = fates[fates.index(Fate.REMOVED) :] if Fate.REMOVED in fates and fates[0] is not Fate.REMOVED else []
        assert {Fate.REMOVED} >= set(after), what

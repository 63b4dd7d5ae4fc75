"""An existing kickstart as data: what was rendered is read back, what people wrote is understood or named, nothing is lost silently."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kickstart_scene import FEATURES, NET, PASSWORD, REFUSED

from pxenet.answer.context import names
from pxenet.answer.kickstart import BUILT_IN, Version, render
from pxenet.answer.kickstart.data import Kickstart, from_mapping
from pxenet.answer.kickstart.importing import read
from pxenet.model import Host, Profile

KEYS_BY_SCRIPT = {("root key", "rhel6"), ("root key", "rhel7"), ("users", "rhel6"), ("users", "rhel7")}
"""There the keys are put by a script, which is read back as a script."""
AS_KEYS = {"layout by commands"}
"""Commands for which there are keys are read back as those: another text, the same installation."""


def unreported(version: str, data: dict[str, object]) -> str:
    """A kickstart without the reports to a server, which belong to no data."""
    host = Host("node1", bytes.fromhex("525400123456"), kickstart={"version": version, **data})
    seen = names(host, Profile("linux", "k", answer=BUILT_IN), token="t", server_url="", server_address=0, network=NET)
    return render(BUILT_IN, {**seen, "urls": {}})


@pytest.mark.parametrize("version", Version, ids=lambda version: version.value)
@pytest.mark.parametrize("feature", FEATURES)
def test_there_and_back(feature: str, version: Version) -> None:
    """What is read from a rendered kickstart renders to the same text, for every feature of every release."""
    case = (feature, version.value)
    if case in REFUSED or case in KEYS_BY_SCRIPT or feature in AS_KEYS:
        return
    text = unreported(version.value, {**PASSWORD, **FEATURES[feature]})
    found = read(text)
    assert text == unreported(version.value, dict(found.data))
    assert ("node1.lab.example", []) == (found.hostname, [left for left in found.left if feature != "commands"])


CLASSIC = """\
#version=RHEL7
install
auth --enableshadow --passalgo=sha512
url --url="http://mirror.example/centos/7/os/x86_64"
lang en_US.UTF-8
keyboard --vckeymap=us --xlayouts='us','de'
network  --bootproto=static --device=ens192 --gateway=10.0.0.1 --ip=10.0.0.9 --nameserver=10.0.0.1,10.0.0.2 \\
--netmask=255.255.254.0 --noipv6 --activate
network --hostname=web9.example.org
rootpw --iscrypted $6$abc$def
firewall --enabled --ssh --port=8080:tcp
selinux --permissive
timezone Europe/Berlin --isUtc --ntpservers=a.example,b.example
bootloader --location=mbr --boot-drive=sda --append="quiet splash"
ignoredisk --only-use=sda
clearpart --all --initlabel
part /boot --fstype xfs --size 1024 --ondisk=sda
part pv.01 --size=1 --grow --ondisk=sda
volgroup vg0 pv.01
logvol / --vgname=vg0 --name=root --size=20480
logvol swap --vgname=vg0 --name=swap --recommended
realm join example.org
%packages --ignoremissing
@core
vim   # the editor
-nano
%end
%addon com_redhat_kdump --enable --reserve-mb='auto'
%end
%post --log=/root/post.log
echo "hello # world"
%end
%anaconda
pwpolicy root --minlen=6
%end
reboot
"""


def test_a_kickstart_from_the_field() -> None:
    """Older spellings become keys; what has none is kept or named with its line."""
    found = read(CLASSIC.replace("\\\n", ""))
    assert {
        "language": "en_US.UTF-8",
        "keyboard": "us",
        "layouts": ["us", "de"],
        "network": [
            {
                "device": "ens192",
                "method": "static",
                "gateway": "10.0.0.1",
                "dns": ["10.0.0.1", "10.0.0.2"],
                "ipv6": "none",
                "address": "10.0.0.9/23",
            }
        ],
        "root_password": "$6$abc$def",
        "firewall": {"ports": ["8080:tcp"]},
        "selinux": "permissive",
        "timezone": "Europe/Berlin",
        "ntp": ["a.example", "b.example"],
        "bootloader": {"append": "quiet splash", "disk": "sda", "location": "mbr"},
        "commands": ["realm join example.org"],
        "package_options": ["--ignoremissing"],
        "packages": ["vim", "-nano"],
        "kdump": "auto",
        "script": [{"when": "post", "body": 'echo "hello # world"\n', "log": "/root/post.log"}],
        "disk": {"use": ["sda"]},
        "volume_group": [{"name": "vg0", "disks": ["sda"]}],
        "partition": [
            {"mount": "/boot", "size": "1024M", "filesystem": "xfs", "disk": "sda"},
            {"mount": "/", "group": "vg0", "name": "root", "size": "20480M"},
            {"mount": "swap", "group": "vg0", "name": "swap", "size": "recommended"},
        ],
    } == found.data
    assert ("http://mirror.example/centos/7/os/x86_64", "web9.example.org") == (found.source, found.hostname)
    assert [
        (21, "realm join example.org", "has no key; kept as it is in commands"),
        (32, "%anaconda", "has no key; put it into a template around {{ kickstart.text }}"),
    ] == [(left.line, left.text, left.why) for left in found.left]
    assert from_mapping(found.data, Kickstart).partition[1].group == "vg0"


@pytest.mark.parametrize(
    "line",
    [
        "network --bootproto=dhcp --device=eth1 --teamslaves=a,b",
        "network --device=eth1 --nodefroute",
        "timezone Europe/Berlin --utc --nontp",
        "repo --name=epel --baseurl=http://x/epel --noverifyssl",
        "authselect select winbind",
        "auth --enableshadow --enableldap",
        "firewall --enabled --use-system-defaults",
    ],
)
def test_what_is_kept_is_no_key_too(line: str) -> None:
    """A command with a word that has no key is kept whole and named, and nothing of it is rendered a second time."""
    found = read(line)
    assert {"commands": [line]} == {key: value for key, value in found.data.items() if key != "core"}
    assert [(1, line, True)] == [
        (left.line, left.text, left.why.endswith("kept as it is in commands")) for left in found.left
    ]


def test_keys_of_nobody_are_named_with_their_lines() -> None:
    """The user may be made by a script: the commands are kept."""
    found = read('lang de\nsshkey --username=ops "ssh-rsa A"\nsshkey --username=ops "ssh-rsa B"\n')
    assert ['sshkey --username=ops "ssh-rsa A"', 'sshkey --username=ops "ssh-rsa B"'] == found.data["commands"]
    assert [2, 3] == [left.line for left in found.left]


def test_no_password_in_the_clear_is_kept() -> None:
    """It is neither data nor a command, and the message does not repeat it where it can be helped: the line is the user's own."""
    found = read("rootpw hunter2\nuser --name=ops --password=hunter2 --plaintext\n")
    assert "hunter2" not in str(found.data)
    assert [True, True] == ["openssl passwd -6" in left.why for left in found.left]


def test_disks_that_fit_no_key_are_kept_whole() -> None:
    """Half a layout would be a wrong one: then all commands about disks stay as they are, and nothing is added to them."""
    text = "clearpart --all\npart raid.1 --size=1 --ondisk=sda\npart raid.2 --size=1 --ondisk=sdb\n"
    text += "raid pv.1 --device=md0 --level=1 raid.1 raid.2\nvolgroup vg pv.1\nrootpw --iscrypted $6$a$b\n"
    found = read(text)
    assert text.splitlines()[:5] == found.data["commands"]
    rendered = unreported("rhel9", dict(found.data))
    assert (1, 0) == (rendered.count("clearpart"), rendered.count("autopart"))


@given(st.text(alphabet="%-= \"'\\#\nabcdefghijklmnopqrstuvwxyz0123456789./:,", max_size=300))
def test_whatever_is_read(text: str) -> None:
    """No text makes the reader fail."""
    read(text)


WORDS = ["network", "part", "logvol", "raid", "volgroup", "user", "rootpw", "--size=x", "--ip=1.2", "--uid=y", "pv.1"]


@given(st.lists(st.sampled_from([*WORDS, "--name=a", "--grow", "/", "\n", "\n%post\n", "\n%end\n"]), max_size=30))
def test_whatever_commands_are_read(words: list[str]) -> None:
    """Nor do commands with words missing or wrong."""
    read(" ".join(words))

"""``pxenet kickstart new``: a conversation in a real terminal, and the same by flags; parsers accept what comes out."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import needs
import pytest
from typer.testing import CliRunner, Result

from pxenet.answer.crypt import sha512_crypt
from pxenet.answer.kickstart import Version, check
from pxenet.answer.kickstart.questions import Form, questions
from pxenet.cli.main import app

PATIENCE_S = 60.0
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB7 ops@example.org"


@dataclass
class Screen:
    """A terminal of tmux with a program in it."""

    socket: Path

    def tmux(self, *words: str) -> str:
        command = ["tmux", "-S", str(self.socket), "-f", "/dev/null", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False).stdout

    def wait(self, words: str) -> str:
        """What is on the screen, once it ends with these words."""
        deadline = time.monotonic() + PATIENCE_S
        while not (shown := self.tmux("capture-pane", "-p", "-J").rstrip()).endswith(words):
            assert time.monotonic() < deadline, f"{words!r} did not come:\n{shown}"
        return shown

    def say(self, prompt: str, answer: str = "") -> str:
        """Wait for a question, and answer it; what was on the screen then."""
        shown = self.wait(prompt)
        if answer:
            self.tmux("send-keys", "-l", "--", answer)
        self.tmux("send-keys", "Enter")
        return shown


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Screen]:
    """A terminal in which ``pxenet kickstart new --toml made.toml --ks made.cfg`` runs, and says its exit status."""
    words = [sys.executable, "-m", "pxenet", "kickstart", "new", "--toml", "made.toml", "--ks", "made.cfg"]
    script = f"trap : INT; {shlex.join(words)} --hostname node1 --keyboard de; echo exit $?; read x"
    screen = Screen(tmp_path / "tmux")
    screen.tmux("new-session", "-d", "-x", "150", "-y", "60", "-c", str(tmp_path), "sh", "-c", script)
    yield screen
    screen.tmux("kill-server")


TALK: Sequence[tuple[str, str]] = (
    ("URL of the install tree []:", "http://10.0.0.1/alma8"),  # the name is not asked for: a flag says it
    ("Release (rhel6/rhel7/rhel8/rhel9/rhel10/fedora) [rhel9]:", "rhel 9"),
    ("Release (rhel6/rhel7/rhel8/rhel9/rhel10/fedora) [rhel9]:", "?"),
    ("Release (rhel6/rhel7/rhel8/rhel9/rhel10/fedora) [rhel9]:", "rhel8"),
    ("Language [en_US.UTF-8]:", "de_DE.UTF-8"),
    ("Further languages []:", ""),  # the keyboard is not asked for: a flag says it
    ("Time zone [UTC]:", "<"),
    ("Further languages []:", "fr_FR.UTF-8"),
    ("Time zone [UTC]:", "Europe/Berlin"),
)

PEOPLE: Sequence[tuple[str, str]] = (
    ("Does the hardware clock run in UTC [yes]:", "n"),
    ("Time servers []:", "ntp1.example, ntp2.example"),
    ("Password of root []:", "one"),
    ("again:", "another"),
    ("Password of root []:", "open sesame"),
    ("again:", "open sesame"),
    ("SSH keys of root []:", "nonsense"),
    ("SSH keys of root []:", KEY),
    ("add one (yes/no) [no]:", "y"),
    ("name []:", "ops"),
    ("password []:", ""),
    ("ssh keys []:", ""),
    ("groups []:", "wheel adm"),
    ("add another (yes/no) [no]:", ""),
    ("add one (yes/no) [no]:", "y"),  # a user whom nobody can be is refused, and asked for again
    ("name []:", "ops"),
    ("password []:", "$6$salt$hash"),
    ("ssh keys []:", ""),
    ("groups []:", "wheel adm"),
    ("add another (yes/no) [no]:", ""),
)

DISKS: Sequence[tuple[str, str]] = (
    ("Disks to use []:", "sda"),
    ("What is removed from them (all/linux/none) [all]:", ""),
    ("Partition table (gpt/msdos) []:", "gpt"),
    ("add one (yes/no) [no]:", ""),
    ("add one (yes/no) [no]:", "y"),
    ("mount []:", "/"),
    ("size []:", "large"),
    ("filesystem []:", "-"),
    ("group []:", ""),
    ("disk []:", ""),
    ("raid []:", ""),
    ("encrypt [no]:", ""),
    ("add another (yes/no) [no]:", ""),
    ("add one (yes/no) [no]:", "y"),  # "large" is no size
    ("mount []:", "/"),
    ("size []:", "rest"),
    ("filesystem []:", "xfs"),
    ("group []:", ""),
    ("disk []:", ""),
    ("raid []:", ""),
    ("encrypt [no]:", "y"),
    ("add another (yes/no) [no]:", ""),
    ("Passphrase of the encryption []:", "correct horse"),
    ("again:", "correct horse"),
)

REST: Sequence[tuple[str, str]] = (
    ("add one (yes/no) [no]:", "y"),
    ("device []:", ""),
    ("method (dhcp/static/none) [dhcp]:", "static"),
    ("address []:", "10.0.0.11/24"),
    ("gateway []:", "10.0.0.1"),
    ("dns []:", "10.0.0.1"),
    ("ipv6 []:", ""),
    ("bond []:", ""),
    ("bridge []:", ""),
    ("vlan [0]:", ""),
    ("add another (yes/no) [no]:", ""),
    ("Firewall [yes]:", ""),
    ("Services let in [ssh]:", "ssh http"),
    ("Ports let in []:", ""),
    ("SELinux (enforcing/permissive/disabled) [enforcing]:", "perm"),
    ("Packages, @groups, @^environments []:", "vim"),
    ("add one (yes/no) [no]:", ""),
    ("Services to enable (-name: to disable) []:", ""),
    ("Start a desktop [no]:", ""),
    ("Ask for settings at the first start [no]:", ""),
    ("Kernel arguments of the installed system []:", "console=ttyS0"),
    ("Where the boot loader goes (mbr/partition/none) []:", ""),
    ("Memory for crash dumps []:", "lots"),
    ("Memory for crash dumps []:", "auto"),
    ("How the installer shows itself (text/graphical/cmdline) [text]:", ""),
    ("What follows the installation (reboot/poweroff/halt) [reboot]:", ""),
    ("File with a script before the installation []:", ""),
    ("File with a script in the new system []:", "gone.sh"),
    ("File with a script in the new system []:", "post.sh"),
)


@needs.tool("tmux")
def test_a_conversation_in_a_terminal(screen: Screen, tmp_path: Path) -> None:
    """Wrong answers are told and asked again, one goes back and changes one's mind at the end; both files hold what was said."""
    (tmp_path / "post.sh").write_text("echo ${#x[@]} {{ y }}\n")
    for prompt, answer in (*TALK, *PEOPLE, *DISKS, *REST):
        screen.say(prompt, answer)
    shown = screen.wait("or Enter to write it:")
    assert [] == [word for word in ("open sesame", "correct horse", "$6$") if word in shown]
    number = next(line.split()[0] for line in shown.splitlines() if line.split()[1:2] == ["Packages,"])
    screen.say("or Enter to write it:", "99")
    screen.wait("or Enter to write it:")
    screen.say("or Enter to write it:", number)
    screen.say("Packages, @groups, @^environments [vim]:", "vim git")
    screen.say("or Enter to write it:")
    assert "made.cfg written\nexit 0" in screen.wait("exit 0")
    data = tomllib.loads((tmp_path / "made.toml").read_text())["profile"]["kickstart"]
    password = data.pop("root_password")
    assert sha512_crypt("open sesame", password.split("$")[2]) == password
    assert {
        "version": "rhel8",
        "keyboard": "de",
        "language": "de_DE.UTF-8",
        "languages": ["fr_FR.UTF-8"],
        "timezone": "Europe/Berlin",
        "utc": False,
        "ntp": ["ntp1.example", "ntp2.example"],
        "root_ssh_keys": [KEY],
        "user": [{"name": "ops", "password": "$6$salt$hash", "groups": ["wheel", "adm"]}],
        "disk": {"use": ["sda"], "label": "gpt", "passphrase": "correct horse"},
        "partition": [{"mount": "/", "size": "rest", "filesystem": "xfs", "encrypt": True}],
        "network": [{"method": "static", "address": "10.0.0.11/24", "gateway": "10.0.0.1", "dns": ["10.0.0.1"]}],
        "firewall": {"services": ["ssh", "http"]},
        "selinux": "permissive",
        "packages": ["vim", "git"],
        "bootloader": {"append": "console=ttyS0"},
        "kdump": "auto",
        "post": "echo ${#x[@]} {{ y }}\n",
    } == data
    text = (tmp_path / "made.cfg").read_text()
    assert ([], True) == (
        check(text, Version.RHEL8),
        "--hostname=node1" in text and "url --url=http://10.0.0.1/alma8\n" in text,
    )
    assert 0o600 == (tmp_path / "made.toml").stat().st_mode & 0o777
    validator = Path(sys.executable).with_name("ksvalidator")
    assert 0 == subprocess.run([validator, "-v", "RHEL8", tmp_path / "made.cfg"], timeout=60, check=False).returncode


@needs.tool("tmux")
def test_giving_up(screen: Screen, tmp_path: Path) -> None:
    """Ctrl-C writes nothing."""
    screen.say("URL of the install tree []:")
    screen.wait("Release (rhel6/rhel7/rhel8/rhel9/rhel10/fedora) [rhel9]:")
    screen.tmux("send-keys", "C-c")
    assert "nothing was written" in screen.wait("exit 1")
    assert [] == list(tmp_path.glob("made.*"))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["kickstart", "new", *map(str, arguments)])


def test_flags_alone(tmp_path: Path) -> None:
    """Without a terminal nothing is asked: flags, and defaults for the rest."""
    (tmp_path / "password").write_text("open sesame\n")
    (tmp_path / "keys.pub").write_text(f"# mine\n{KEY}\n")
    result = run(
        *("--version", "rhel9", "--root-password", f"@{tmp_path}/password", "--root-ssh-keys", tmp_path / "keys.pub"),
        *("--disk-use", "sda,sdb", "--volume-group", "name=vg0,disks=sda+sdb"),
        *("--partition", "mount=/boot,size=1G;mount=/,size=rest,group=vg0", "--packages", "vim,@core"),
        *("--network", '{ device = "bond0", bond = ["eth0", "eth1"] }', "--desktop", "yes", "--firewall-enabled", "no"),
        *("--toml", tmp_path / "made.toml", "--ks", tmp_path / "made.cfg", "--source", "http://10.0.0.1/alma9"),
    )
    assert (0, "") == (result.exit_code, result.stdout), result.output
    made = (tmp_path / "made.toml").read_text()
    assert made.startswith('# [[profile]] source = "http://10.0.0.1/alma9"\n[profile.kickstart]\nversion = "rhel9"\n')
    data = tomllib.loads(made)["profile"]["kickstart"]
    assert sha512_crypt("open sesame", data["root_password"].split("$")[2]) == data["root_password"]
    assert ([KEY], [{"device": "bond0", "bond": ["eth0", "eth1"]}], {"enabled": False}) == (
        data["root_ssh_keys"],
        data["network"],
        data["firewall"],
    )
    assert [] == check((tmp_path / "made.cfg").read_text(), Version.RHEL9)


def test_what_is_printed() -> None:
    """The data, as TOML or for programs."""
    arguments = ("--root-password", "$6$a$b", "--end", "poweroff")
    data = {"version": "rhel9", "root_password": "$6$a$b", "end": "poweroff"}
    assert {"profile": {"kickstart": data}} == tomllib.loads(run(*arguments).stdout)
    assert {"kickstart": data} == json.loads(run(*arguments, "--json").stdout)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "--root-password: is missing: nobody could log in"),
        (("--root-password", "secret"), "--root-password: others can see command lines; write @FILE"),
        (("--root-password", "@/gone"), "--root-password: /gone cannot be read: No such file or directory"),
        (("--version", "rhel5"), '--version: "rhel5" is none of rhel6, rhel7'),
        (("--utc", "maybe"), '--utc: "maybe" is neither yes nor no'),
        (("--user", "nmae=ops"), '--user: "nmae=ops" is not KEY=VALUE; keys are name, password'),
        (("--user", "{ name = 'a', uidd = 1 }"), "--user: user[1].uidd: no such key; did you mean uid?"),
        (("--user", "{ name = }"), "--user: { name = } is no TOML"),
        (
            ("--root-password", "!", "--partition", "mount=/,size=big"),
            '--partition: partition[1].size: "big" is not a size',
        ),
        (("--root-password", "!", "--version", "rhel6", "--ntp", "a"), "--ntp: cannot be told to rhel6"),
        (("--root-password", "!", "--network", "vlan=x"), '--network: "x" is not a whole number'),
        (("--root-password", "!", "--ks", "/dev/null/x"), "/dev/null/x cannot be written: Not a directory"),
    ],
)
def test_what_is_wrong_behind_a_flag(arguments: tuple[str, ...], told: str) -> None:
    """It is told by the flag, and nothing is printed."""
    result = run(*arguments)
    assert (True, "") == (result.stderr.startswith(told), result.stdout), result.output
    assert result.exit_code == (1 if "written" in told else 2)


def test_files_are_not_replaced(tmp_path: Path) -> None:
    """Unless that is asked for."""
    made = tmp_path / "made.toml"
    made.write_text("mine\n")
    assert 2 == run("--root-password", "!", "--toml", made).exit_code
    assert "mine\n" == made.read_text()
    assert 0 == run("--root-password", "!", "--toml", made, "--force").exit_code
    assert made.read_text().startswith("[profile.kickstart]\n")


def test_every_question_is_a_flag() -> None:
    """What can be asked for can be said beforehand."""
    told = run("--help").stdout
    assert [] == [question.flag for question in questions() if f" {question.flag} " not in told]
    assert all(question.help and (question.choices or question.form is not Form.CHOICE) for question in questions())


@needs.tool("openssl")
@pytest.mark.parametrize("password", ["a", "open sesame", "ümlaut ✓", "x" * 64, "y" * 150])
def test_hashes_are_those_of_openssl(password: str) -> None:
    """Passwords are hashed as openssl passwd -6 does it."""
    for salt in ("s", "./AZaz09./AZaz09"):
        command = ["openssl", "passwd", "-6", "-salt", salt, "-stdin"]
        done = subprocess.run(command, input=password.encode(), capture_output=True, timeout=60, check=True)
        assert done.stdout.decode().strip() == sha512_crypt(password, salt)


@pytest.mark.parametrize("salt", ["", "x" * 17, "a$b"])
def test_what_is_no_salt(salt: str) -> None:
    """It would not be read back."""
    with pytest.raises(ValueError, match="is no salt"):
        sha512_crypt("a", salt)

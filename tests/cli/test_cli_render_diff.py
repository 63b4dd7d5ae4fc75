"""``pxenet render --diff``: per host what a change does to every text, from a revision or from another file, without a secret."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import needs
import pytest
from typer.testing import CliRunner, Result

from pxenet.cli.main import app

pytestmark = needs.tool("git")

CONFIG = """\
[server]
address = "10.0.0.1"
[[dhcp.subnet]]
network = "10.0.0.0/24"
pool = "10.0.0.100-10.0.0.199"
[[profile]]
name = "mine"
kernel = "../../images/vmlinuz"
initrd = "initrd.img"
args = "console={{ vars.console }} quiet"
answer = "../my.ks"
vars = { console = "ttyS0", rootpw = "hunter22" }
[[profile]]
name = "data"
kernel = "../../images/vmlinuz"
kickstart = { root_password = "$6$salt$hash", packages = ["vim"] }
[[host]]
mac = "52:54:00:12:34:56"
name = "web01"
profile = "mine"
[[host]]
mac = "52:54:00:12:34:57"
name = "db01"
profile = "data"
[[host]]
mac = "52:54:00:12:34:58"
name = "db02"
profile = "data"
"""
ANSWER = "{% include 'head' %}rootpw --plaintext {{ vars.rootpw }}\n%post\ncurl {{ urls.installed }}\n%end\n"


def git(directory: Path, *words: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", directory, *identity, *words], check=True, capture_output=True, timeout=60)


@pytest.fixture(name="config")
def made_config(tmp_path: Path) -> Path:
    """A repository with the configuration below its top, a kernel above that, and an initrd that git ignores."""
    top = tmp_path / "repository"
    for directory in (top / "site", tmp_path / "images"):
        directory.mkdir(parents=True)
    (tmp_path / "images" / "vmlinuz").write_text("kernel")
    (top / "site" / "initrd.img").write_text("initrd")
    (top / ".gitignore").write_text("initrd.img\n")
    (top / "head").write_text("# {{ host.name }}\n")
    (top / "my.ks").write_text(ANSWER)
    config = top / "site" / "rack.toml"
    config.write_text(CONFIG)
    git(tmp_path, "init", "-q", str(top))
    git(top, "add", ".")
    git(top, "commit", "-q", "-m", "first")
    return config


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def edit(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def texts(config: Path, *arguments: object) -> dict[str, dict[str, list[str]]]:
    """Host → text → the lines that differ."""
    found = json.loads(run("render", config, *arguments, "--json").stdout)
    return {
        host["host"]: {
            text["name"]: [line for line in text["diff"] if line[0] in "+-"]
            for text in host["texts"]
            if not text["name"].startswith(("pxelinux", "grub", "boot.ipxe", "boot file"))
        }
        for host in found["hosts"]
    }


def test_nothing_changed(config: Path) -> None:
    """Exit status 0, and it is said."""
    result = run("render", config, "--diff", "HEAD")
    assert (0, "0 of 3 hosts would get other texts\n", "") == (result.exit_code, result.stdout, result.stderr)


def test_a_change_since_a_revision(config: Path) -> None:
    """Arguments, answer files and what they include, as they were; what git does not keep is where it is now."""
    edit(config, ("ttyS0", "ttyS1"))
    edit(config.parent.parent / "head", ("# ", "# for "))
    git(config.parent, "commit", "-q", "-a", "-m", "second")
    answer = {"answer/TOKEN/mine/my.ks": ["-# web01", "+# for web01"]}
    assert {"web01": {"kernel arguments": ["-console=ttyS0", "+console=ttyS1"], **answer}} == texts(
        config, "--diff", "HEAD~1"
    )
    assert {} == texts(config, "--diff", "HEAD")
    edit(config.parent.parent / "my.ks", ("{% include 'head' %}", "# {{ host.name }}, {{ host.mac }}\n"))
    (config.parent.parent / "head").unlink()
    assert {"web01": {"answer/TOKEN/mine/my.ks": ["-# for web01", "+# web01, 52:54:00:12:34:56"]}} == texts(
        config, "--diff", "HEAD"
    )


def test_an_address_of_its_own(config: Path) -> None:
    """With what DHCP tells beside it; a router that is another one is so for each machine that is told it."""
    edit(config, ('name = "web01"\n', 'name = "web01"\naddress = "10.0.0.11"\n'))
    git(config.parent, "commit", "-q", "-a", "-m", "second")
    edit(config, ("10.0.0.11", "10.0.0.12"), ("[[dhcp.subnet]]\n", '[[dhcp.subnet]]\nrouter = "10.0.0.1"\n'))
    changed = ["-10.0.0.11", "+10.0.0.12", "+router 10.0.0.1"]
    assert {"web01": {"address": changed}} == texts(config, "--diff", "HEAD")
    added = ["+10.0.0.12", "+netmask 255.255.255.0", "+router 10.0.0.1"]
    assert {"web01": {"address": added}} == texts(config, "--diff", "HEAD~1")


def test_every_loader_is_told(config: Path) -> None:
    """A changed argument is in the entry of each loader, for whom reads it; hosts with the same difference are told once."""
    edit(config, ("quiet", "quiet splash"), ('["vim"]', '["vim", "git"]'))
    result = run("render", config, "--diff", "HEAD")
    heads = [line for line in result.stdout.splitlines() if line.startswith(("#####", "==="))]
    assert [
        "##### web01: changed",
        "=== kernel arguments",
        "=== pxelinux.cfg/01-52-54-00-12-34-56 (x86 BIOS)",
        "=== grub.cfg (x64 UEFI, ia32 UEFI, arm64 UEFI, arm64 UEFI HTTP boot)",
        "=== boot.ipxe (x64 UEFI HTTP boot)",
        "##### db01, db02: changed",
        "=== answer/TOKEN/data/ks.cfg",
    ] == [head for head in heads if "boot file" not in head]
    assert (1, "3 of 3 hosts would get other texts") == (result.exit_code, result.stdout.splitlines()[-1])
    assert "\n vim\n+git\n" in result.stdout


def test_another_file(config: Path) -> None:
    """From that file to this one; hosts come and go."""
    other = config.parent / "other.toml"
    other.write_text(config.read_text())
    edit(other, ("34:58", "34:59"), ("db02", "db03"))
    found = json.loads(run("render", config, "--diff", other, "--json").stdout)
    assert [("db02", "added"), ("db03", "removed")] == [(host["host"], host["change"]) for host in found["hosts"]]
    assert 1 == run("render", config, "db03", "--diff", other).exit_code
    assert 0 == run("render", config, "web01", "--diff", other).exit_code


def test_no_secret_is_shown(config: Path) -> None:
    """That one has changed is seen, not what it is; nor what it was."""
    edit(config, ("hunter22", "hunter23"), ("$6$salt$hash", "$6$pepper$hash"))
    for arguments in ((), ("--json",)):
        result = run("render", config, "--diff", "HEAD", *arguments)
        assert 1 == result.exit_code
        assert not [secret for secret in ("hunter2", "$6$", "hash") if secret in result.output]
    found = texts(config, "--diff", "HEAD")
    assert {
        "web01": {"answer/TOKEN/mine/my.ks": ["-rootpw --plaintext <secret-1>", "+rootpw --plaintext <secret-2>"]},
        "db01": {"answer/TOKEN/data/ks.cfg": ["-rootpw --iscrypted <secret-3>", "+rootpw --iscrypted <secret-4>"]},
        "db02": {"answer/TOKEN/data/ks.cfg": ["-rootpw --iscrypted <secret-3>", "+rootpw --iscrypted <secret-4>"]},
    } == found


def test_a_fault_in_one_of_them(config: Path) -> None:
    """Exit status 2; the fault of the old one is told with its revision."""
    edit(config, ('answer = "../my.ks"', 'answer = "../gone.ks"'))
    result = run("render", config, "--diff", "HEAD")
    assert (2, True) == (result.exit_code, "gone.ks does not exist" in result.stderr)
    git(config.parent, "commit", "-q", "-a", "-m", "broken")
    edit(config, ('answer = "../gone.ks"', 'answer = "../my.ks"'))
    result = run("render", config, "--diff", "HEAD")
    assert 2 == result.exit_code
    assert result.stderr.startswith("HEAD:site/rack.toml:11: profile[1] (mine).answer: HEAD:gone.ks does not exist")
    edit(config.parent.parent / "my.ks", ("vars.rootpw", "vars.rootpwd"))
    result = run("render", config, "--diff", "HEAD~1")
    assert (2, True) == (result.exit_code, "my.ks:1: undefined" in result.stderr), result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--diff", "nowhere"), 'there is no revision "nowhere"'),
        (("--diff", "--output=x"), 'there is no revision "--output=x"'),
        (("web99", "--diff", "HEAD"), "known hosts: db01, db02, web01"),
    ],
)
def test_what_cannot_be_compared(config: Path, arguments: tuple[str, ...], told: str) -> None:
    """Exit status 2, with what would be right; nothing on the command line is git's option."""
    result = run("render", config, *arguments)
    assert (2, True) == (result.exit_code, told in result.stderr), result.stderr


def test_outside_of_a_repository(tmp_path: Path) -> None:
    """A revision needs one."""
    (tmp_path / "vmlinuz").write_text("")
    (tmp_path / "rack.toml").write_text('[[profile]]\nname = "a"\nkernel = "vmlinuz"\n')
    result = run("render", tmp_path / "rack.toml", "--diff", "HEAD")
    assert (2, True) == (result.exit_code, "not a git repository" in result.stderr), result.stderr


def test_the_repository_stays_as_it_is(config: Path) -> None:
    """No index, no branch, no file of it is touched."""
    edit(config, ("ttyS0", "ttyS1"))

    def state() -> bytes:
        return subprocess.run(
            ["git", "-C", config.parent, "status", "--porcelain=v2", "--branch", "--ignored"],
            capture_output=True,
            timeout=60,
            check=True,
        ).stdout

    before = state()
    run("render", config, "--diff", "HEAD")
    assert before == state()

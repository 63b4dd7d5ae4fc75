"""Secrets that were planted in every place that may hold one: no command that only looks shows any of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pxenet.cli.main import app

SECRETS = {
    "root-hash": "$6$salt$r00t-hash-r00t-hash", "join": "j0in-the-domain", "vnc": "vnc-passw0rd", "deep": "deep-in-a-table",
}  # fmt: skip
INLINE = "inl1ne-hash"
CONFIG = """\
[server]
address = "10.0.0.1"
state = "state"
secrets = "secrets.toml"
[[dhcp.subnet]]
network = "10.0.0.0/24"
pool = "10.0.0.100-10.0.0.199"
[[profile]]
name = "mine"
kernel = "vmlinuz"
initrd = "initrd.img"
args = "inst.vncpassword={{ vars.vnc }}"
answer = "my.ks"
vars = { vnc = "secret:vnc", realm = { join = "secret:join" }, list = ["secret:deep"], note = "{note}" }
[[profile]]
name = "data"
kernel = "vmlinuz"
kickstart = { root_password = "secret:root-hash", packages = ["vim"] }
[[host]]
mac = "52:54:00:12:34:56"
name = "web01"
profile = "mine"
vars.rootpw = "$6$salt$inl1ne-hash"
[[host]]
mac = "52:54:00:12:34:57"
name = "db01"
profile = "data"
"""
ANSWER = """\
rootpw --iscrypted {{ vars.rootpw }}
%post
echo '{{ vars.realm.join }}' | realm join {{ vars.list[0] }} {{ vars.note }}
curl {{ urls.installed }}
%end
"""


@pytest.fixture(name="site")
def made_site(tmp_path: Path) -> Path:
    for name in ("vmlinuz", "initrd.img"):
        (tmp_path / name).write_bytes(b"x" * 100)
    (tmp_path / "my.ks").write_text(ANSWER)
    for name, note in (("rack.toml", "one"), ("other.toml", "two")):
        (tmp_path / name).write_text(CONFIG.replace("{note}", note))
    secrets = tmp_path / "secrets.toml"
    secrets.write_text("".join(f'{name} = "{value}"\n' for name, value in SECRETS.items()))
    secrets.chmod(0o600)
    return tmp_path


def run(site: Path, *words: str) -> Result:
    return CliRunner().invoke(app, [word.replace("@", f"{site}/") for word in words])


LOOKS = [
    ("check", "@rack.toml"),
    ("check", "@rack.toml", "--json"),
    ("render", "@rack.toml", "web01", "--json"),
    ("render", "@rack.toml", "db01", "--json"),
    ("render", "@other.toml", "--diff", "@rack.toml"),
    ("render", "@other.toml", "--diff", "@rack.toml", "--json"),
    ("explain", "@rack.toml", "web01", "--arch", "bios"),
    ("explain", "@rack.toml", "db01", "--arch", "x64", "--json"),
    ("hosts", "--config", "@rack.toml"),
    ("hosts", "--config", "@rack.toml", "--json"),
    ("hosts", "export", "--config", "@rack.toml"),
    ("status", "--config", "@rack.toml", "--json"),
]


@pytest.mark.parametrize("words", LOOKS, ids=lambda words: " ".join(words).replace("@", ""))
def test_who_only_looks_sees_none(site: Path, words: tuple[str, ...]) -> None:
    """Neither those that stand elsewhere nor those in the configuration; each command says something, and no error."""
    done = run(site, *words)
    assert done.exit_code in (0, 1), done.output
    assert len(done.output) > 10
    assert [] == [secret for secret in (*SECRETS.values(), INLINE) if secret in done.output]


def test_what_is_served_has_them(site: Path) -> None:
    """Or it would be of no use: ``render`` shows what a host gets."""
    shown = run(site, "render", "@rack.toml", "web01").output + run(site, "render", "@rack.toml", "db01").output
    assert [] == [secret for secret in (*SECRETS.values(), INLINE) if secret not in shown]


def test_that_one_has_changed_is_seen(site: Path) -> None:
    """And nothing of it: the differences have numbers."""
    (site / "my.ks").write_text(ANSWER.replace("vars.list[0]", "vars.realm.join"))
    before = run(site, "render", "@other.toml", "web01", "--diff", "@rack.toml").output
    assert "<secret-" in before
    assert "one" in before
    assert "two" in before


def test_a_fault_beside_a_secret_does_not_show_it(site: Path) -> None:
    """A value that cannot be used is told with its key; when it is a secret, not with itself."""
    secrets = site / "secrets.toml"
    secrets.write_text(secrets.read_text().replace("$6$salt$r00t-hash-r00t-hash", "r00t-hash in clear"))
    for words in (("check", "@rack.toml"), ("check", "@rack.toml", "--json")):
        done = run(site, *words)
        assert "r00t-hash" not in done.output, done.output


def test_an_argument_that_cannot_be_spelled_does_not_show_its_value(site: Path) -> None:
    """It is told by its name."""
    secrets = site / "secrets.toml"
    secrets.write_text(secrets.read_text().replace("vnc-passw0rd", "vnc'passw0rd"))
    done = run(site, "check", "@rack.toml")
    assert "for the argument inst.vncpassword=…: it contains '" in done.output
    assert "passw0rd" not in done.output

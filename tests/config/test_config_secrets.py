"""Secrets that stand elsewhere than in the configuration."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pxenet.config import ConfigError, Settings, from_text

CONFIG = """
[server]
root = "root"
{how}
[[profile]]
name = "p"
kernel = "vmlinuz"
initrd = ["initrd"]
answer = "ks"
vars.site = {{key = "secret:site_key", plain = "x secret:site_key"}}
vars.list = ["secret:root-hash", "y"]
[[host]]
name = "web01"
mac = "52:54:00:00:00:01"
profile = "p"
vars.token = "secret:web01.token"
"""
FILE = 'site_key = "s1te-key"\n"root-hash" = "$6$salt$hash"\n"web01.token" = "t0ken-of-web01"\n'


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    for name in ("vmlinuz", "initrd", "ks"):
        (tmp_path / name).write_text("x")
    return tmp_path


def written(base: Path, text: str = FILE, mode: int = 0o600, name: str = "secrets.toml") -> Path:
    path = base / name
    path.write_text(text)
    path.chmod(mode)
    return path


def read(base: Path, how: str = 'secrets = "secrets.toml"') -> Settings:
    return from_text(CONFIG.format(how=how), base, file="rack.toml")


def problems(base: Path, how: str = 'secrets = "secrets.toml"') -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(base, how)
    return [str(problem) for problem in caught.value.problems]


def test_a_reference_stands_for_its_secret(base: Path) -> None:
    """As deep as it stands, and only where it is the whole text; nothing of them is in what settings say of themselves."""
    written(base)
    settings = read(base)
    (profile,), (host,) = settings.profiles, settings.hosts
    assert {"key": "s1te-key", "plain": "x secret:site_key"} == profile.vars["site"]
    assert ["$6$salt$hash", "y"] == list(profile.vars["list"])
    assert "t0ken-of-web01" == host.vars["token"]
    assert {"s1te-key", "$6$salt$hash", "t0ken-of-web01"} == set(settings.secrets.values())


def test_a_command_tells_the_same(base: Path) -> None:
    """Run beside the configuration, by no shell."""
    written(base, mode=0o644, name="told")
    assert read(base, 'secrets_command = ["cat", "told"]').secrets == {
        "site_key": "s1te-key", "root-hash": "$6$salt$hash", "web01.token": "t0ken-of-web01",
    }  # fmt: skip


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_open_to_others(base: Path, mode: int) -> None:
    """Whoever it is open to, and however: told with what mends it."""
    path = written(base, mode=mode)
    told = problems(base)
    assert any(f"server.secrets: {path} is open to others (mode {mode:04o}); chmod 600 {path}" in line for line in told)
    assert not any("s1te-key" in line for line in told)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_of_somebody_else(base: Path) -> None:
    """Who owns it could change it."""
    os.chown(written(base), 12345, -1)
    assert any(
        "belongs to user 12345; it must belong to the user that the server runs as" in line for line in problems(base)
    )


WRONG = {
    "no such file": ('secrets = "none.toml"', "none.toml does not exist"),
    "served": (
        'secrets = "root/s.toml"',
        "root/s.toml lies inside server.root, whose files are served; put it elsewhere",
    ),
    "no TOML": ('secrets = "bad.toml"', "bad.toml is not valid TOML, in line 2"),
    "no text": (
        'secrets = "number.toml"',
        'site_key in {base}/number.toml is no text; write NAME = "value", a line each',
    ),
    "both": (
        'secrets = "secrets.toml"\nsecrets_command = ["cat", "secrets.toml"]',
        "server.secrets_command: it tells site_key, which is in the file too; keep one of the two",
    ),
    "no program": ('secrets_command = ["no-such-program"]', "no-such-program does not exist"),
    "it fails": ('secrets_command = ["sh", "-c", "echo locked >&2; exit 3"]', "sh ended with status 3: locked"),
    "no UTF-8": ('secrets_command = ["printf", "\\\\377"]', "what printf prints is not UTF-8 text"),
}


@pytest.mark.parametrize(("how", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong(base: Path, how: str, message: str) -> None:
    """Each told with its key, and without any secret."""
    written(base)
    written(base, 'site_key = "s1te-key"\nhalf = "s1te-key\n', name="bad.toml")
    written(base, "site_key = 7\n", name="number.toml")
    written(base, name="root/s.toml")
    told = problems(base, how)
    assert any(message.format(base=base) in line and "server.secrets" in line for line in told), told
    assert not any("s1te-key" in line for line in told)


def test_a_name_that_nobody_has(base: Path) -> None:
    """Told where it stands, with the names that there are."""
    written(base, 'site_key = "s1te-key"\n"root-hash" = "x"\n')
    told = problems(base)
    assert any("vars.token: there is no secret web01.token; there are: root-hash, site_key" in line for line in told), (
        told
    )
    assert any("there is no secret site_key; server.secrets names the file" in line for line in problems(base, ""))


def test_modes_are_those_of_the_file(base: Path) -> None:
    """0400 is good, too."""
    path = written(base, mode=0o400)
    assert 0o400 == stat.S_IMODE(path.stat().st_mode)
    assert 3 == len(read(base).secrets)

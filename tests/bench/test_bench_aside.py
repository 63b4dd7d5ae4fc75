"""A server that is unpacked instead of installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import aside


def script(path: Path, says: str) -> str:
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)
    return str(path)


def test_which_is_which(tmp_path: Path) -> None:
    """By what it says of itself, wherever it says so; what cannot be run is none."""
    assert aside.is_hpa(script(tmp_path / "hpa", "echo tftp-hpa 5.2, with remap"))
    assert not aside.is_hpa(script(tmp_path / "atftpd", "echo atftp-0.8 >&2"))
    assert not aside.is_hpa(str(tmp_path / "nothing"))


def test_the_installed_one_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is downloaded."""
    monkeypatch.setattr(aside, "ASIDE", tmp_path / "aside")
    monkeypatch.setattr(aside, "_OURS", script(tmp_path / "in.tftpd", "echo tftp-hpa 5.2"))
    aside.provide()
    assert (tmp_path / "in.tftpd") == (tmp_path / "aside" / aside.HPA).readlink()


@pytest.mark.parametrize("fails", ["apt-get", "dpkg"])
def test_out_of_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    """Unpacked where there is one, and not there where none can be had; asked for once."""
    tools = tmp_path / "bin"
    tools.mkdir()
    monkeypatch.setattr(aside, "ASIDE", tmp_path / "aside")
    monkeypatch.setattr(aside, "_OURS", str(tmp_path / "nothing"))
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    script(tools / "apt-get", "touch tftpd-hpa_5.2_all.deb")
    unpack = (
        "mkdir -p usr/sbin; printf '#!/bin/sh\\necho tftp-hpa 5.2\\n' > usr/sbin/in.tftpd; chmod 755 usr/sbin/in.tftpd"
    )
    script(tools / "dpkg", unpack)
    good = (tools / fails).read_text()
    script(tools / fails, "exit 1")
    aside.provide()
    assert not (tmp_path / "aside" / aside.HPA).exists()
    (tools / fails).write_text(good)
    aside.provide()
    assert aside.is_hpa(str(tmp_path / "aside" / aside.HPA))
    script(tools / fails, "exit 1")
    aside.provide()

"""The pytest plugin, by pytest runs of their own: boots are tests, failures are sentences, and nothing happens without the option."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from replay_scene import ALL, changed, copy_rack, rack_text

import pxenet

HEAVY = {"trio", "dpkt", "pydantic", "jinja2", "typer", "rich", "pxenet.config", "pxenet.rack", "pxenet.capture"}


def pytest_run(base: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Pytest with the plugin and this project's settings, in an empty directory."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-o",
        "trio_mode=true",
        "--rootdir",
        base,
        *arguments,
    ]
    place = str(Path(pxenet.__file__).parents[1])
    return subprocess.run(
        [*map(str, command)],
        cwd=base,
        env={"PYTHONPATH": place},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_each_boot_is_a_test(tmp_path: Path) -> None:
    """Two captures, two items, both pass; also beside pytest-trio in its trio mode."""
    rack = copy_rack(tmp_path)
    done = pytest_run(
        tmp_path, "--pxenet-config", rack / "rack.toml", "-v", ALL["uefi-pxe-grub"], ALL["proxy-bios-kea"]
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    assert "boot 1 52:54:00:77:03:01" in done.stdout


def test_a_failure_is_a_sentence(tmp_path: Path) -> None:
    """What a person needs is there, and no line of this project's code."""
    rack = copy_rack(tmp_path)
    (rack / "rack.toml").write_text(changed(rack_text(), ('unknown = "tiny"', 'unknown = "ignore"')))
    done = pytest_run(tmp_path, "--pxenet-config", rack / "rack.toml", ALL["uefi-pxe-grub"])
    assert 1 == done.returncode
    assert "does not boot: stops after its address, before any file" in done.stdout
    assert "name it in a [[host]] by its mac" in done.stdout
    assert "more that it does not care about" in done.stdout
    assert "; does not care:" not in done.stdout
    assert "Traceback" not in done.stdout
    assert "plugin.py" not in done.stdout


def test_a_wrong_configuration_is_an_error_in_words(tmp_path: Path) -> None:
    """The file and the key are named."""
    (tmp_path / "rack.toml").write_text("[dhpc]\n")
    done = pytest_run(tmp_path, "--pxenet-config", "rack.toml", ALL["uefi-pxe-grub"], ALL["proxy-bios-kea"])
    assert pytest.ExitCode.USAGE_ERROR == done.returncode
    assert 1 == (done.stdout + done.stderr).count("dhpc:")
    assert "Traceback" not in done.stdout + done.stderr


def test_a_template_that_never_ends(tmp_path: Path) -> None:
    """It fails the boots that need it, and the run comes to its end."""
    rack = copy_rack(tmp_path)
    (rack / "ks.cfg.j2").write_text("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")
    done = pytest_run(tmp_path, "--pxenet-config", rack / "rack.toml", ALL["uefi-pxe-grub"])
    assert 1 == done.returncode, done.stdout + done.stderr
    assert "stops at its answer file" in done.stdout


def test_expected_answers(tmp_path: Path) -> None:
    """With ``--pxenet-expect`` a boot passes when it is as pinned, and fails with the lines that are not."""
    rack, pinned = copy_rack(tmp_path), ALL["uefi-pxe-grub"].with_suffix(".replay.json")
    words = ("--pxenet-config", rack / "rack.toml", ALL["uefi-pxe-grub"], "--pxenet-expect")
    assert 0 == pytest_run(tmp_path, *words, pinned).returncode
    other = tmp_path / "other.json"
    other.write_text(pinned.read_text().replace("x64/grubx64.efi", "x64/other.efi"))
    done = pytest_run(tmp_path, *words, other)
    assert 1 == done.returncode
    assert "x64/other.efi" in done.stdout
    assert "Traceback" not in done.stdout


def test_nothing_is_paid_without_the_option() -> None:
    """The module that every pytest run imports brings none of the heavy ones."""
    code = "import sys, json, pxenet.replay.plugin; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set() == HEAVY & set(json.loads(done.stdout))


def test_captures_are_left_alone_without_the_option(tmp_path: Path) -> None:
    """They are no tests then."""
    assert "no tests ran" in pytest_run(tmp_path, ALL["uefi-pxe-grub"]).stdout

"""The lab's small distribution: its image, what its installer takes from a kickstart and a repository, and what is read off a disk."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import labkit
import needs
import pytest
from labkit import cpio, distribution

SCRIPTS = Path(labkit.__file__).parent / "initrd"
ROOT = Path(__file__).parents[2]

KICKSTART = """\
url --url=http://10.0.0.1/profile/lab9
%packages
@core
hello
%end
%post
echo first
%end
%post
echo second
%end
"""
COMPS = """\
<comps>
 <group>
  <id>core</id>
  <packagelist>
   <packagereq type="mandatory">base</packagereq>
  </packagelist>
 </group>
 <group>
  <id>more</id>
  <packagelist>
   <packagereq type="mandatory">extra</packagereq>
  </packagelist>
 </group>
</comps>
"""


def package(name: str, *requires: str) -> str:
    entries = "".join(f'      <rpm:entry name="{each}"/>\n' for each in requires)
    return f"""\
<package type="rpm">
  <name>{name}</name>
  <location href="Packages/{name}.rpm"/>
  <format>
    <rpm:provides>
      <rpm:entry name="{name}" flags="EQ" epoch="0" ver="9" rel="1"/>
    </rpm:provides>
    <rpm:requires>
{entries}    </rpm:requires>
  </format>
</package>
"""


PRIMARY = (
    package("hello", "words") + package("words", "hello") + package("base", "boot") + package("boot") + package("extra")
)


def awk(script: str, *arguments: str) -> list[str]:
    command = ["awk", *arguments[:-2], "-f", str(SCRIPTS / script), *arguments[-2:]]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@needs.tool("awk")
@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ("@core", ["boot", "base"]),
        ("hello", ["words", "hello"]),
        ("@core hello boot", ["boot", "base", "words", "hello"]),
        ("@more", ["extra"]),
        ("", []),
    ],
)
def test_packages_come_with_what_they_require(tmp_path: Path, wanted: str, places: list[str]) -> None:
    """Each once, also where two require each other; groups are what comps.xml says."""
    (tmp_path / "comps.xml").write_text(COMPS)
    (tmp_path / "primary.xml").write_text(PRIMARY)
    found = awk("packages.awk", "-v", f"wanted={wanted}", str(tmp_path / "comps.xml"), str(tmp_path / "primary.xml"))
    assert [f"Packages/{name}.rpm" for name in places] == found


@needs.tool("awk")
def test_a_package_that_is_nowhere_is_told(tmp_path: Path) -> None:
    (tmp_path / "comps.xml").write_text(COMPS)
    (tmp_path / "primary.xml").write_text(package("hello", "lost"))
    found = awk("packages.awk", "-v", "wanted=hello", str(tmp_path / "comps.xml"), str(tmp_path / "primary.xml"))
    assert ["! lost", "Packages/hello.rpm"] == found


@needs.tool("awk")
@pytest.mark.parametrize(
    ("name", "lines"), [("packages", ["@core", "hello"]), ("post", ["echo first", "echo second"]), ("onerror", [])]
)
def test_sections_of_a_kickstart(tmp_path: Path, name: str, lines: list[str]) -> None:
    (tmp_path / "ks.cfg").write_text(KICKSTART)
    assert lines == awk("section.awk", "-v", f"name={name}", str(tmp_path / "ks.cfg"), "/dev/null")


def test_the_installer_is_shell_that_parses() -> None:
    assert 0 == subprocess.run(["sh", "-n", str(SCRIPTS / "install")], check=False).returncode


FILES = {
    "etc/hostname": "web01\n",
    "etc/network": "static 10.0.0.9/255.255.255.0\n",
    "root/.ssh/authorized_keys": f"{distribution.KEY}\n",
    "usr/share/hello/text": "hello world\n",
}
PACKAGES = "hello-9-1.x86_64 hello-words-9-1.x86_64 lab-base-9-1.x86_64 lab-boot-9-1.x86_64"


def disk(directory: Path, files: dict[str, str]) -> Path:
    archive = cpio.serialize(cpio.file(name, text.encode()) for name, text in files.items())
    place = directory / "disk"
    place.write_bytes(bytes(distribution.ARCHIVE_AT) + gzip.compress(archive) + bytes(4096))
    return place


def test_a_disk_that_is_as_its_configuration_says(tmp_path: Path) -> None:
    there = disk(tmp_path, FILES)
    assert {name: text.encode() for name, text in FILES.items()} == distribution.installed(there)
    assert [] == distribution.faults(there, PACKAGES, "web01", "10.0.0.9")


@pytest.mark.parametrize(
    ("files", "packages", "fault"),
    [
        (FILES | {"etc/hostname": "web02\n"}, PACKAGES, "/etc/hostname on its disk is 'web02', not 'web01'"),
        (FILES | {"usr/share/unwanted": ""}, PACKAGES, "a package that nobody asked for is on its disk"),
        (
            {k: v for k, v in FILES.items() if "hello" not in k},
            PACKAGES,
            "/usr/share/hello/text on its disk is 'missing'",
        ),
        (FILES, "hello-9-1.x86_64", "rpm says hello-9-1.x86_64, not"),
        (FILES, None, "rpm says None, not"),
    ],
)
def test_whatever_is_otherwise_is_a_fault(
    tmp_path: Path, files: dict[str, str], packages: str | None, fault: str
) -> None:
    found = distribution.faults(disk(tmp_path, files), packages, "web01", "10.0.0.9")
    assert [True] == [each.startswith(fault) for each in found]


def test_an_empty_disk_is_a_fault(tmp_path: Path) -> None:
    empty = tmp_path / "disk"
    empty.write_bytes(bytes(distribution.ARCHIVE_AT + 4096))
    (fault,) = distribution.faults(empty, PACKAGES, "web01", "10.0.0.9")
    assert fault.startswith("nothing is installed on disk")


def test_the_twelve_lines_are_what_readme_shows() -> None:
    told = distribution.CONFIG.format(
        network="10.0.0.0/24",
        source=f"/srv/{distribution.NAME}",
        key=distribution.KEY,
        mac="52:54:00:12:34:56",
        name="web01",
        address="10.0.0.9",
    )
    assert 12 == len(told.splitlines())
    assert f"```toml\n{told}```\n" in (ROOT / "README.md").read_text()


@needs.tool("rpmbuild", "createrepo_c", "xorriso")
@needs.file(str(distribution.payload.INSTALLER / "linux"), "debian-installer-12-netboot-amd64")
def test_the_image_is_understood(tmp_path: Path) -> None:
    """Kernel, initrd and repository are found, and twelve lines are a configuration without a fault."""
    image = distribution.build(tmp_path)
    config = tmp_path / "rack.toml"
    config.write_text(
        distribution.CONFIG.format(
            network="10.0.0.0/24",
            source=image,
            key=distribution.KEY,
            mac="52:54:00:12:34:56",
            name="web01",
            address="10.0.0.9",
        )
    )
    said = subprocess.run(
        [sys.executable, "-m", "pxenet", "check", str(config)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (0, "") == (said.returncode, said.stderr)
    assert "host web01 (52:54:00:12:34:56, 10.0.0.9): installs lab9" in said.stdout

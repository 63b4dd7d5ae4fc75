"""dnf installs from an image in place: packages built here, a repository by createrepo_c, an ISO by xorriso, a root that was empty."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import needs
from programlab import free_ports, loopback_config, program

SPEC = """\
Name: hello-{name}
Version: 1.0
Release: 1
Summary: Says hello
License: MIT
BuildArch: noarch
AutoReqProv: no
{requires}
%description
Says hello.
%install
mkdir -p %{{buildroot}}/usr/share/hello
echo hello {name} > %{{buildroot}}/usr/share/hello/{name}
%files
/usr/share/hello/{name}
"""
TREEINFO = """[general]
family = Example
version = 9
arch = x86_64
[images-x86_64]
kernel = images/pxeboot/vmlinuz
"""


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def build(directory: Path, packages: Path, name: str, requires: str = "") -> None:
    spec = directory / f"{name}.spec"
    spec.write_text(SPEC.format(name=name, requires=requires))
    run(
        "rpmbuild",
        "-bb",
        "--quiet",
        "--define",
        f"_topdir {directory}/build",
        "--define",
        f"_rpmdir {packages}",
        str(spec),
    )


@needs.root()
@needs.tool("rpmbuild", "createrepo_c", "xorriso", "dnf")
def test_dnf_installs_from_an_image(tmp_path: Path) -> None:
    """A package and what it requires: found by the repository's index, fetched, and on the disk; and once more through the cache of
    another server, which holds each package to the checksum that the index tells.
    """
    tree = tmp_path / "tree"
    (tree / "images/pxeboot").mkdir(parents=True)
    (tree / "images/pxeboot/vmlinuz").write_bytes(b"kernel")
    (tree / ".treeinfo").write_text(TREEINFO)
    build(tmp_path, tree / "Packages", "world")
    build(tmp_path, tree / "Packages", "all", "Requires: hello-world")
    run("createrepo_c", "--quiet", "--general-compress-type=gz", str(tree))
    run("xorriso", "-as", "mkisofs", "-quiet", "-r", "-o", str(tmp_path / "x.iso"), str(tree))
    first, second = tmp_path / "first", tmp_path / "second"
    base = installed(tmp_path / "root 1", first, str(tmp_path / "x.iso"))
    with program(first, "--config", str(first / "rack.toml")):
        installed(tmp_path / "root 2", second, base)
    kept = [json.loads(path.read_text()) for path in (second / "state/cache").glob("*.json")]
    checked = {each["url"].removeprefix(f"{base}/"): each["digest"].partition(":")[0] for each in kept}
    packages = {name: algorithm for name, algorithm in checked.items() if name.endswith(".rpm")}
    assert {f"Packages/noarch/hello-{name}-1.0-1.noarch.rpm": "sha256" for name in ("all", "world")} == packages


def installed(root: Path, directory: Path, source: str) -> str:
    """Install from a server with this source; gives the URL that was installed from."""
    directory.mkdir()
    root.mkdir()
    ports = free_ports()
    config = directory / "rack.toml"
    config.write_text(loopback_config(ports) + f'[[profile]]\nname = "p"\nsource = "{source}"\n')
    url = f"http://127.0.0.1:{ports['http']}/profile/p"
    with program(directory, "--config", str(config)):
        run(
            "dnf", "--assumeyes", "--quiet", f"--installroot={root}", "--releasever=9", "--nogpgcheck", "--noplugins",
            f"--setopt=reposdir={directory}/none", f"--setopt=cachedir={directory}/dnf", "--repo=p",
            f"--repofrompath=p,{url}", "install", "hello-all",
        )  # fmt: skip
    found = {path.name: path.read_text() for path in (root / "usr/share/hello").iterdir()}
    assert {"world": "hello world\n", "all": "hello all\n"} == found
    return url

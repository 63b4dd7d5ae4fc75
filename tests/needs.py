"""What a test needs of the machine: programs, root, a network namespace. Each function gives a pytest mark.

    @needs.tool("curl", "wget")
    @needs.root()
    def test_x(): ...        # or, for a whole file:  pytestmark = needs.namespace()

A need that is not met skips the test, and the reason names what is missing and the package that brings it. Under
``PXENET_REQUIRE=all`` (as in ``.ci/run``) every skip is a failure: ``conftest.py`` sees to that, whatever skipped.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess

import pytest

PACKAGES = {
    "atftp": "atftp",
    "atftpd": "atftpd",
    "cc": "gcc",
    "chromium": "chromium",
    "curl": "curl",
    "createrepo_c": "createrepo-c",
    "dhclient": "isc-dhcp-client",
    "dnsmasq": "dnsmasq-base",
    "dnf": "dnf",
    "dumpcap": "wireshark-common",
    "genisoimage": "genisoimage",
    "git": "git",
    "ignition-validate": "ignition",
    "ip": "iproute2",
    "nft": "nftables",
    "openssl": "openssl",
    "perfdhcp": "kea-admin",
    "qemu-system-x86_64": "qemu-system-x86",
    "rpmbuild": "rpm",
    "strace": "strace",
    "tftp": "tftp-hpa",
    "tmux": "tmux",
    "tshark": "tshark",
    "udhcpc": "udhcpc",
    "unshare": "util-linux",
    "wget": "wget",
    "xmllint": "libxml2-utils",
    "debconf-set-selections": "debconf",
    "xorriso": "xorriso",
}
"""The Debian package of each program that a test may ask for."""

_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def find(name: str) -> str | None:
    """Path of an installed program, or None; looks into the sbin directories too, which an ordinary user's PATH lacks."""
    return shutil.which(name, path=_PATH)


def tool(*names: str) -> pytest.MarkDecorator:
    """The programs are installed."""
    missing = [f"{name} (apt-get install {PACKAGES.get(name, name)})" for name in names if find(name) is None]
    return pytest.mark.skipif(bool(missing), reason="needs " + ", ".join(missing))


def file(path: str, package: str) -> pytest.MarkDecorator:
    """A file of a Debian package is there."""
    return pytest.mark.skipif(not os.path.exists(path), reason=f"needs {path} (apt-get install {package})")


def root() -> pytest.MarkDecorator:
    """The tests run as root."""
    return pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def namespace() -> pytest.MarkDecorator:
    """A network namespace of one's own can be made: as root, or as a user where the kernel lets users."""
    return pytest.mark.skipif(
        unshare() is None, reason="needs a network namespace (root, or unprivileged user namespaces)"
    )


@functools.cache
def unshare() -> tuple[str, ...] | None:
    """The command that runs what follows it in a network namespace of its own, which ends with it; None when refused."""
    command = ("unshare", "--net", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc")
    if os.geteuid() != 0:
        command = ("unshare", "--user", "--map-root-user", *command[1:])
    try:
        done = subprocess.run([*command, "true"], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return command if done.returncode == 0 else None

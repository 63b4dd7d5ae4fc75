"""Kinds of answer files: by name, else by what the source is; the name in the URL, and what is read beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pxenet.answer import files
from pxenet.answer.context import answer_path, names
from pxenet.answer.kinds import companions, file_name, kind_of
from pxenet.answer.templates import TemplateProblem
from pxenet.model import Host, Installer, Profile


def profile(answer: str | None, installer: Installer | None = None, *, verbatim: bool = False) -> Profile:
    return Profile("p", "k", answer=answer, installer=installer, verbatim=verbatim)


@pytest.mark.parametrize(
    ("answer", "installer", "name", "kind"),
    [
        ("kickstart", None, "ks.cfg", "kickstart"),
        ("/etc/pxenet/alma.ks.j2", None, "alma.ks", "kickstart"),
        ("/etc/pxenet/node.cfg", None, "node.cfg", "kickstart"),
        ("/etc/pxenet/node.cfg", Installer.ANACONDA, "node.cfg", "kickstart"),
        ("/etc/pxenet/node.cfg", Installer.DEBIAN, "node.cfg", "preseed"),
        ("/etc/pxenet/preseed.cfg.j2", None, "preseed.cfg", "preseed"),
        ("/etc/pxenet/bookworm.seed", None, "bookworm.seed", "preseed"),
        ("/etc/pxenet/user-data.jinja", None, "user-data", "autoinstall"),
        ("/etc/pxenet/web.yaml.j2", Installer.SUBIQUITY, "user-data", "autoinstall"),
        ("/etc/pxenet/autoinstall.yaml", None, "user-data", "autoinstall"),
        ("/etc/pxenet/worker.ign", None, "worker.ign", "ignition"),
        ("/etc/pxenet/sles.xml", None, "sles.xml", "autoyast"),
        ("/etc/pxenet/leap", Installer.LINUXRC, "leap", "autoyast"),
        ("/etc/pxenet/leap.json", Installer.AGAMA, "leap.json", "agama"),
        ("/etc/pxenet/leap.xml", Installer.AGAMA, "leap.xml", "autoyast"),
        ("/etc/pxenet/worker.json", Installer.COREOS, "worker.json", "ignition"),
        ("/etc/pxenet/notes.txt", None, "notes.txt", ""),
        ("/etc/pxenet/notes.txt", Installer.ARCH, "notes.txt", ""),
    ],
)
def test_kinds_of_answer_files(answer: str, installer: Installer | None, name: str, kind: str) -> None:
    """The name says which installer reads it, and where it does not, the source; cloud-init knows one name only."""
    made = profile(answer, installer)
    assert (name, kind, f"answer/t/p/{name}") == (file_name(made), kind_of(made), answer_path("t", made))


def test_no_answer_file() -> None:
    """It is of no kind."""
    assert ("", ()) == (kind_of(profile(None)), companions(profile(None)))


def beside(made: Profile, name: str) -> str | None:
    seen = names(Host("node1"), made, token="t", server_url="http://10.0.0.1", server_address=0)
    return files.companion(made, name, seen)


def test_what_cloud_init_reads_beside_it(tmp_path: Path) -> None:
    """meta-data there must be; the rest is what lies beside a user-data, a template or as it is."""
    made = profile(str(tmp_path / "user-data"))
    assert ("meta-data", "vendor-data", "network-config") == companions(made)
    assert "instance-id: pxenet-node1\nlocal-hostname: node1\n" == beside(made, "meta-data")
    assert beside(made, "network-config") is None
    (tmp_path / "meta-data").write_text("instance-id: {{ host.name }}\n")
    (tmp_path / "network-config.j2").write_text("# {{ host.name }}\n")
    assert ("instance-id: node1\n", "# node1\n") == (beside(made, "meta-data"), beside(made, "network-config"))
    taken = profile(str(tmp_path / "user-data"), verbatim=True)
    assert "instance-id: {{ host.name }}\n" == beside(taken, "meta-data")
    other = profile(str(tmp_path / "autoinstall.yaml"))
    assert "instance-id: pxenet-node1\nlocal-hostname: node1\n" == beside(other, "meta-data")
    (tmp_path / "vendor-data").write_text("{{ gone }}")
    with pytest.raises(TemplateProblem, match=r"vendor-data:1: undefined"):
        beside(made, "vendor-data")

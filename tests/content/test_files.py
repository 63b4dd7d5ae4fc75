"""Single files under names of their own."""

from __future__ import annotations

from pathlib import Path

from pxenet.content.files import Files
from pxenet.content.plain import read
from pxenet.model import Asker, Content, Role

NAME = "profile/tiny/boot-files/vmlinuz"
ASKER = Asker(0)


def test_a_file_is_served_under_its_name(tmp_path: Path) -> None:
    """Link or not, by the name of the tree, with what it proves; a file that is gone is nobody's."""
    (tmp_path / "elsewhere").mkdir()
    kernel = tmp_path / "elsewhere" / "vmlinuz-6.1"
    kernel.write_bytes(b"kernel")
    (tmp_path / "vmlinuz").symlink_to(kernel)
    files = Files({NAME: tmp_path / "vmlinuz"}, roles={NAME: Role.KERNEL}, profile="tiny")
    found = files.find(NAME, ASKER, 0.0)
    assert isinstance(found, Content)
    assert (found.name, found.role, found.profile, read(found)) == (NAME, Role.KERNEL, "tiny", b"kernel")
    assert files.find("profile/tiny/boot-files/other", ASKER, 0.0) is None
    kernel.unlink()
    assert files.find(NAME, ASKER, 0.0) is None

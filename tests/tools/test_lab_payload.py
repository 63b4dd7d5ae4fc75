"""The small installer: the %post it runs, and the modules it loads."""

import shutil
import subprocess
from pathlib import Path

import labkit
import needs
import pytest
from labkit import payload

SCRIPTS = Path(labkit.__file__).parent / "initrd"

KICKSTARTS = [
    pytest.param("text\n%post\necho one\n%end\n", "echo one\n", id="one"),
    pytest.param("%post --nochroot\na\n%end\ntext\n%post\nb\n%end\n", "a\nb\n", id="two, with options"),
    pytest.param("%pre\nnot me\n%end\n%packages\nvim\n%end\n", "", id="none"),
    pytest.param(
        "%post\n# %end is not the end here\necho x\n%end\nreboot\n", "# %end is not the end here\necho x\n", id="inner"
    ),
]


@needs.tool("awk")
@pytest.mark.parametrize(("kickstart", "expected"), KICKSTARTS)
def test_the_post_sections_of_a_kickstart(kickstart: str, expected: str) -> None:
    """All that stands between %post and %end, in order, and nothing else."""
    awk = shutil.which("awk") or "awk"
    done = subprocess.run(
        [awk, "-f", str(SCRIPTS / "post.awk")], input=kickstart, capture_output=True, text=True, check=True
    )
    assert done.stdout == expected


@pytest.mark.parametrize("name", ["init", "udhcpc-script"])
def test_the_scripts_are_a_shell_s(name: str) -> None:
    """A slip in them would show only as a machine that hangs."""
    assert subprocess.run(["sh", "-n", str(SCRIPTS / name)], check=False).returncode == 0


def test_modules_come_after_what_they_need() -> None:
    """Dependencies first, each once, and what the kernel has built in is left out."""
    requires = {"sd_mod": ("scsi_mod", "t10_pi"), "scsi_mod": ("scsi_common",), "scsi_common": (), "t10_pi": ()}
    order = payload.in_load_order(("sd_mod", "scsi_mod", "built_in"), requires)
    assert order == ["scsi_common", "scsi_mod", "t10_pi", "sd_mod"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"\x7fELF\0depends=usb-common,xhci_hcd\0intree=Y\0", ("usb_common", "xhci_hcd"), id="two"),
        pytest.param(b"\0depends=\0", (), id="none"),
        pytest.param(b"no such string", (), id="absent"),
    ],
)
def test_what_a_module_says_it_needs(data: bytes, expected: tuple[str, ...]) -> None:
    """The names as the kernel spells them."""
    assert payload.dependencies(data) == expected

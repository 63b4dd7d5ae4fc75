"""``pxenet kickstart import``: what it prints is configuration that can be used as it is."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from pxenet.cli.main import app
from pxenet.config import from_text

TEXT = """\
url --url=http://mirror.example/os
network --bootproto=dhcp --hostname=web01
rootpw --iscrypted $6$a$b
user --name=ops --groups=wheel --iscrypted --password=$6$c$d
%packages
@core
vim
%end
%post
echo "${#x[@]} {{ a }}"
%end
"""


def test_what_is_printed_can_be_used(tmp_path: Path) -> None:
    """The TOML below a [[profile]] gives the keys that the kickstart said; what belongs elsewhere says where."""
    (tmp_path / "ks.cfg").write_text(TEXT)
    (tmp_path / "vmlinuz").write_bytes(b"kernel")
    done = CliRunner().invoke(app, ["kickstart", "import", str(tmp_path / "ks.cfg")])
    assert (0, "") == (done.exit_code, done.stderr)
    settings = from_text('[[profile]]\nname = "alma9"\nkernel = "vmlinuz"\n' + done.stdout, tmp_path)
    assert {
        "language": None,
        "root_password": "$6$a$b",
        "user": [{"name": "ops", "groups": ["wheel"], "password": "$6$c$d"}],
        "packages": ["vim"],
        "post": 'echo "${#x[@]} {{ a }}"\n',
    } == {"language": None, **settings.profiles[0].kickstart}
    assert '# [[profile]] source = "http://mirror.example/os"\n# [[host]] name = "web01"\n' in done.stdout


def test_what_was_not_taken_is_named(tmp_path: Path) -> None:
    """With file and line on standard error, or as rows for programs; the exit status says it too."""
    file = tmp_path / "ks.cfg"
    file.write_text("realm join example.org\nrootpw --iscrypted $6$a$b\n")
    done = CliRunner().invoke(app, ["kickstart", "import", str(file)])
    assert (1, True) == (done.exit_code, done.stderr.startswith(f"{file}:1: realm join example.org: has no key"))
    rows = json.loads(CliRunner().invoke(app, ["kickstart", "import", "--json", str(file)]).stdout)
    assert [1] == [each["line"] for each in rows["left"]]


def test_a_secret_in_what_was_not_taken_is_not_shown(tmp_path: Path) -> None:
    """The line is told, and not the password in it."""
    file = tmp_path / "ks.cfg"
    file.write_text("user --name=ops --password=hunter22\nrealm join x --one-time-password=hunter33\n")
    done = CliRunner().invoke(app, ["kickstart", "import", str(file)])
    assert f"{file}:1: user --name=ops --password=<secret-1>: " in done.stderr
    assert f"{file}:2: realm join x --one-time-password=<secret-2>: " in done.stderr
    assert "hunter22" not in done.output


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Is told by name, with exit status 2."""
    done = CliRunner().invoke(app, ["kickstart", "import", str(tmp_path / "none")])
    assert (2, True) == (done.exit_code, "cannot be read: No such file" in done.stderr)

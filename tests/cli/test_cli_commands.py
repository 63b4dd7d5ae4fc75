"""The commands: what they print, their JSON twins, their exit status, and help that shows an example."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pxenet import __version__
from pxenet.cli.main import app
from pxenet.config import defaults, from_text
from pxenet.net.udp import QUEUE_BYTES, granted_queue_bytes

CONFIG = """\
[server]
address = "10.0.0.1"
[[dhcp.subnet]]
network = "10.0.0.0/24"
pool = "10.0.0.100-10.0.0.199"
[[profile]]
name = "alma9"
kernel = "vmlinuz"
initrd = "initrd.img"
args = "console={{ vars.console }}"
answer = "my.ks"
vars.console = "ttyS0"
[[host]]
mac = "52:54:00:12:34:56"
name = "web01"
profile = "alma9"
[[host]]
mac = "52:54:00:12:34:57"
name = "db01"
"""
ANSWER = "# {{ host.name }}\nreboot\n%post\ncurl {{ urls.installed }}\n%end\n"


@pytest.fixture
def rack_toml(tmp_path: Path) -> Path:
    for name in ("vmlinuz", "initrd.img"):
        (tmp_path / name).write_text(name)
    (tmp_path / "my.ks").write_text(ANSWER)
    (tmp_path / "rack.toml").write_text(CONFIG)
    return tmp_path / "rack.toml"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


COMMANDS = (
    "serve",
    "check",
    "render",
    "explain",
    "capture",
    "doctor",
    "status",
    "hosts",
    "leases",
    "events",
    "reinstall",
    "cancel",
    "retire",
    "simulate",
)


def test_help_lists_the_commands() -> None:
    """Each command is there, with a sentence."""
    shown = run("--help").stdout
    assert [] == [name for name in COMMANDS if name not in shown]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command: str) -> None:
    """The example stands on a line of its own, as it is typed."""
    assert f"\n    pxenet {command} " in run(command, "--help").stdout


def test_version() -> None:
    """It can be asked for without a command."""
    assert (0, f"pxenet {__version__}\n") == (run("--version").exit_code, run("--version").stdout)


def test_the_server_module_has_help() -> None:
    """``python -m pxenet.server`` needs no command line framework to say what it takes."""
    code = "import sys, runpy; sys.argv = ['x', '--help']\ntry: runpy.run_module('pxenet.server')\nexcept SystemExit: pass\n"
    code += "print([name for name in ('typer', 'rich', 'pydantic', 'jinja2') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--interface NAME" in done.stdout
    assert done.stdout.endswith("[]\n")


def test_check_defaults() -> None:
    """The keys are valid TOML that changes nothing; the twin has a record per key."""
    assert defaults() == from_text(run("check", "--defaults").stdout, Path())
    keys = json.loads(run("check", "--defaults", "--json").stdout)
    assert {"table": "http", "name": "port", "default": 80}.items() <= next(
        k for k in keys if k["table"] == "http"
    ).items()


def test_check_a_right_configuration(rack_toml: Path) -> None:
    """Networks, firmware and hosts in plain words, and exit status 0."""
    done = run("check", rack_toml)
    assert (0, "") == (done.exit_code, done.stderr)
    for words in ("10.0.0.100-10.0.0.199", "x86 BIOS", "web01", "installs alma9", "is right"):
        assert words in done.stdout


def test_check_as_json(rack_toml: Path) -> None:
    """The twin says the same."""
    document = json.loads(run("check", rack_toml, "--json").stdout)
    assert [] == document["problems"]
    assert [("web01", "install"), ("db01", "local")] == [(host["name"], host["action"]) for host in document["hosts"]]


def test_check_tells_of_workers(rack_toml: Path) -> None:
    """How many processes serve files; one is nothing to tell people of."""
    assert 1 == json.loads(run("check", rack_toml, "--json").stdout)["workers"]
    assert "workers serve" not in run("check", rack_toml).stdout
    rack_toml.write_text(CONFIG.replace("[server]\n", "[server]\nworkers = 3\n"))
    assert "3 workers serve files by TFTP and HTTP" in run("check", rack_toml).stdout.splitlines()
    assert 3 == json.loads(run("check", rack_toml, "--json").stdout)["workers"]


def test_check_tells_of_queues(rack_toml: Path) -> None:
    """How much may wait at a socket, and in words when that is less than it should be."""
    granted = granted_queue_bytes()
    assert granted == json.loads(run("check", rack_toml, "--json").stdout)["udp_queue_bytes"]
    assert (granted < QUEUE_BYTES) == ("of waiting datagrams, not" in run("check", rack_toml).stdout)


def test_check_tells_problems(rack_toml: Path) -> None:
    """File, line and key on stderr, exit status 2."""
    rack_toml.write_text(CONFIG.replace("10.0.0.0/24", "10.0.0.7/24"))
    done = run("check", rack_toml)
    assert 2 == done.exit_code
    assert f"{rack_toml}:4: dhcp.subnet[1] (10.0.0.7/24).network: " in done.stderr
    (problem,) = json.loads(run("check", rack_toml, "--json").stdout)["problems"]
    assert (4, 'write "10.0.0.0/24"') == (problem["line"], problem["right"])


def test_check_renders_every_template(rack_toml: Path) -> None:
    """A variable that is not defined is told with the template's file and line, and for whom."""
    (rack_toml.parent / "my.ks").write_text("# one\n{{ vars.disk }}\n")
    done = run("check", rack_toml)
    assert 2 == done.exit_code
    assert f"{rack_toml.parent}/my.ks:2: " in done.stderr
    assert "disk" in done.stderr
    assert "web01" in done.stderr


def test_check_renders_kernel_arguments(rack_toml: Path) -> None:
    """They are templates too, and stand in the configuration."""
    rack_toml.write_text(CONFIG.replace('vars.console = "ttyS0"\n', ""))
    done = run("check", rack_toml)
    assert 2 == done.exit_code
    assert f"{rack_toml}:10: profile[1] (alma9).args: " in done.stderr


def test_check_renders_for_unknown_machines(rack_toml: Path) -> None:
    """When those are installed too, what they get is rendered as well."""
    lonely = CONFIG[: CONFIG.index("[[host]]")].replace('vars.console = "ttyS0"\n', "") + '[boot]\nunknown = "alma9"\n'
    rack_toml.write_text(lonely)
    assert "console" in run("check", rack_toml).stderr


def test_check_needs_a_configuration() -> None:
    """Without one it says what to name."""
    done = run("check")
    assert (2, True) == (done.exit_code, "name a configuration" in done.stderr)


def test_render_a_host(rack_toml: Path) -> None:
    """What the firmware is told, the loaders' texts and the answer file."""
    done = run("render", rack_toml, "web01")
    assert (0, "") == (done.exit_code, done.stderr)
    for words in (
        "pxelinux.cfg/01-52-54-00-12-34-56",
        "grub.cfg",
        "console=ttyS0",
        "inst.ks=http://10.0.0.1/answer/",
        "# web01\nreboot",
    ):
        assert words in done.stdout


def test_render_is_the_same_each_time(rack_toml: Path) -> None:
    """So that two renderings can be compared."""
    assert run("render", rack_toml, "web01").stdout == run("render", rack_toml, "web01").stdout


def test_render_as_json(rack_toml: Path) -> None:
    """The texts are in the twin, each with who reads it."""
    document = json.loads(run("render", rack_toml, "web01", "--json").stdout)
    assert ("web01", "install", []) == (document["host"], document["action"], document["problems"])
    assert {"pxelinux.cfg/01-52-54-00-12-34-56", "grub.cfg"} <= {text["name"] for text in document["texts"]}


def test_render_a_host_that_boots_its_disk(rack_toml: Path) -> None:
    """It has boot texts and no answer file."""
    shown = run("render", rack_toml, "db01").stdout
    assert "# db01: local, because" in shown
    assert "inst.ks" not in shown


def test_render_beside_another_dhcp_server(rack_toml: Path) -> None:
    """A text that only some firmware reads on its way is shown too: the script by which iPXE starts GRUB."""
    (rack_toml.parent / "x64").mkdir()
    for name in ("ipxe.efi", "grubx64.efi"):
        (rack_toml.parent / "x64" / name).touch()
    rack_toml.write_text(CONFIG.replace("[server]", '[dhcp]\nmode = "proxy"\n[server]\nroot = "."', 1))
    assert "##### x64/grub.ipxe (x64 UEFI)" in run("render", rack_toml, "web01").stdout


def test_render_an_unknown_host(rack_toml: Path) -> None:
    """The known ones are named."""
    done = run("render", rack_toml, "web1")
    assert (2, True) == (done.exit_code, "known hosts: db01, web01" in done.stderr)


def test_serve_tells_problems(tmp_path: Path) -> None:
    """A configuration that cannot be read, or a root that is not there, is exit status 2 before anything starts."""
    assert 2 == run("serve", "--config", tmp_path / "none.toml").exit_code
    done = run("serve", "--root", tmp_path / "none")
    assert (2, True) == (done.exit_code, "--root: " in done.stderr)


def test_capture_without_a_server(tmp_path: Path) -> None:
    """It is the server that records: without one that is said, and a size must be one."""
    told = run("capture", tmp_path / "x.pcap", "--state", tmp_path)
    assert 1 == told.exit_code
    assert "it is the server that records" in told.stderr
    wrong = run("capture", tmp_path / "x.pcap", "--state", tmp_path, "--rotate", "much")
    assert 2 == wrong.exit_code
    assert "write a size like 500k, 100M or 2G" in wrong.stderr


@pytest.mark.parametrize(
    "arguments",
    [("check",), ("render", "web01"), ("explain", "web01"), ("simulate", "--config")],
    ids=lambda words: words[0],
)
def test_a_template_that_does_not_end(arguments: tuple[str, ...], rack_toml: Path) -> None:
    """Every command that renders comes to its end; those that judge templates name file and line."""
    loop = "{% for a in range(10000) %}" * 3 + "{% if a == 'x' %}x{% endif %}" + "{% endfor %}" * 3
    (rack_toml.parent / "my.ks").write_text(f"# mine\n{loop}\n")
    result = (
        run(arguments[0], *arguments[1:], rack_toml)
        if "--config" in arguments
        else run(arguments[0], rack_toml, *arguments[1:])
    )
    told = f"{rack_toml.parent}/my.ks:2: takes too long: does it come to an end?"
    expected = {"check": (2, "stderr"), "render": (2, "stderr"), "explain": (0, "stdout"), "simulate": (1, "stdout")}
    status, stream = expected[arguments[0]]
    words = "1 failed" if arguments[0] == "simulate" else told
    assert (status, True) == (result.exit_code, words in getattr(result, stream)), result.output
    assert arguments[0] != "explain" or not re.search(r"[0-9a-f]{32}", result.output)  # no token

"""Templates: every way they can be wrong is told with file and line; nothing undefined passes."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from pxenet.answer.context import NAMES, HostNetwork, answer_path, names
from pxenet.answer.templates import MAX_OUTPUT_BYTES, TemplateProblem, render_file, render_text
from pxenet.model import Host, Profile

SEEN: dict[str, object] = {"host": {"name": "node1"}, "vars": {"color": "red", "many": ["a", "b"]}}


def write(directory: Path, **files: str) -> None:
    for name, text in files.items():
        (directory / f"{name}.j2").write_text(text)


def test_a_template_is_rendered(tmp_path: Path) -> None:
    """Names, loops, defaults and an include from its own directory; the last line end stays."""
    write(
        tmp_path,
        ks='{% include "head.j2" %}\n{% for x in vars.many %}\n{{ x }}\n{% endfor %}\n{{ vars.no | default("none") }}\n',
    )
    write(tmp_path, head="# {{ host.name }}\n")
    assert "# node1\na\nb\nnone\n" == render_file(str(tmp_path / "ks.j2"), SEEN)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        pytest.param(
            "a\nb\n{{ host.nmae }}",
            3,
            "undefined: 'dict object' has no attribute 'nmae'; did you mean name?",
            id="undefined key",
        ),
        pytest.param("a\n{{ nothing }}", 2, "undefined: 'nothing' is undefined", id="undefined name"),
        pytest.param("a\n{% if vars.colour %}x{% endif %}", 2, "undefined:", id="undefined in a condition"),
        pytest.param("{% if %}", 1, "syntax: ", id="syntax"),
        pytest.param("\n\n{{ open", 3, "syntax: ", id="never closed"),
        pytest.param(
            "\n{% include 'gone.j2' %}", 2, "includes gone.j2, which does not exist beside it", id="missing include"
        ),
        pytest.param("\n{% include '../x.j2' %}", 2, "not allowed: ../x.j2 lies outside", id="include from above"),
        pytest.param(
            "\n{% include '/etc/hostname' %}", 2, "not allowed: /etc/hostname lies outside", id="include absolute"
        ),
        pytest.param(
            "\n{{ ''.__class__.__mro__ }}", 2, "not allowed: access to attribute '__class__'", id="underscore"
        ),
        pytest.param("\n{{ vars.many.append(1) }}", 2, "not allowed: ", id="changes what it is given"),
        pytest.param("{{ 9 ** 9 }}", 1, "not allowed: powers", id="power"),
        pytest.param("{{ 'a' * 9 }}", 1, "not allowed: texts", id="multiplied text"),
        pytest.param("{{ range(99999) | length }}", 1, "not allowed: a range of 99999", id="long range"),
        pytest.param("\n{{ 1 / 0 }}", 2, "ZeroDivisionError", id="arithmetic"),
        pytest.param("\n{{ 'x' + 1 }}", 2, "TypeError", id="types"),
        pytest.param("{% include 't.j2' %}", 1, "includes itself without end", id="recursion"),
        pytest.param("{{ 'x' | nofilter }}", 1, "syntax: No filter named 'nofilter'", id="unknown filter"),
    ],
)
def test_problems_name_file_and_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    """Each fault becomes a TemplateProblem that a person finds at once."""
    write(tmp_path, t=text)
    with pytest.raises(TemplateProblem) as caught:
        render_file(str(tmp_path / "t.j2"), SEEN)
    problem = caught.value
    assert (str(tmp_path / "t.j2"), line) == (problem.file, problem.line)
    assert problem.message.startswith(message)
    assert f"{tmp_path / 't.j2'}:{line}: {problem.message}" == str(problem)


def test_a_fault_in_an_included_file_is_told_there(tmp_path: Path) -> None:
    """The file and line are the included one's."""
    write(tmp_path, t="\n{% include 'inner.j2' %}", inner="\n\n\n{{ gone }}")
    with pytest.raises(TemplateProblem) as caught:
        render_file(str(tmp_path / "t.j2"), SEEN)
    assert (str(tmp_path / "inner.j2"), 4) == (caught.value.file, caught.value.line)


def test_files_that_cannot_be_templates(tmp_path: Path) -> None:
    """Missing, not text, a directory."""
    (tmp_path / "latin.j2").write_bytes(b"caf\xe9")
    (tmp_path / "dir.j2").mkdir()
    os.mkfifo(tmp_path / "pipe.j2")
    (tmp_path / "large.j2").write_bytes(b"{#" + b"\xc3\xbc" * (MAX_OUTPUT_BYTES // 2) + b"#}")
    large = f"has more than {MAX_OUTPUT_BYTES} bytes, which are the limit"
    told = []
    for name in ("gone", "latin", "dir", "pipe", "large"):
        with pytest.raises(TemplateProblem) as caught:
            render_file(str(tmp_path / f"{name}.j2"), SEEN)
        told.append(caught.value.message)
    assert [
        "does not exist",
        "is not UTF-8 text (byte 3)",
        "cannot be read: Is a directory",
        "is not a file",
        large,
    ] == told


def test_an_include_through_a_linked_directory(tmp_path: Path) -> None:
    """A link does not lead out of the template's directory."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "in").mkdir()
    write(tmp_path / "outside", secret="x")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "outside")
    write(tmp_path / "in", t="{% include 'link/secret.j2' %}")
    with pytest.raises(TemplateProblem, match="not allowed"):
        render_file(str(tmp_path / "in" / "t.j2"), SEEN)


def test_an_output_without_end(tmp_path: Path) -> None:
    """More than a megabyte is a mistake."""
    write(tmp_path, t="{% for a in range(2000) %}" + "x" * (MAX_OUTPUT_BYTES // 2000 + 9) + "{% endfor %}")
    with pytest.raises(TemplateProblem, match="are the limit"):
        render_file(str(tmp_path / "t.j2"), SEEN)


def test_what_no_file_can_contain() -> None:
    """Half of a surrogate pair, from a wrong escape: told like any fault, not found out while encoding a reply."""
    with pytest.raises(TemplateProblem, match="which no file can contain"):
        render_text('{{ "\\ud800" }}', {}, "profile.a.args")


def test_texts_name_their_key() -> None:
    """Kernel arguments are told by the key they stand in; plain ones pass as they are, and nothing can be included."""
    assert "quiet ip=dhcp" == render_text("quiet ip=dhcp", {}, "profile.a.args")
    assert "h=node1" == render_text("h={{ host.name }}", SEEN, "profile.a.args")
    with pytest.raises(TemplateProblem) as caught:
        render_text("a\n{{ gone }}", {}, "profile.a.args")
    assert "profile.a.args:2: undefined: 'gone' is undefined" == str(caught.value)
    with pytest.raises(TemplateProblem, match="which does not exist beside it"):
        render_text("{% include '/etc/hostname' %}", {}, "profile.a.args")


def test_what_templates_see() -> None:
    """Exactly the documented names, with the host's variables over the profile's over the defaults."""
    host = Host("node1", bytes.fromhex("525400123456"), vars={"a": 1}, address=0x0A000005)
    profile = Profile("p", "k", answer="/x/ks.j2", source_url="{server}/profile/p", vars={"a": 2, "b": 2})
    seen = names(
        host,
        profile,
        token="t",
        server_url="http://10.0.0.1",
        server_address=0x0A000001,
        network=HostNetwork(0x0A000005, 0xFFFFFF00, 0x0A000001, (0x0A000001,), "lab"),
        defaults={"a": 3, "b": 3, "c": 3},
    )
    reports = seen["reports"]
    assert isinstance(reports, dict)
    assert {
        "installed": "/installed/t",
        "failed": "/failed/t",
        "busybox": "/installed/t",
        "busybox_failed": "/failed/t",
    } == {name: re.findall(r"http://10\.0\.0\.1(/\w+/t)\b", text)[0] for name, text in reports.items()}
    assert {
        "host": {
            "name": "node1",
            "mac": "52:54:00:12:34:56",
            "uuid": "",
            "serial": "",
            "address": "10.0.0.5",
            "netmask": "255.255.255.0",
            "gateway": "10.0.0.1",
            "dns": ["10.0.0.1"],
            "domain": "lab",
        },
        "profile": {"name": "p"},
        "vars": {"a": 1, "b": 2, "c": 3},
        "kickstart": {},
        "urls": {
            "installed": "http://10.0.0.1/installed/t",
            "failed": "http://10.0.0.1/failed/t",
            "discovered": "http://10.0.0.1/discovered/t",
            "answer": "http://10.0.0.1/answer/t/p/ks",
            "source": "http://10.0.0.1/profile/p",
            "image": "",
            "stage2": "",
        },
        "reports": reports,
        "server": {"address": "10.0.0.1", "url": "http://10.0.0.1"},
    } == seen
    assert set(NAMES) == set(seen)
    assert "" == answer_path("t", Profile("p", "k"))


def test_a_machine_without_a_name() -> None:
    """It is called by its hardware address, in a form that is a host name."""
    host = Host("52:54:00:12:34:56", bytes.fromhex("525400123456"), configured=False)
    seen = names(host, Profile("p", "k"), token="t", server_url="", server_address=0)
    found = seen["host"]
    assert isinstance(found, dict)
    assert ("host-525400123456", "", []) == (found["name"], found["address"], found["dns"])

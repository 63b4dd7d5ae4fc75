"""Shell text passes through: whole in a file taken as it is, in scripts of the data, and, but for template marks, in templates."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pxenet.answer import files
from pxenet.answer.context import names
from pxenet.answer.kickstart import BUILT_IN
from pxenet.answer.templates import TemplateProblem, render_text
from pxenet.config import ConfigError, from_text
from pxenet.model import Host, Profile

SHELL = r"""x=(a b "c d"); y=a/b/c; z=$'\t'; n=5
echo "${#x[@]} ${#y} ${#} $# ${y##*/} ${y%%/*} ${y#*/} ${y%/*} ${y/b/#}" # ${#y}
f() { { echo "$1"; }; }; f "{a,b} {1..3} ${x[@]:1} $((n % 3)) $((16#ff))"
awk 'BEGIN { n = split("a#b", part, "#"); print n " {" part[1] "}" }' #}
printf '%s %d%%\n' "${z}" "${#z}" && echo '\n \\ "q" $(no) `no` $$ #'
cat <<'E'; : "${n:+${#n}}"
$n ${#n} %x
E
"""
"""What people write in %pre and %post; it runs."""

MARKS = "{{ host.name }} {% if x %} {# gone #} {{{ }}} {%- raw -%}\n"
"""What a template engine would take for its own."""


def seen(profile: Profile, **data: object) -> dict[str, object]:
    host = Host("node1", kickstart={"root_password": "$6$a$b", **data}) if data else Host("node1")
    return names(host, profile, token="t", server_url="http://10.0.0.1", server_address=0x0A000001)


def verbatim(directory: Path, text: bytes, *, reports: bool = False) -> str:
    file = directory / "ks.cfg"
    file.write_bytes(text)
    profile = Profile("alma9", "k", answer=str(file), verbatim=True, reports=reports)
    return files.render(profile, seen(profile))


def test_the_shell_text_is_one() -> None:
    """bash takes it: the text stands for what people have."""
    assert 0 == subprocess.run(["bash", "-c", SHELL], capture_output=True, timeout=60, check=False).returncode


@pytest.mark.parametrize(
    "text",
    [SHELL, MARKS, "", "no end", "a\r\nb\rc\n", "ümlaut ✓\n"],
    ids=["shell", "marks", "none", "end", "cr", "utf8"],
)
def test_a_file_is_taken_as_it_is(text: str, tmp_path: Path) -> None:
    """Every byte of it, line ends and template marks included."""
    assert text.encode() == verbatim(tmp_path, text.encode()).encode()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_taken_as_it_is(tmp_path: Path, text: str) -> None:
    """There is no text that means something."""
    assert text == verbatim(tmp_path, text.encode())


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    """It is told, with what is wrong."""
    with pytest.raises(TemplateProblem, match=r"ks\.cfg: is not UTF-8 text \(byte 3\)"):
        verbatim(tmp_path, b"caf\xe9")
    (tmp_path / "ks.cfg").unlink()
    profile = Profile("alma9", "k", answer=str(tmp_path / "ks.cfg"), verbatim=True)
    with pytest.raises(TemplateProblem, match=r"ks\.cfg: does not exist"):
        files.render(profile, seen(profile))


def test_the_end_is_reported_all_the_same(tmp_path: Path) -> None:
    """Behind the file as it is stand the sections that report: a machine that says nothing would install itself again."""
    text = verbatim(tmp_path, b"text\n%post\ntrue\n%end", reports=True)
    head, _, rest = text.partition("%post\ntrue\n%end\n")
    assert ("text\n", "\n%post\n# The end") == (head, rest[: len("\n%post\n# The end")])
    assert "\ncurl -fsS --retry 5 -o /dev/null http://10.0.0.1/installed/t ||\n" in rest
    assert "\n%onerror\n" in rest


def test_a_template_that_reports_is_left_alone(tmp_path: Path) -> None:
    """The end is reported once, and so is a failure; of the two, the one that is missing is added."""
    file = tmp_path / "ks.cfg"
    profile = Profile("alma9", "k", answer=str(file))
    end, failure = "%post\ncurl {{ urls.installed }}\n%end\n", "%onerror\ncurl {{ urls.failed }}\n%end\n"
    rendered = "%post\ncurl http://10.0.0.1/installed/t\n%end\n"
    file.write_text(end + failure)
    assert f"{rendered}%onerror\ncurl http://10.0.0.1/failed/t\n%end\n" == files.render(profile, seen(profile))
    file.write_text(end)
    both = files.render(profile, seen(profile))
    assert both.startswith(f"{rendered}\n%onerror\n")
    assert (1, 1) == (both.count("%post"), both.count("%onerror"))


def test_a_preseed_gets_no_sections_of_a_kickstart(tmp_path: Path) -> None:
    """Only kickstarts have them."""
    file = tmp_path / "preseed.cfg"
    file.write_text("d-i x/y string z\n")
    profile = Profile("debian", "k", answer=str(file))
    assert "%post" not in files.render(profile, seen(profile))


@pytest.mark.parametrize("where", ["pre", "post", "on_error", "script"])
@pytest.mark.parametrize("text", [SHELL, MARKS], ids=["shell", "marks"])
def test_scripts_of_the_data(where: str, text: str) -> None:
    """Scripts of the data form are taken as they are, line by line."""
    value: object = [{"when": "post", "body": text}] if where == "script" else text
    profile = Profile("alma9", "k", answer=BUILT_IN)
    assert f"\n{text}%end\n" in files.render(profile, seen(profile, **{where: value}))


def test_shell_in_a_template(tmp_path: Path) -> None:
    """Shell text without the marks of a template comes out as it went in; names are filled in beside it."""
    file = tmp_path / "ks.cfg"
    file.write_text("# {{ host.name }}\n" + SHELL)
    profile = Profile("alma9", "k", answer=str(file), reports=False)
    assert "# node1\n" + SHELL == files.render(profile, seen(profile))


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("${#x[@]}", "${#x[@]}"),
        ("{# gone ${#x} #}y", "y"),
        ("{% raw %}${#x} {{ y }}{% endraw %}", "${#x} {{ y }}"),
        ('{{ "${#x}" }}', "${#x}"),
        ("{% if 1 %}${#a}{% else %}${#b}{% endif %}", "${#a}"),
        ("{# gone #}{#gone#}", ""),
    ],
)
def test_lengths_and_comments(template: str, text: str) -> None:
    """``${#`` is the shell's wherever it stands; ``{#`` behind anything else begins a comment, as ever."""
    assert text == render_text(template, {}, "profile.a.args")


def test_a_mark_that_was_none(tmp_path: Path) -> None:
    """Who has marks in shell text is told how to write them, with file and line."""
    file = tmp_path / "ks.cfg"
    file.write_text("%post\ndocker ps --format '{{.Names}}'\n%end\n")
    profile = Profile("alma9", "k", answer=str(file))
    with pytest.raises(TemplateProblem, match=r"ks\.cfg:2: syntax: .* \{% raw %\} .* verbatim = true"):
        files.render(profile, seen(profile))


@pytest.mark.parametrize(
    ("keys", "wrong"),
    [
        ("", "is true, but names no file"),
        ('answer = "kickstart"\n', "is true, but names no file"),
        ('answer = "ks.cfg"\nkickstart.packages = ["vim"]\n', "is true, but the answer file is made of data"),
    ],
)
def test_what_cannot_be_taken_as_it_is(keys: str, wrong: str, tmp_path: Path) -> None:
    """Data is no file: the key says so."""
    for name in ("vmlinuz", "ks.cfg"):
        (tmp_path / name).write_text("")
    with pytest.raises(ConfigError, match=rf"profile\[1\] \(alma9\)\.verbatim: {wrong}; name an answer file"):
        from_text('[[profile]]\nname = "alma9"\nkernel = "vmlinuz"\nverbatim = true\n' + keys, tmp_path)

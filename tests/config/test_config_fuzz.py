"""Whatever is written, a configuration is either settings or a ConfigError that names keys: nothing else escapes."""

from __future__ import annotations

from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pxenet.config import ConfigError, document, from_text
from pxenet.config.schema import LISTS, SECTIONS

WORDS = [
    "10.0.0.0/24",
    "10.0.0.1",
    "10.0.0.1-10.0.0.9",
    "52:54:00:00:00:01",
    "a",
    "",
    "menu",
    "12h",
    "http://m",
    "/",
    "\x00",
    "nfs:x:/y",
]
LEAVES = st.one_of(st.sampled_from(WORDS), st.text(max_size=6), st.integers(-2, 70000), st.booleans(), st.floats(0, 1))
VALUES = st.one_of(
    LEAVES, st.lists(LEAVES, max_size=3), st.dictionaries(st.sampled_from(["x64", "bios", "a"]), LEAVES, max_size=2)
)


@st.composite
def configurations(draw: st.DrawFn) -> str:
    """Tables with known keys and values of all kinds."""
    lines = []
    single = draw(st.sets(st.sampled_from([name for name in SECTIONS if name not in LISTS])))
    repeated = draw(st.lists(st.sampled_from(LISTS), max_size=4))
    for table in [*sorted(single), *repeated]:
        lines.append(f"[[{table}]]" if table in LISTS else f"[{table}]")
        names = draw(st.sets(st.sampled_from([*SECTIONS[table].model_fields, "odd"]), max_size=5))
        lines += [f"{name} = {document.toml(draw(VALUES))}" for name in sorted(names)]
    return "\n".join(lines)


def read(text: str) -> None:
    """Read it; problems must be sayable."""
    try:
        from_text(text, Path("/nonexistent"), file="f")
    except ConfigError as error:
        problems = error.problems
    else:
        return
    assert problems
    assert all(problem.wrong and str(problem) for problem in problems)


@given(configurations())
@settings(max_examples=60)
@example("[[dhcp.subnet]]\nnetwork = '10.0.0.0/24'\npool = []")
@example('[server]\nroot = "\\u0000"\nstate = "\\u0000"')
@example('[[profile]]\nname = "a"\nsource = "\\u0000"\nkernel = "\\u0000"\nanswer = "\\u0000"')
@example(f"[server]\nroot = '{'a' * 5000}'")
@example("[server]\nroot = '~nobody-here/x'")
@example("[dhcp]\nsubnet = 3")
@example("dhcp = [1]")
@example("[[host]]\nvars = { a = 1979-05-27 }\nmac = '52:54:00:00:00:01'")
def test_odd_values(text: str) -> None:
    """Values of any type under any key."""
    read(text)


@given(st.text(max_size=60))
@settings(max_examples=100)
def test_odd_texts(text: str) -> None:
    """Texts that are hardly TOML."""
    read(text)

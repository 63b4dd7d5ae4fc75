"""Results as text for people, and as JUnit's XML for the machines that run tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from pxenet.replay.result import BootResult, File

_BAD = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127), "�")
"""Characters that XML 1.0 cannot hold: names in captures are anybody's."""


def lines(result: BootResult) -> Iterator[str]:
    """One boot: how it ends, what it got, what is different."""
    yield f"{result.title}: {headline(result)}"
    yield from (f"  {line}" for line in details(result))


def headline(result: BootResult) -> str:
    """How it ends, in one sentence."""
    if result.stop is not None:
        return f"does not boot: {result.stop.words}"
    return "installs itself" if result.end == "installed" else f"boots: {result.end}"


def details(result: BootResult, *, cared_for: bool = False) -> Iterator[str]:
    """The lines below the headline. ``cared_for``: of the differences those alone that the firmware cares about."""
    if result.firmware:
        yield f"firmware     {result.firmware} ({result.evidence})"
    yield f"address      {result.address or 'none'}"
    for label, file in zip(_labels("file", result.files), result.files, strict=True):
        yield f"{label:12} {_file(file)}"
    yield f"answer file  {result.answer_file}"
    shown = [one for one in result.differences if one.care.cares or not cared_for]
    for label, one in zip(_labels("different", shown), shown, strict=True):
        yield f"{label:12} {one.words}"
    if len(shown) < len(result.differences):
        yield f"{'':12} and {len(result.differences) - len(shown)} more that it does not care about"
    for note in result.notes:
        yield f"note         {note}"


def _labels(word: str, items: Sequence[object]) -> list[str]:
    return [word if not number else "" for number in range(len(items))]


def _file(file: File) -> str:
    if file.failure:
        return f"{file.name} ({file.by}): {file.failure}"
    what = f"{file.role}, " if file.role else ""
    return f"{file.name} ({what}{file.size} bytes, {file.by})"


def junit(results: Sequence[BootResult], surprises: dict[str, list[str]] | None = None) -> str:
    """A test suite with a case for each boot. ``surprises``: by title, how a boot departs from what was expected."""
    departs = surprises or {}
    bad = [result for result in results if not _well(result, departs, surprises is not None)]
    suite = ElementTree.Element(
        "testsuite", name="pxenet replay", tests=str(len(results)), failures=str(len(bad)), errors="0", skipped="0"
    )
    for result in results:
        case = ElementTree.SubElement(suite, "testcase", classname=_xml(result.capture), name=_xml(result.title))
        if result in bad:
            told = "; ".join(departs.get(result.title, [])) or headline(result)
            failure = ElementTree.SubElement(case, "failure", message=_xml(told))
            failure.text = _xml("\n".join([*departs.get(result.title, []), *lines(result)]))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _well(result: BootResult, departs: dict[str, list[str]], expected: bool) -> bool:
    return result.title not in departs if expected else result.good


def _xml(text: str) -> str:
    return text.translate(_BAD)

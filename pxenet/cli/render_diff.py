"""``pxenet render --diff``: what a change of the configuration does to every text of every machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from pxenet.cli.output import (
    BAD_CONFIG,
    FAILED,
    OK,
    bad_config,
    print_failure,
    print_json,
    print_problems,
    problem_record,
)
from pxenet.config import ConfigError, Problem, Settings, load
from pxenet.config.revision import RevisionError, settings_at
from pxenet.net.interfaces import interfaces
from pxenet.rack.desk import Desk
from pxenet.rack.differences import HostDifference, TextDifference, differences
from pxenet.rack.preview import problems

_NAMED = 5
"""Hosts named in front of a difference; of more their number is told."""


def render_diff(config: Path, host: str | None, against: str, *, as_json: bool) -> int:
    """Print the differences; returns the exit status."""
    with ExitStack() as closing:
        try:
            new = load(config)
            old = _old(closing, config, against)
            known = {each.name for each in (*new.hosts, *old.hosts)}
            if host is not None and host not in known:
                raise ConfigError([no_host(config, host, known)])
        except ConfigError as error:
            return bad_config(error, as_json=as_json)
        except RevisionError as error:
            right = "name a revision of the repository that CONFIG is in, or a file"
            print_failure(f"--diff {against}: {error}", right, as_json=as_json)
            return BAD_CONFIG
        before, after = (closing.enter_context(Desk(settings, interfaces())) for settings in (old, new))
        wrong = [each for desk in (before, after) for each in _problems(desk, host)]
        found = list(differences(before, after, host))
    if as_json:
        print_json(_record(against, config, found, wrong))
    else:
        for line in _lines(found, len(known) if host is None else 1):
            print(line)
        print_problems(wrong)
    return BAD_CONFIG if wrong else FAILED if found else OK


def no_host(config: Path, name: str, known: Iterable[str]) -> Problem:
    """That a name is no host's."""
    return Problem(
        str(config), None, "host", f'there is no host "{name}"', f"known hosts: {', '.join(sorted(known)) or 'none'}"
    )


def _old(closing: ExitStack, config: Path, against: str) -> Settings:
    """A file is meant where there is one of that name."""
    if Path(against).is_file():
        return load(Path(against))
    return closing.enter_context(settings_at(config, against))


def _problems(desk: Desk, only: str | None) -> list[Problem]:
    hosts = [host for host in desk.hosts() if only in (None, host.name)]
    return problems(desk.rack, desk.settings, hosts, desk.address)


def _lines(found: list[HostDifference], hosts: int) -> Iterator[str]:
    """Differences that several hosts have are told once."""
    groups: dict[tuple[str, tuple[TextDifference, ...]], list[str]] = {}
    for each in found:
        groups.setdefault((each.change, each.texts), []).append(each.host)
    for (change, texts), names in groups.items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield f"##### {', '.join(names[:_NAMED])}{more}: {change}"
        for text in texts:
            readers = f" ({', '.join(text.firmware)})" if text.firmware else ""
            yield f"=== {text.name}{readers}"
            yield from text.lines
        yield ""
    yield f"{len(found)} of {hosts} {'host' if hosts == 1 else 'hosts'} would get other texts"


def _record(against: str, config: Path, found: list[HostDifference], wrong: list[Problem]) -> dict[str, object]:
    return {
        "from": against,
        "to": str(config),
        "hosts": [
            {
                "host": each.host,
                "change": each.change,
                "texts": [
                    {"name": text.name, "firmware": list(text.firmware), "diff": list(text.lines)}
                    for text in each.texts
                ],
            }
            for each in found
        ],
        "problems": [problem_record(problem) for problem in wrong],
    }

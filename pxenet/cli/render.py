"""``pxenet render``: every text that one machine would get."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pxenet.answer.masking import Mask
from pxenet.boot.policy import RULES
from pxenet.cli.asking import with_hosts_by_command
from pxenet.cli.output import BAD_CONFIG, OK, bad_config, print_json, print_problems, problem_record
from pxenet.cli.render_diff import no_host, render_diff
from pxenet.config import ConfigError, Problem, load
from pxenet.net.interfaces import interfaces
from pxenet.rack.confidential import secrets_in
from pxenet.rack.desk import Desk
from pxenet.rack.preview import Offer, Preview, preview, problems


def render(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The configuration (TOML).")],
    host: Annotated[
        str | None, typer.Argument(metavar="HOST", help="Name of a [[host]]; with --diff all, when none is named.")
    ] = None,
    diff: Annotated[
        str | None,
        typer.Option(
            "--diff",
            metavar="REVISION|FILE",
            help="Only what differs from a git revision of CONFIG, or from another file.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Print every text that a host would get.

    What its firmware is told, boot loader texts and the answer file, as they are
    while the machine is new. The token in URLs is an example; a server makes its own.
    Secrets are shown as they are served; with --json they are hidden.

    With --diff, what a change of the configuration and of the files beside it does
    to every text of every host, secrets hidden. Exit status 0: nothing; 1: something
    differs; 2: one of the two has a fault.

    \b
    Examples:
      pxenet render rack.toml web01
      pxenet render rack.toml --diff HEAD
      pxenet render rack.toml web01 --diff /etc/pxenet/rack.toml
    """
    if diff is not None:
        raise typer.Exit(render_diff(config, host, diff, as_json=as_json))
    if host is None:
        raise typer.BadParameter("name a host, or ask for --diff", param_hint="HOST")
    raise typer.Exit(_render(config, host, as_json))


def _render(config: Path, name: str, as_json: bool) -> int:
    try:
        settings = with_hosts_by_command(load(config))
        host = settings.host(name)
        if host is None:
            raise ConfigError([no_host(config, name, [host.name for host in settings.hosts])])
    except ConfigError as error:
        return bad_config(error, as_json=as_json)
    with Desk(settings, interfaces()) as desk:
        seen = preview(desk.rack, host, desk.address)
        wrong = problems(desk.rack, settings, [host], desk.address)
    if as_json:
        print_json(_record(seen, wrong, Mask(secrets_in(settings))))
    else:
        _print(seen)
        print_problems(wrong)
    return BAD_CONFIG if wrong else OK


def _print(seen: Preview) -> None:
    print(f"# {seen.host.name}: {seen.plan.action.value}, because {RULES[seen.plan.reason]}")
    for offer in seen.offers:
        print(f"# {offer.firmware}: {_told(offer)}")
    for text in seen.texts:
        readers = f" ({', '.join(text.firmware)})" if text.firmware else ""
        print(f"\n##### {text.name}{readers}\n{text.text.rstrip()}")


def _told(offer: Offer) -> str:
    boot = offer.boot
    told = boot.path or boot.url or f"nothing, {RULES[boot.reason]}"
    return f"{told}; {boot.detail}" if boot.detail else told


def _record(seen: Preview, wrong: list[Problem], mask: Mask) -> dict[str, object]:
    return {
        "host": seen.host.name,
        "action": seen.plan.action.value,
        "reason": RULES[seen.plan.reason],
        "firmware": [
            {
                "firmware": offer.firmware,
                "file": offer.boot.path,
                "url": offer.boot.url,
                "reason": RULES[offer.boot.reason],
                "missing": offer.boot.detail,
            }
            for offer in seen.offers
        ],
        "texts": [{"name": text.name, "firmware": text.firmware, "text": mask(text.text)} for text in seen.texts],
        "problems": [problem_record(problem) for problem in wrong],
    }

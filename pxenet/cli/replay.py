"""``pxenet replay``: would captured machines boot from this configuration, and what would be different for them?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pxenet.cli.output import BAD_CONFIG, FAILED, OK, bad_config, print_failure, print_json
from pxenet.config import ConfigError
from pxenet.replay import golden
from pxenet.replay.report import junit, lines
from pxenet.replay.result import BootResult
from pxenet.replay.run import ReplayError
from pxenet.replay.run import replay as replayed
from pxenet.wire.text import parse_mac


def replay(
    captures: Annotated[
        list[Path], typer.Argument(metavar="CAPTURE...", help="Captures of network boots (pcap, pcapng; gzip too).")
    ],
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The configuration to try (TOML).")],
    boot: Annotated[int | None, typer.Option(metavar="N", help="Only the boot of this number in each capture.")] = None,
    mapping: Annotated[
        list[str] | None, typer.Option("--map", metavar="MAC=HOST", help="That captured machine stands for this host.")
    ] = None,
    expect: Annotated[Path | None, typer.Option(metavar="FILE", help="Compare with the answers pinned in it.")] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Write the answers to --expect anew, to be reviewed as a diff.")
    ] = False,
    junit_file: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write a JUnit report.")] = None,
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Processes; each replays whole captures.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Replay captured boots before a configuration.

    Each captured machine speaks as it was recorded and reacts as its firmware
    does, before the real decisions of this configuration, in virtual time:
    nothing is sent. Tells whether it would get an address, its files and its
    answer file, where it would stop and why, and what is different from the
    recorded exchange. Exit status 1 when a machine does not boot (with --expect:
    when anything is not as expected).

    \b
    Examples:
      pxenet replay boot.pcap --config rack.toml
      pxenet replay *.pcap --config rack.toml --expect golden.json
      pxenet replay old-rack.pcap --config rack.toml --map 52:54:00:12:34:56=web01
    """
    try:
        if update and expect is None:
            raise ReplayError("--update writes the answers to the file that --expect names; name one")
        found = list(replayed(captures, config, mapped=_mapping(mapping or []), boot=boot, jobs=jobs))
        surprises = None
        if expect is not None:
            if update:
                expect.write_text(golden.text(found), "utf-8")
            surprises = golden.surprises(found, expect)
        if junit_file is not None:
            junit_file.write_text(junit(found, surprises), "utf-8")
    except ConfigError as error:
        raise typer.Exit(bad_config(error, as_json=as_json)) from error
    except (ReplayError, golden.GoldenError, OSError) as error:
        print_failure(str(error), as_json=as_json)
        raise typer.Exit(BAD_CONFIG) from error
    _tell(found, surprises, as_json)
    well = not surprises if surprises is not None else all(result.good for result in found)
    raise typer.Exit(OK if well else FAILED)


def _mapping(words: list[str]) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for word in words:
        mac, equals, name = word.partition("=")
        try:
            found[parse_mac(mac)] = name
        except ValueError as error:
            raise ReplayError(f"--map {word}: {error}; write 52:54:00:12:34:56=web01") from error
        if not equals or not name:
            raise ReplayError(f"--map {word} names no host; write {mac}=web01")
    return found


def _tell(found: list[BootResult], surprises: dict[str, list[str]] | None, as_json: bool) -> None:
    if as_json:
        document: dict[str, object] = {"boots": [result.record() for result in found]}
        if surprises is not None:
            document["surprises"] = surprises
        print_json(document)
        return
    for result in found:
        for line in lines(result):
            print(line)
    for title, departs in (surprises or {}).items():
        print(f"{title} is not as expected:")
        for line in departs:
            print(f"  {line}")
    good = sum(result.good for result in found)
    expected = "" if surprises is None else f", {len(surprises)} not as expected" if surprises else ", all as expected"
    print(f"{good} of {len(found)} boots come to a good end{expected}")

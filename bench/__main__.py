"""``python -m bench``: pxenet beside what is installed of the others, in a network namespace of its own."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from bench import aside, own_rack
from bench.generator import LoadError, build
from bench.page import page
from bench.report import hardware, markdown, record, servers_used, table
from bench.row import Row
from bench.rows import ROWS
from bench.run import measure

_INSIDE = "PXENET_BENCH_INSIDE"


def main() -> int:
    """Exit status 0: every target is reached; 1: one is missed or doubtful; 2: nothing could be measured."""
    if sys.argv[1:2] == ["storm"]:
        return own_rack.main(sys.argv[2:])
    options = _options()
    rows = [row for row in ROWS if options.only is None or options.only in row.name]
    if options.list:
        print("\n".join(row.name for row in ROWS))
        return 0
    if not rows:
        print(f"no row is called {options.only!r}; --list names them", file=sys.stderr)
        return 2
    if _INSIDE not in os.environ:
        aside.provide()
        return _in_namespace()
    try:
        return _measure(rows, options)
    except LoadError as error:
        print(error, file=sys.stderr)
        return 2


def _measure(rows: list[Row], options: argparse.Namespace) -> int:
    program = build()
    print(hardware())
    servers = list(dict.fromkeys(server for row in rows for server in row.work.servers))
    for line in servers_used(servers):
        print(line)
    print()

    def tell(line: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)

    measured = [measure(row, program, options.rounds, tell) for row in rows]
    tell("")
    print("\n".join(markdown(measured) if options.markdown else table(measured)))
    if options.html is not None:
        options.html.write_text(page(measured, servers), "utf-8")
    if options.json is not None:
        options.json.write_text(json.dumps(record(measured), indent=2) + "\n")
    return 0 if all(each.good for each in measured) else 1


def _in_namespace() -> int:
    """Again, where port 69 is free and nobody else's traffic is."""
    who = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    script = 'ip link set lo up && exec "$@"'
    again = [sys.executable, "-m", "bench", *sys.argv[1:]]
    command = ["unshare", *who, "--net", "--", "sh", "-c", script, "sh", *again]
    try:
        return subprocess.run(command, env=os.environ | {_INSIDE: "1"}, check=False).returncode
    except FileNotFoundError:
        print("the benchmark needs unshare and ip: apt-get install util-linux iproute2", file=sys.stderr)
        return 2


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="pxenet beside the servers that people use today",
        epilog="python -m bench storm --help: simulated machines against a server of your own",
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each row is run (default 3)")
    parser.add_argument("--only", metavar="WORDS", help="only rows with these words in their names")
    parser.add_argument("--list", action="store_true", help="name the rows, and end")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything for programs")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with charts, which needs nothing else")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

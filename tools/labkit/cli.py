"""``tools/lab``: what it understands, what it prints, and its exit status (0 all well, 1 a machine failed, 2 it could not run)."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import threading
import time
from pathlib import Path

from labkit import demo, isolate, packages, payload
from labkit.machine import usable_kvm
from labkit.report import failure, table
from labkit.run import Options, run
from labkit.scenarios import SCENARIOS, Scenario

_EXAMPLES = """\
examples:
  tools/lab                     every scenario but the optional ones
  tools/lab --all               those too: every firmware and loader, and how each gets to the local disk
  tools/lab --list              what there is
  tools/lab bios uefi-grub      these two
  tools/lab --keep /tmp/lab     keep consoles, logs and recordings of the wire
  tools/lab --reference bios    against dnsmasq instead of pxenet: is it the lab, or is it us?
"""


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "tools/lab",
        description="Boot real firmware in QEMU against the server, from power-on to installed and to the local disk.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenarios to run")
    parser.add_argument("--all", action="store_true", help="the optional scenarios too")
    parser.add_argument("--list", action="store_true", help="show the scenarios and end")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave consoles, logs and recordings here")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="machines at a time")
    parser.add_argument("--timeout", type=float, default=180, metavar="S", help="seconds for one power-on (180)")
    parser.add_argument("--reference", action="store_true", help="run against dnsmasq and a plain web server instead")
    parser.add_argument("--ready", action="store_true", help="say whether the lab can run here (exit status), and end")
    parser.add_argument(
        "--payload", type=Path, metavar="DIR", help="put the small installer's files into and beside DIR and end"
    )
    parser.add_argument(
        "--demo", type=Path, metavar="FILE", help="one machine against the server with this configuration"
    )
    parser.add_argument("--verbose", action="store_true", help="show every line of every console")
    parser.add_argument(isolate.INSIDE, type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Run the command line; the exit status."""
    arguments = _arguments(argv)
    if arguments.list:
        for s in SCENARIOS:
            print(f"{s.name:16} {s.about}{' (only by name)' if s.optional else ''}")
        return 0
    if arguments.payload is not None:
        try:
            payload.build(arguments.payload)
        except FileNotFoundError as error:
            return _refuse(f"no {error.filename}: apt-get install debian-installer-12-netboot-amd64 busybox-static")
        return 0
    known = {s.name: s for s in SCENARIOS}
    if unknown := [name for name in arguments.names if name not in known]:
        return _refuse(f"no scenario {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = [known[name] for name in arguments.names] or [s for s in SCENARIOS if arguments.all or not s.optional]
    if arguments.reference and (ours := [s.name for s in chosen if s.ordered or s.from_data or not s.named]):
        return _refuse(f"no reference can be given orders: leave {', '.join(ours)} out")
    if arguments.demo is not None:
        chosen = [demo.MACHINE]
    if arguments.inside is not None:
        return _inside(chosen, arguments)
    if why := _not_ready(chosen, reference=arguments.reference):
        return _refuse(why)
    if arguments.ready:
        return 0
    if arguments.keep is not None:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    return isolate.outside([sys.executable, str(Path(sys.argv[0]).resolve()), *argv])


def _refuse(why: str) -> int:
    print(f"lab: {why}", file=sys.stderr)
    return 2


def _not_ready(chosen: list[Scenario], *, reference: bool) -> str:
    """What keeps the lab from running here, or "". In CI, as root, missing packages are installed first."""
    lacking = packages.missing(chosen, reference=reference)
    if lacking and os.geteuid() == 0 and os.environ.get("CI") == "true":
        print(f"lab: installing {' '.join(lacking)}", flush=True)
        packages.install(lacking)
        lacking = packages.missing(chosen, reference=reference)
    if lacking:
        return f"missing: apt-get install --no-install-recommends {' '.join(lacking)}"
    if not reference and importlib.util.find_spec("trio") is None:
        return "this Python has not what pxenet needs: run tools/test once, or pip install -e ."
    return isolate.obstacle()


def _inside(chosen: list[Scenario], arguments: argparse.Namespace) -> int:
    isolate.inside(arguments.inside)
    if arguments.demo is not None:
        return demo.run(arguments.demo.absolute(), arguments.inside)
    logs: Path = (arguments.keep or arguments.inside / "logs").absolute()
    logs.mkdir(exist_ok=True)
    started = time.monotonic()
    lock = threading.Lock()

    def say(line: str) -> None:
        with lock:
            print(f"{time.monotonic() - started:6.1f}  {line}", flush=True)

    say("KVM" if usable_kvm() else "no usable KVM: emulation")
    options = Options(arguments.jobs, arguments.timeout, arguments.reference, arguments.verbose)
    try:
        reports = run(chosen, options, arguments.inside, logs, say)
    except RuntimeError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    print("\nseconds after power-on\n" + table(reports) + "\n")
    failed = [report for report in reports if report.faults]
    for report in failed:
        print(failure(report) + "\n")
    took = time.monotonic() - started
    print(
        f"lab: {len(reports) - len(failed)} of {len(reports)} machines installed and booted their disks, {took:.0f} s",
        flush=True,
    )
    return 1 if failed else 0

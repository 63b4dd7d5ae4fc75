"""Rules for all tests: what a skip means, and how hard hypothesis tries."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Generator

import pytest
from hypothesis import settings

# A deadline per example measures the machine, not the code: tests share a few cores with other work.
settings.register_profile("house", deadline=None)
settings.load_profile("house")

# Shells start what runs in the background deaf to it, and all that is started from there. Programs that are ended by it are tested.
signal.signal(signal.SIGINT, signal.default_int_handler)


def everything_required() -> bool:
    """``PXENET_REQUIRE=all``: a test that cannot run here is a failure."""
    return os.environ.get("PXENET_REQUIRE", "") == "all"


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test was skipped, as the skipping mark or call said it."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return str(report.longrepr)


def forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure. An expected failure (``xfail``) is reported as skipped too, and is none."""
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but PXENET_REQUIRE=all: {reason_of(report)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if everything_required():
        forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if everything_required():
        forbid_skip(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say by name what was not tried here, and how many tests that leaves out."""
    reasons = Counter(reason_of(report) for report in terminalreporter.stats.get("skipped", []))
    if reasons:
        terminalreporter.section(f"{sum(reasons.values())} tests not run on this machine")
        for reason, count in reasons.most_common():
            terminalreporter.line(f"{count:5}  {reason}")

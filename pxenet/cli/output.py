"""How commands speak: plain lines for people, one JSON document for programs, problems on stderr, and what the exit status means."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping

from pxenet.config import ConfigError, Problem

OK = 0
FAILED = 1
"""Something went wrong that no change of the configuration mends."""
BAD_CONFIG = 2
"""The configuration, the command line, or what they refer to is not right; also what the command line parser exits with."""


def problem_record(problem: Problem) -> Mapping[str, object]:
    """A problem for programs; the fields are those of ``Problem``."""
    return {
        "file": problem.file,
        "line": problem.line,
        "key": problem.key,
        "wrong": problem.wrong,
        "right": problem.right,
    }


def print_json(document: object) -> None:
    """One document on stdout."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def print_problems(problems: Iterable[Problem], *, as_json: bool = False) -> None:
    """What is wrong: each on a line of its own on stderr, or as a document on stdout."""
    if as_json:
        print_json({"problems": [problem_record(problem) for problem in problems]})
        return
    for problem in problems:
        print(problem, file=sys.stderr)


def print_failure(wrong: str, right: str = "", *, as_json: bool = False) -> None:
    """What could not be done, and what would help: on stderr, or as a document on stdout."""
    if as_json:
        print_json({"error": wrong, "right": right})
    else:
        print(f"{wrong}; {right}" if right else wrong, file=sys.stderr)


def bad_config(error: ConfigError, *, as_json: bool = False) -> int:
    """Say what is wrong with a configuration; returns the exit status."""
    print_problems(error.problems, as_json=as_json)
    return BAD_CONFIG

"""Who renders templates: this process itself, or a child that is stopped when it takes too much time or memory.

Knows what a template's rendering needs and gives. Must not know which texts are rendered, nor for whom.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pxenet.answer.templates import render_file, render_text
from pxenet.model import Later


@dataclass(frozen=True, slots=True)
class Job:
    """One text to render."""

    path: str
    """Of a template file; empty: ``text`` is the template."""
    text: str
    origin: str
    """What ``text`` is called in problems."""
    names: Mapping[str, object]
    """What the template sees: dictionaries, lists and plain values only."""

    @property
    def called(self) -> str:
        """What it is called in problems."""
        return self.path or self.origin

    def packed(self) -> bytes:
        """The job for another process that runs the same code; equal jobs mostly have equal bytes."""
        return pickle.dumps((self.path, self.text, self.origin, dict(self.names)), protocol=5)

    def run(self) -> str:
        """The rendered text. Raises :class:`~pxenet.answer.templates.TemplateProblem`."""
        if self.path:
            return render_file(self.path, self.names)
        return render_text(self.text, self.names, self.origin)


def key_of(packed: bytes) -> bytes:
    """What stands for a job in tables."""
    return hashlib.blake2b(packed, digest_size=16).digest()


class Engine(Protocol):
    """Renders jobs."""

    def render(self, job: Job) -> str:
        """The text. Raises :class:`~pxenet.answer.templates.TemplateProblem`, or :class:`NotYetError` when that takes a while."""
        ...


class NotYetError(Exception):
    """The text is not there yet: whoever asked shall ask again when ``later`` is resolved."""

    def __init__(self, later: Later) -> None:
        super().__init__("the text is being rendered")
        self.later = later


class Here:
    """This process renders, without limits: for texts of its own making, and where time is virtual."""

    def render(self, job: Job) -> str:
        """See :class:`Engine`."""
        return job.run()


HERE = Here()


def rendered_text(engine: Engine, text: str, names: Mapping[str, object], origin: str) -> str:
    """A text that is no file, like kernel arguments, as ``templates.render_text``. Plain ones, which are the rule, need no engine."""
    return engine.render(Job("", text, origin, names)) if "{" in text else text

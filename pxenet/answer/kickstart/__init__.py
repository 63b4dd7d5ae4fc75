"""Kickstart: rendered from data in the dialect of each release, from a template, and checked before a machine finds out."""

from __future__ import annotations

from pxenet.answer.kickstart.checks import Note, body_lines, check
from pxenet.answer.kickstart.dialects import DEFAULT_VERSION, DIALECTS, Fate, Version, version_of
from pxenet.answer.kickstart.rendering import BUILT_IN, render, reporting, version_named

__all__ = [
    "BUILT_IN",
    "DEFAULT_VERSION",
    "DIALECTS",
    "Fate",
    "Note",
    "Version",
    "body_lines",
    "check",
    "render",
    "reporting",
    "version_named",
    "version_of",
]

"""The answer file of one machine, whatever it is made of: data, a template, or a file as it is.

Knows which of them a profile names, and what is added so that the machine reports its end. Must not know who may read the result.
"""

from __future__ import annotations

from collections.abc import Mapping

from pxenet.answer import kickstart, templates
from pxenet.answer.engines import HERE, Engine
from pxenet.model import Profile


def render(profile: Profile, names: Mapping[str, object], engine: Engine = HERE) -> str:
    """The answer file of a profile that has one. Raises :class:`~pxenet.answer.templates.TemplateProblem`, or what ``engine`` does."""
    assert profile.answer is not None
    text = templates.verbatim(profile.answer) if profile.verbatim else kickstart.render(profile.answer, names, engine)
    if profile.reports and templates.kind_of(profile.answer) == "kickstart":
        return kickstart.reporting(text, names)
    return text

"""The answer file of one machine, whatever it is made of: data, a template, or a file as it is.

Knows which of them a profile names, and what is added so that the machine reports its end. Must not know who may read the result.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from pxenet.answer import kickstart, kinds, templates
from pxenet.answer.engines import HERE, Engine, Job
from pxenet.answer.kickstart.machine import mapping
from pxenet.answer.places import reporting
from pxenet.model import Profile


def render(profile: Profile, names: Mapping[str, object], engine: Engine = HERE) -> str:
    """The answer file of a profile that has one. Raises :class:`~pxenet.answer.templates.TemplateProblem`, or what ``engine`` does."""
    assert profile.answer is not None
    text = templates.verbatim(profile.answer) if profile.verbatim else kickstart.render(profile.answer, names, engine)
    if not profile.reports:
        return text
    kind = kinds.kind_of(profile)
    if kind == kinds.KICKSTART:
        return kickstart.reporting(text, names)
    urls = mapping(names, "urls")
    return reporting(kind, text, str(urls.get("installed", "")), str(urls.get("failed", "")))


def companion(profile: Profile, name: str, names: Mapping[str, object], engine: Engine = HERE) -> str | None:
    """What the installer reads beside its answer file: the file of that name beside the template, else what it cannot do without.

    None when there is nothing. Raises :class:`~pxenet.answer.templates.TemplateProblem`, or what ``engine`` does.
    """
    assert profile.answer is not None
    if templates.output_name(profile.answer) == kinds.file_name(profile):  # a directory made for cloud-init
        for ending in templates.ENDINGS:
            path = os.path.join(os.path.dirname(profile.answer), name + ending)
            if os.path.isfile(path):
                return templates.verbatim(path) if profile.verbatim else engine.render(Job(path, "", "", names))
    host = mapping(names, "host").get("name", "")
    return f"instance-id: pxenet-{host}\nlocal-hostname: {host}\n" if name == "meta-data" else None

"""Which values of a configuration nobody must be shown who only looks: those that stand elsewhere, and what it calls secrets itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pxenet.answer.kickstart.data import laid_over
from pxenet.answer.masking import Mask, secrets_of
from pxenet.config import Settings
from pxenet.model import Host, Profile


def secrets_in(settings: Settings) -> Iterator[str]:
    """All of them."""
    yield from settings.secrets.values()
    for profile in settings.profiles:
        yield from secrets_of(profile.kickstart, profile.vars)
    for host in settings.hosts:
        yield from secrets_of(host.kickstart, host.vars)


def mask_for(settings: Settings, host: Host, profiles: Sequence[Profile]) -> Mask:
    """Hides what a machine can have been told in confidence, as any of these profiles."""
    found = [*settings.secrets.values()]
    for profile in profiles:
        found += secrets_of(laid_over(profile.kickstart, host.kickstart), {**profile.vars, **host.vars})
    return Mask(found)

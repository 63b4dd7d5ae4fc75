"""What a rack has of its settings alone, made as a whole before any of it is used: profiles, boot choices, and the tree of names.

Knows where contents come from and in which order they are asked. Must not know leases, machines or what was seen of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pxenet.boot import policy
from pxenet.config import ProfileTree, Settings
from pxenet.content.chain import GrubScript
from pxenet.content.directory import Directory
from pxenet.content.files import Files
from pxenet.content.iso import Iso, IsoImage
from pxenet.content.loaders import Loaders
from pxenet.content.rendered import Rendered
from pxenet.content.tree import Source, Tree
from pxenet.content.upstream import Cache, Upstream
from pxenet.model import Profile, Role
from pxenet.rack.translate import plan_settings


@dataclass(frozen=True, slots=True)
class Layout:
    """See the module's text."""

    settings: Settings
    plan_settings: policy.PlanSettings
    profiles: Mapping[str, Profile]
    loaders: Loaders
    setting: policy.Setting
    rendered: Rendered
    images: Mapping[Path, IsoImage]
    """The images that profiles are served from."""
    promises: Mapping[str, str]
    """URL → checksum, of files whose source's description tells it."""
    tree: Tree


def layout(
    settings: Settings, rendered: Rendered, cache: Cache, known: Mapping[Path, IsoImage], image_cache: Path | None
) -> Layout:
    """The layout by these settings. ``known``: images that are open already, and go on being used where they still are wanted."""
    loaders = Loaders(settings.server.root)
    images: dict[Path, IsoImage] = {}
    promises: dict[str, str] = {}
    # First come first: what is rendered, the profiles' files, the boot loaders, the user's directory.
    sources: list[Source] = [rendered, GrubScript()]
    for profile in settings.profiles:
        for part in settings.trees[profile.name].parts:
            if part.source_iso is not None and part.source_iso not in images:
                images[part.source_iso] = known.get(part.source_iso) or IsoImage(part.source_iso, image_cache)
            for source in _sources_of(profile, part, images, cache):
                sources.append(source)
                if isinstance(source, Upstream):
                    promises |= source.promises
    sources.append(loaders)
    if settings.server.root is not None:
        sources.append(Directory(settings.server.root))
    return Layout(
        settings,
        plan_settings(settings),
        {profile.name: profile for profile in settings.profiles},
        loaders,
        policy.Setting(loaders, settings.boot.loaders),
        rendered,
        images,
        promises,
        Tree(sources, settings.tftp.ignore_case),
    )


def _sources_of(profile: Profile, part: ProfileTree, images: Mapping[Path, IsoImage], cache: Cache) -> Iterator[Source]:
    """Of one architecture of a profile: its files elsewhere, and its source."""
    roles: dict[str, Role] = {}
    for each in profile.by_platform.values() or (profile,):
        roles |= {each.kernel: Role.KERNEL} | dict.fromkeys(each.initrd, Role.INITRD)
    if part.files:
        # An image as one file is a source too: who reads from it installs.
        whole = {name: Role.SOURCE for name, path in part.files.items() if path == part.source_iso}
        yield Files(part.files, roles=whole | roles, profile=profile.name)
    if part.source_dir is not None:
        yield Directory(part.source_dir, part.prefix, role=Role.SOURCE, profile=profile.name, roles=roles)
    if part.source_iso is not None:
        yield Iso(images[part.source_iso], part.prefix, role=Role.SOURCE, profile=profile.name, roles=roles)
    if part.source_upstream:
        yield Upstream(
            cache,
            part.source_upstream,
            part.prefix,
            role=Role.SOURCE,
            profile=profile.name,
            roles=roles,
            checksums=part.checksums,
        )

"""Reads a configuration: TOML text → draft → rules → settings, with the paths resolved and the files looked at."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import MappingProxyType

from pxenet.answer.kickstart.data import laid_over
from pxenet.boot.policy import DEFAULT_LOADERS
from pxenet.config import rules
from pxenet.config.certificate import PairError, server_context
from pxenet.config.draft import Draft, Entry, parse
from pxenet.config.paths import FORBIDDEN, absolute, default_state, unreadable
from pxenet.config.problems import ConfigError, Key
from pxenet.config.profiles import BUILT_IN_ANSWERS, ProfileReader
from pxenet.config.schema import DefaultsKeys, HostKeys, ProfileKeys, SubnetKeys
from pxenet.config.settings import (
    Boot,
    Dhcp,
    Http,
    ProfileTree,
    Server,
    Settings,
    Tftp,
    Unknown,
)
from pxenet.engine.dhcp import DhcpMode, Subnet
from pxenet.model import Host, Profile


def read(text: str, base: Path, file: str, running: Settings | None = None) -> Settings:
    """The settings of a TOML text. Raises :class:`ConfigError` with every problem found, in the order of the file."""
    draft = parse(text, file, base=base)
    rules.check(draft)
    profiles, trees = _profiles(draft, base)
    settings = Settings(
        server=_server(draft, base),
        dhcp=_dhcp(draft),
        tftp=Tftp(**draft.tftp.model_dump()),
        http=_http(draft, base, running),
        boot=_boot(draft),
        profiles=profiles,
        trees=MappingProxyType(trees),
        hosts=tuple(host_of(entry) for entry in draft.hosts),
        secrets=MappingProxyType(draft.secrets),
        notes=tuple(draft.notes),
        source=draft.source,
    )
    if draft.problems:
        raise ConfigError(sorted(draft.problems, key=lambda problem: problem.line or 0))
    return settings


def _server(draft: Draft, base: Path) -> Server:
    keys = draft.server
    root = _readable(draft, ("server", "root"), keys.root, base, directory=True)
    state = default_state() if keys.state is None else absolute(keys.state, base)
    # os.path says "no" where pathlib raises for a directory that may not be searched: whoever opens the store explains that.
    if os.path.exists(state) and not os.path.isdir(state):
        draft.report(
            ("server", "state"), f"{state} is not a directory", "name a directory; it is made when it does not exist"
        )
    return Server(
        tuple(keys.interface),
        keys.address,
        keys.url,
        keys.user,
        state,
        root,
        workers=keys.workers,
        failure_captures=keys.failure_captures,
        cache_gib=keys.cache_gib,
    )


def _readable(draft: Draft, key: Key, text: str | None, base: Path, directory: bool = False) -> Path | None:
    """The path a key names, once it is seen that it can be read."""
    if text is None:
        return None
    path = absolute(text, base)
    reason = unreadable(path, directory)
    if reason is not None:
        draft.report(key, f"{path} {reason}", f"name a {'directory' if directory else 'file'} that can be read")
    return path


def _http(draft: Draft, base: Path, running: Settings | None) -> Http:
    keys = draft.http
    if running is not None and keys.tls_cert is not None and keys.tls_key is not None:
        held = running.http.tls_cert, running.http.tls_key
        named = absolute(keys.tls_cert, base), absolute(keys.tls_key, base)
        if named == held and any(unreadable(path) == FORBIDDEN for path in named):
            draft.note(
                ("http", "tls_key"),
                "may be read by root alone, so the certificate stays the one that the server has begun with",
                "restart the server for another one",
            )
            return Http(keys.port, keys.tls_port, *named)
    before = len(draft.problems)
    cert = _readable(draft, ("http", "tls_cert"), keys.tls_cert, base)
    key = _readable(draft, ("http", "tls_key"), keys.tls_key, base)
    if cert is not None and key is not None and len(draft.problems) == before:
        try:
            server_context(cert, key)
        except PairError as error:
            draft.report(("http", error.name), error.wrong, error.right)
    return Http(keys.port, keys.tls_port, cert, key)


def _dhcp(draft: Draft) -> Dhcp:
    keys = draft.dhcp
    mode = rules.dhcp_mode(draft)
    subnets = tuple(_subnet(draft, entry, mode) for entry in draft.subnets)
    return Dhcp(mode, keys.port, keys.proxy_port, keys.authoritative, keys.match_client_id, keys.lease_time, subnets)


def _subnet(draft: Draft, entry: Entry[SubnetKeys], mode: DhcpMode) -> Subnet:
    keys = entry.keys
    network, prefix = keys.network
    return Subnet(
        network=network,
        prefix=prefix,
        pools=tuple(keys.pool),
        routers=tuple(keys.router),
        dns=tuple(keys.dns),
        domain=keys.domain or "",
        lease_s=draft.dhcp.lease_time if keys.lease_time is None else keys.lease_time,
        interface=keys.interface,
        next_server=keys.next_server,
        mode=keys.mode or mode,
        authoritative=draft.dhcp.authoritative if keys.authoritative is None else keys.authoritative,
    )


def _boot(draft: Draft) -> Boot:
    keys = draft.boot
    unknown: Unknown | str = Unknown(keys.unknown) if keys.unknown in rules.RESERVED_NAMES else keys.unknown
    loaders = MappingProxyType({**DEFAULT_LOADERS, **keys.loader.chosen()})
    return Boot(
        unknown,
        keys.max_attempts,
        loaders,
        keys.exit,
        MappingProxyType(keys.timeout.chosen()),
        keys.answer_window,
        keys.answer_reads,
    )


def _profiles(draft: Draft, base: Path) -> tuple[tuple[Profile, ...], dict[str, ProfileTree]]:
    profiles, trees = [], {}
    state = default_state() if draft.server.state is None else absolute(draft.server.state, base)
    cache = state / "cache" if draft.server.cache_gib else None
    for entry in draft.profiles:
        report, note = (partial(_tell, tell, entry.key) for tell in (draft.report, draft.note))
        profile, tree = ProfileReader(_with_defaults(entry.keys, draft.defaults), base, report, note, cache).read()
        profiles.append(profile)
        trees[profile.name] = tree
    return tuple(profiles), trees


def _with_defaults(keys: ProfileKeys, defaults: DefaultsKeys) -> ProfileKeys:
    """The profile over the defaults. Data are for those that are made of data: another has an answer file of another kind."""
    changed: dict[str, object] = {"vars": {**defaults.vars, **keys.vars}}
    if keys.kickstart or keys.answer in BUILT_IN_ANSWERS:
        changed["kickstart"] = laid_over(defaults.kickstart, keys.kickstart)
    return keys.model_copy(update=changed)


def _tell(tell: Callable[[Key, str, str], None], key: Key, name: str, wrong: str, right: str) -> None:
    tell((*key, name), wrong, right)


def host_of(entry: Entry[HostKeys]) -> Host:
    """The record of a ``[[host]]``."""
    keys = entry.keys
    return Host(
        name=keys.name or made_name(keys),
        mac=next(iter(keys.mac), None),
        other_macs=keys.mac[1:],
        uuid=keys.uuid,
        serial=keys.serial,
        profile=keys.profile,
        address=keys.address,
        vars=MappingProxyType(dict(keys.vars)),
        kickstart=MappingProxyType(dict(keys.kickstart)),
        loaders=MappingProxyType(keys.loader.chosen()),
        exit=keys.exit,
    )


def made_name(keys: HostKeys) -> str:
    """A host name for a machine that was given none, from what identifies it."""
    if keys.mac:
        return f"host-{keys.mac[0].hex()}"
    identity = keys.uuid or keys.serial or ""
    return "host-" + re.sub(r"[^A-Za-z0-9]+", "-", identity).strip("-").lower()

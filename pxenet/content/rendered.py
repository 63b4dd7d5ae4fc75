"""The texts that are made for the machine that asks: boot loaders' configurations, and answer files.

Knows the names under which pxelinux, GRUB and iPXE look for their texts (in whatever directory), and which of them name a machine.
Generic names (``default``, ``grub.cfg``, ``boot.ipxe``) are rendered for the machine behind the request. A name that says
whose it is (hardware address, machine id, IPv4 address) is rendered for that machine, unless the request is known to come
from another one. Must not know protocols, nor decide who may read an answer file: that is asked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pxenet.answer import files, kickstart
from pxenet.answer.context import answer_path
from pxenet.answer.engines import HERE, Engine, NotYetError, rendered_text
from pxenet.answer.kinds import companions, kind_of
from pxenet.answer.masking import Mask
from pxenet.answer.templates import TemplateProblem
from pxenet.boot import args as kernel_args
from pxenet.boot import grub, ipxe, pxelinux
from pxenet.boot.entries import BootText, Entry, InexpressibleError, KernelEntry, LocalEntry, Reader
from pxenet.boot.policy import Action, Plan, fetches, loader_of
from pxenet.content.tree import bytes_content
from pxenet.engine.access import Permission
from pxenet.model import Absent, Asker, Content, Exit, Host, Later, Loader, Missing, Platform, Profile, Role
from pxenet.wire.text import address_text, parse_mac, parse_uuid, uuid_text, uuid_text_wire

MENU_TIMEOUT_S = 30
"""Long enough to read a menu, short enough for a machine that nobody sits at: it then boots its own disk."""

DIALECTS: Mapping[str, Callable[[BootText, Reader], str]] = {
    "pxelinux": pxelinux.render,
    "grub": grub.render,
    "ipxe": ipxe.render,
}


@dataclass(frozen=True, slots=True)
class BootName:
    """What the name of a boot text says: the dialect, and whose it is. At most one of ``mac``, ``uuid`` and ``address`` is set."""

    dialect: str
    mac: bytes = b""
    uuid: bytes = b""
    """As spelled in the name."""
    address: int = 0

    @property
    def generic(self) -> bool:
        """It names no machine."""
        return not (self.mac or self.uuid or self.address)


_OWNER = re.compile(
    r"(?P<mac>[0-9a-f]{2}(?:-[0-9a-f]{2}){6})"
    r"|(?P<uuid>[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})"
    r"|(?P<address>[0-9A-F]{8})"
)


def boot_name(path: str) -> BootName | None:
    """What a normalised path asks for, if it is the name of a boot text. A profile's own files are none: media have a grub.cfg.

    Shortened IPv4 addresses (``C0A8``) are none either: they stand for a network, and what is rendered is for one machine.
    """
    if path.startswith(("profile/", "answer/")):
        return None
    directory, _, name = path.rpartition("/")
    if directory == "pxelinux.cfg" or directory.endswith("/pxelinux.cfg"):
        return BootName("pxelinux") if name == "default" else _owned("pxelinux", name)
    if name == "grub.cfg":
        return BootName("grub")
    if name.startswith("grub.cfg-"):
        return _owned("grub", name.removeprefix("grub.cfg-"))
    return BootName("ipxe") if name in ("boot.ipxe", "autoexec.ipxe") else None


def _owned(dialect: str, owner: str) -> BootName | None:
    found = _OWNER.fullmatch(owner)
    if found is None:
        return None
    if found["mac"]:
        return BootName(dialect, mac=parse_mac(owner[3:]))  # before it stands the hardware type
    if found["uuid"]:
        return BootName(dialect, uuid=parse_uuid(owner))
    return BootName(dialect, address=int(owner, 16))


class Watch(Protocol):
    """Is told what becomes of answer files."""

    def handed(self, host: Host, now: float) -> None:
        """The machine is given a boot text that names its answer file."""
        ...

    def read(self, host: Host, path: str, asker: Asker, now: float) -> None:
        """Its answer file is given out."""
        ...


class Unwatched:
    """For looks at what would be served."""

    def handed(self, host: Host, now: float) -> None:
        """Nobody is told."""

    def read(self, host: Host, path: str, asker: Asker, now: float) -> None:
        """Nobody is told."""


class Rendered:
    """The source of rendered names. All it knows of the world are the functions given to it."""

    def __init__(
        self,
        *,
        plan: Callable[[Host | None], Plan],
        host_of_mac: Callable[[bytes], Host],
        host_of_uuid: Callable[[str], Host | None],
        host_of_key: Callable[[str], Host | None],
        names: Callable[[Host, Profile, Asker], Mapping[str, object]],
        may_be: Callable[[str, bytes | None, int, float], Permission],
        may_read: Callable[[str, int, float], Permission],
        url: Callable[[int], str],
        loaders: Mapping[Platform, Loader],
        exit: Exit = Exit.AUTO,
        profiles: Sequence[Profile],
        modified_at: int,
        menu_timeout_s: int = MENU_TIMEOUT_S,
        engine: Engine = HERE,
        watch: Watch | None = None,
        mask: Callable[[Host, Sequence[Profile]], Mask] = lambda host, profiles: Mask(),
    ) -> None:
        """``names``: what templates see (``answer.context.names``). ``may_be(key, mac, address, now)`` and ``may_read(token, address,
        now)`` are ``Access.may_be`` and ``Access.may_read_answer``. ``url(server address)``: base of our URLs. ``profiles`` in the
        order of the menu. ``modified_at``: when the configuration was read, what rendered texts say of their age. ``mask``: hides the
        secrets of a machine and of the profiles that a text is made of."""
        self._plan = plan
        self._host_of_mac = host_of_mac
        self._host_of_uuid = host_of_uuid
        self._host_of_key = host_of_key
        self._names = names
        self._may_be = may_be
        self._may_read = may_read
        self._url = url
        self._loaders = loaders
        self._exit = exit
        self._profiles = tuple(profiles)
        self._modified_at = modified_at
        self._menu_timeout_s = menu_timeout_s
        self._engine = engine
        self._watch = watch or Unwatched()
        self._mask = mask

    def claims(self, path: str) -> bool:
        """It is the name of an answer file or of a boot text, whosever it may be."""
        return path.startswith("answer/") or boot_name(path) is not None

    def find(self, path: str, asker: Asker, now: float) -> Content | Absent | Later | None:
        """The text of that name for this asker; None when the name is not ours, or nobody decided what that machine boots."""
        try:
            return self._find(path, asker, now)
        except NotYetError as not_yet:
            return not_yet.later

    def _find(self, path: str, asker: Asker, now: float) -> Content | Absent | None:
        if path.startswith("answer/"):
            return self._answer(path, asker, now)
        name = boot_name(path)
        if name is None:
            return None
        found = self._owner(name, asker)
        if isinstance(found, Absent):
            return found
        if found is None and not name.generic:
            return None
        return self._boot_text(path, name, found, asker, now)

    # -- boot texts ----------------------------------------------------------------------------------------------------------

    def _owner(self, name: BootName, asker: Asker) -> Host | Absent | None:
        """The machine that a name is for; an Absent when the request comes from another; None when nobody knows."""
        if name.generic:
            return asker.host
        if name.address:
            if name.address != asker.address:
                return Absent(Missing.DENIED, f"it is for {address_text(name.address)}")
            return asker.host
        owner = self._host_of_mac(name.mac) if name.mac else self._of_uuid(name.uuid, asker)
        if owner is not None and asker.host is not None and asker.host.key != owner.key:
            why = f"it is for {owner.name}, but this address is {asker.host.name}'s ({asker.evidence})"
            return Absent(Missing.DENIED, why)
        return owner

    def _of_uuid(self, uuid: bytes, asker: Asker) -> Host | None:
        # Loaders spell the bytes as the firmware sent them, which is either order (U-Boot's differs from PC firmware's).
        owner = self._host_of_uuid(uuid_text_wire(uuid)) or self._host_of_uuid(uuid_text(uuid))
        if owner is None and asker.client is not None and asker.client.uuid == uuid:
            return asker.host
        return owner

    def _boot_text(
        self, path: str, name: BootName, host: Host | None, asker: Asker, now: float
    ) -> Content | Absent | None:
        plan = self._plan(host)
        if plan.action is Action.NONE:
            return None
        if host is not None and asker.host is None:  # only the name says whose it is, and the text may carry a token
            permission = self._may_be(host.key, name.mac or host.mac, asker.address, now)
            if not permission.allowed:
                return Absent(Missing.DENIED, permission.reason)
        try:
            text = self._text_of(plan, host, asker)
            if text is None:
                return Absent(Missing.NOT_FOUND, "nobody knows which machine asks, so nothing can be installed on it")
            rendered = DIALECTS[name.dialect](text, self._reader(name, plan, host, asker))
        except (TemplateProblem, InexpressibleError) as problem:
            return Absent(Missing.FAULT, str(problem))
        if host is not None and plan.action in (Action.INSTALL, Action.MENU):
            self._watch.handed(host, now)
        told = "\n".join(entry.args for entry in text.entries if isinstance(entry, KernelEntry))
        secret = host is not None and self._is_secret(told, host, self._offered(plan))
        return self._content(path, rendered, Role.CONFIG, secret=secret)

    def _text_of(self, plan: Plan, host: Host | None, asker: Asker) -> BootText | None:
        local = LocalEntry(exit=(host.exit if host is not None else None) or self._exit)
        if plan.action is Action.LOCAL:
            return BootText((local,))
        if plan.action is Action.INSTALL:
            if host is None or plan.profile is None:
                return None
            return BootText((self.entry(host, plan.profile, asker),))
        entries: list[Entry] = [local]
        if host is None:
            return BootText(tuple(entries))
        for profile in self._profiles:
            try:
                entries.append(self.entry(host, profile, asker))
            except (TemplateProblem, InexpressibleError):
                continue  # made for other hosts, whose variables it needs; the rest of the menu is still good
        return BootText(tuple(entries), timeout_s=self._menu_timeout_s)

    def entry(self, host: Host, profile: Profile, asker: Asker) -> KernelEntry:
        """A profile as a boot entry of this machine. Raises TemplateProblem and InexpressibleError."""
        profile = _for_machine(profile, asker)
        args = self.kernel_args(host, profile, asker)
        return KernelEntry(_entry_name(profile.name), profile.name, profile.kernel, profile.initrd, args)

    def kernel_args(self, host: Host, profile: Profile, asker: Asker) -> str:
        """The kernel arguments, rendered and complete but for what a dialect adds. Raises TemplateProblem and InexpressibleError."""
        names = self._names(host, profile, asker)
        urls = names["urls"]
        assert isinstance(urls, Mapping)
        values = {**profile.vars, **host.vars}
        data = names["kickstart"]
        assert isinstance(data, Mapping)
        version = kickstart.version_named(data, values, profile.name)
        return kernel_args.complete(
            rendered_text(self._engine, profile.args, names, f"profile.{profile.name}.args"),
            kind=kind_of(profile),
            host=kernel_args.HostName(*_names_of(names)),
            answer_url=str(urls["answer"]),
            origin=kernel_args.Origin(
                profile.installer,
                str(urls["source"]),
                str(urls["image"]),
                str(urls["stage2"]),
                bool(profile.repositories),
            ),
            legacy=version is kickstart.Version.RHEL6,
        )

    def _reader(self, name: BootName, plan: Plan, host: Host | None, asker: Asker) -> Reader:
        client = asker.client
        url = self._url(asker.server)
        mac = name.mac or (client.mac if client is not None else b"") or (host.mac if host is not None else None) or b""
        platform = client.platform if client is not None else Platform.BIOS
        bios = platform is None or platform is Platform.BIOS
        if name.dialect == "ipxe":
            # Builds that took over the firmware's DHCP answer never told their features: TFTP is what every build has.
            http = client is not None and fetches(client, url)
        else:
            lpxelinux = bios and loader_of(Platform.BIOS, plan, host, self._loaders) is Loader.LPXELINUX
            http = lpxelinux and url.startswith("http:")  # it knows no TLS
        server = address_text(asker.server) if asker.server else ""
        return Reader(url, server, mac, http, efi=not bios)

    # -- answer files --------------------------------------------------------------------------------------------------------

    def _answer(self, path: str, asker: Asker, now: float) -> Content | Absent:
        token, _, rest = path.removeprefix("answer/").partition("/")
        permission = self._may_read(token, asker.address, now)
        host = self._host_of_key(permission.key) if permission.key else None
        # What the menu offers must be installable each time that a person chooses it, also after an installation.
        again = permission.ended and host is not None and self._plan(host).action is Action.MENU
        if not permission.allowed and not again:
            return Absent(Missing.DENIED, permission.reason)
        if host is None:
            return Absent(Missing.DENIED, f"no machine is known as {permission.key}")
        if asker.host is not None and asker.host.key != host.key:
            return Absent(
                Missing.DENIED, f"it is for {host.name}, but this address is {asker.host.name}'s ({asker.evidence})"
            )
        for profile in self._offered(self._plan(host)):
            if profile.answer is None:
                continue
            directory, _, name = path.rpartition("/")
            expected = answer_path(token, profile)
            try:
                if path == expected:
                    text = self.answer(host, profile, asker)
                    self._watch.read(host, path, asker, now)
                    return self._content(path, text, Role.ANSWER, profile, secret=True)
                if directory == os.path.dirname(expected) and name in companions(profile):
                    beside = self.companion(host, profile, name, asker)
                    if beside is not None:
                        secret = self._is_secret(beside, host, (profile,))
                        return self._content(path, beside, Role.CONFIG, profile, secret=secret)
            except (TemplateProblem, InexpressibleError) as problem:
                return Absent(Missing.FAULT, str(problem))
        return Absent(Missing.NOT_FOUND, f"{rest or 'nothing'} is not an answer file of {host.name}")

    def answer(self, host: Host, profile: Profile, asker: Asker) -> str:
        """The answer file of this machine. Raises TemplateProblem and InexpressibleError."""
        profile = _for_machine(profile, asker)
        return files.render(profile, self._names(host, profile, asker), self._engine)

    def companion(self, host: Host, profile: Profile, name: str, asker: Asker) -> str | None:
        """What its installer reads beside the answer file; None when there is no such file. Raises as ``answer`` does."""
        return files.companion(_for_machine(profile, asker), name, self._names(host, profile, asker), self._engine)

    def problems(self, host: Host, profile: Profile, asker: Asker) -> list[str]:
        """What would go wrong when this machine boots this profile: in its arguments, in each dialect, in its answer file."""
        found: dict[str, None] = {}
        try:
            text = BootText((self.entry(host, profile, asker),))
            for render in DIALECTS.values():
                try:
                    render(text, Reader(self._url(asker.server), address_text(asker.server), host.mac or b""))
                except InexpressibleError as problem:
                    found[str(problem)] = None
        except (TemplateProblem, InexpressibleError) as problem:
            found[str(problem)] = None
        if profile.answer is not None:
            try:
                self.answer(host, profile, asker)
            except (TemplateProblem, InexpressibleError) as problem:
                found[str(problem)] = None
        return list(found)

    def _offered(self, plan: Plan) -> Sequence[Profile]:
        """What a machine may be installed with now."""
        if plan.action is Action.MENU:
            return self._profiles
        return (plan.profile,) if plan.action is Action.INSTALL and plan.profile is not None else ()

    def _is_secret(self, text: str, host: Host, profiles: Sequence[Profile]) -> bool:
        return bool(text) and self._mask(host, profiles)(text) != text

    def _content(self, path: str, text: str, role: Role, profile: Profile | None = None, *, secret: bool) -> Content:
        modified_at = self._modified_at
        if profile is not None and profile.answer is not None:
            try:
                modified_at = max(modified_at, int(os.stat(profile.answer).st_mtime))
            except OSError:  # a built-in template
                pass
        content = bytes_content(path, text.encode(), mime="text/plain", modified_at=modified_at)
        # Boot texts are private too: they carry the machine's token.
        named = profile.name if profile is not None else ""
        return replace(content, role=role, profile=named, private=True, secret=secret)


def _for_machine(profile: Profile, asker: Asker) -> Profile:
    """The profile by the architecture of the machine that asks. Raises InexpressibleError when its source has nothing for that one."""
    platform = asker.client.platform if asker.client is not None else None
    found = profile.on(platform)
    if found is None:
        assert platform is not None
        known = ", ".join(each.value for each in profile.by_platform)
        raise InexpressibleError(
            f"profile {profile.name} has sources for {known}, and this machine is {platform.value}"
        )
    return found


def _names_of(names: Mapping[str, object]) -> tuple[str, str]:
    """The machine's name and its domain."""
    host = names["host"]
    assert isinstance(host, Mapping)
    return str(host["name"]), str(host["domain"])


def _entry_name(profile: str) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]", "-", profile).lstrip(".-_") or "profile"
    return f"profile-{name}" if name == LocalEntry().name else name

"""A kickstart rendered from data, in the dialect of one release.

A value that the release cannot be told is an error that names its key; nothing is dropped silently.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pxenet.answer.kickstart.data import Kickstart, User
from pxenet.answer.kickstart.dialects import DEFAULT_VERSION, Version, version_of
from pxenet.answer.kickstart.lines import InexpressibleError, Lines, flag, option, section
from pxenet.answer.kickstart.machine import Machine
from pxenet.answer.kickstart.network import add_networks
from pxenet.answer.kickstart.scripts import scripts
from pxenet.answer.kickstart.storage import add_storage

_LOCKED_HASH = "!"
"""No password has this hash: RHEL 6 wants one where later releases take --lock alone."""


@dataclass(frozen=True, slots=True)
class Kickstarted:
    """The three parts of a kickstart, for a template that adds to them, and all of it."""

    commands: str
    packages: str
    scripts: str

    @property
    def text(self) -> str:
        """The whole."""
        return f"{self.commands}\n{self.packages}{self.scripts}"

    def names(self) -> Mapping[str, str]:
        """What a template sees as ``kickstart``."""
        return {"text": self.text, "commands": self.commands, "packages": self.packages, "scripts": self.scripts}


def version_for(data: Kickstart, machine: Machine) -> Version:
    """The dialect: as said, else by the profile's name, else the default. Raises InexpressibleError for a release nobody knows."""
    if data.version:
        found = version_of(data.version)
        if found is None:
            known = ", ".join(version.value for version in Version)
            raise InexpressibleError("version", f'"{data.version}" is no release that is known; {known} are')
        return found
    return version_of(machine.profile) or DEFAULT_VERSION


def render_data(data: Kickstart, machine: Machine) -> Kickstarted:
    """The kickstart of this machine. Raises :class:`~pxenet.answer.templates.TemplateProblem`."""
    version = version_for(data, machine)
    lines = Lines(version)
    lines.texts.append(f"# {': '.join(filter(None, (machine.name, machine.profile))) or version.value}")
    _system(lines, data, machine)
    add_networks(lines, tuple(data.network), machine)
    _people(lines, data)
    _services(lines, data)
    add_storage(lines, data)
    _end(lines, data)
    return Kickstarted(
        "\n".join([*lines.texts, *_addons(data)]) + "\n",
        "\n".join(_packages(lines, data)) + "\n",
        "\n".join(scripts(data, machine, version)) + "\n",
    )


def _system(lines: Lines, data: Kickstart, machine: Machine) -> None:
    lines.add("mode", data.mode)
    if lines.version in (Version.RHEL6, Version.RHEL7):
        lines.add("mode", "install")
    if machine.source:
        _source(lines, machine.source)
    for index, repository in enumerate(data.repository):
        key = f"repository[{index + 1}]"
        if sum(bool(each) for each in (repository.url, repository.mirror_list, repository.metalink)) != 1:
            raise InexpressibleError(f"{key}.url", "a repository has one of url, mirror_list and metalink")
        lines.add(
            key,
            "repo",
            option("name", repository.name),
            option("baseurl", repository.url),
            option("mirrorlist", repository.mirror_list),
            option("metalink", repository.metalink),
            option("cost", repository.cost),
            option("includepkgs", repository.include),
            option("excludepkgs", repository.exclude),
            option("proxy", repository.proxy),
            flag("install", repository.install),
        )
    lines.add(
        "languages" if data.languages else "language", "lang", data.language, option("addsupport", data.languages)
    )
    if data.layouts:
        layouts = option("xlayouts", tuple(data.layouts))
        lines.add("layouts", "keyboard", option("vckeymap", data.keyboard), layouts)
    else:
        lines.add("keyboard", "keyboard", data.keyboard)
    _time(lines, data)


def _source(lines: Lines, source: str) -> None:
    """The install tree; nfs:[options:]server:/path as anaconda writes it (facts: boot arguments)."""
    if source.startswith(("nfs:", "nfs4:")):
        rest = source.partition(":")[2]
        options, server, path = ("", *rest.split(":", 1)) if rest.count(":") == 1 else tuple(rest.split(":", 2))
        lines.add("source", "nfs", option("server", server), option("dir", path), option("opts", options))
    else:
        lines.add("source", "url", option("url", source))


def _time(lines: Lines, data: Kickstart) -> None:
    utc = flag("utc", data.utc)
    if data.ntp and lines.knows("timezone --ntpservers") and not lines.knows("timesource"):
        lines.add("ntp", "timezone", data.timezone, utc, option("ntpservers", data.ntp))
        return
    lines.add("timezone", "timezone", data.timezone, utc)
    for server in data.ntp:
        lines.add("ntp", "timesource", option("ntp-server", server))


def _people(lines: Lines, data: Kickstart) -> None:
    _root(lines, data)
    for index, group in enumerate(data.group):
        lines.add(f"group[{index + 1}]", "group", option("name", group.name), option("gid", group.gid))
    for index, user in enumerate(data.user):
        _user(lines, user, f"user[{index + 1}]")


def _root(lines: Lines, data: Kickstart) -> None:
    enterable = (
        data.root_password
        or data.root_ssh_keys
        or any((user.password and not user.locked) or user.ssh_keys for user in data.user)
    )
    if not enterable:
        raise InexpressibleError(
            "root_password",
            "is missing: nobody could log in. Give a crypt hash (openssl passwd -6), root_ssh_keys, or a user with either",
        )
    if data.root_password:
        _crypt("root_password", data.root_password)
        lines.add("root_password", "rootpw", "--iscrypted", data.root_password)
    elif lines.version is Version.RHEL6:
        lines.add("root_password", "rootpw", "--lock", "--iscrypted", _LOCKED_HASH)
    else:
        lines.add("root_password", "rootpw", "--lock")
    if lines.knows("sshkey"):  # else a script does it
        for key in data.root_ssh_keys:
            lines.add("root_ssh_keys", "sshkey", "--username=root", key)


def _crypt(key: str, password: str) -> None:
    """A password that is no hash would be visible to everybody who reads the configuration, and would not work."""
    if not password.startswith(("$", "!", "*")):
        raise InexpressibleError(key, "is not a crypt hash; make one with: openssl passwd -6")


def _user(lines: Lines, user: User, key: str) -> None:
    if user.password:
        _crypt(f"{key}.password", user.password)
    elif not user.locked and not user.ssh_keys:
        raise InexpressibleError(
            f"{key}.password", f"{user.name} has no way to log in: give a hash, ssh_keys, or locked"
        )
    lines.add(
        key,
        "user",
        option("name", user.name),
        option("groups", user.groups),
        option("uid", user.uid),
        option("gid", user.gid),
        option("homedir", user.home),
        option("shell", user.shell),
        option("gecos", user.full_name),
        *(["--iscrypted", option("password", user.password)] if user.password else []),
        flag("lock", user.locked or not user.password),
    )
    if lines.knows("sshkey"):
        for ssh_key in user.ssh_keys:
            lines.add(f"{key}.ssh_keys", "sshkey", option("username", user.name), ssh_key)


def _services(lines: Lines, data: Kickstart) -> None:
    lines.add("selinux", "selinux", f"--{data.selinux}")
    firewall = data.firewall
    if firewall.enabled:
        lines.add(
            "firewall",
            "firewall",
            "--enabled",
            option("service", firewall.services),
            option("port", firewall.ports),
            option("trust", firewall.trust),
        )
    else:
        lines.add("firewall", "firewall", "--disabled")
    enabled = [name for name in data.services if not name.startswith("-")]
    disabled = [name[1:] for name in data.services if name.startswith("-")]
    if data.services:
        lines.add("services", "services", option("enabled", enabled), option("disabled", disabled))
    lines.add("firstboot", "firstboot", "--enable" if data.firstboot else "--disable")
    if data.desktop:
        lines.add("desktop", "xconfig", "--startxonboot")
    else:
        lines.add("desktop", "skipx")
    if lines.knows("eula"):
        lines.add("firstboot", "eula", "--agreed")


def _end(lines: Lines, data: Kickstart) -> None:
    loader = data.bootloader
    hashed = ["--iscrypted", option("password", loader.password)] if loader.password else []
    lines.add(
        "bootloader",
        "bootloader",
        option("timeout", str(loader.timeout)),
        option("location", loader.location),
        option("boot-drive", loader.disk)
        if lines.knows("bootloader --boot-drive")
        else option("driveorder", loader.disk),
        *hashed,
        option("append", loader.append),
    )
    lines.texts.extend(_further(data))
    lines.add("end", data.end)


def _further(data: Kickstart) -> Iterator[str]:
    for line in data.commands:
        if "\n" in line or line.lstrip().startswith("%"):
            raise InexpressibleError("commands", f"{line[:40]!r} is not one command; sections have keys of their own")
        yield line


def _addons(data: Kickstart) -> list[str]:
    if not data.kdump:
        return []
    if data.kdump == "off":
        words = "--disable"
    elif data.kdump == "auto" or data.kdump.isdecimal():
        words = f"--enable --reserve-mb={data.kdump}"
    else:
        raise InexpressibleError("kdump", f'"{data.kdump}" is not auto, off or a number of MB')
    return ["", *section(f"%addon com_redhat_kdump {words}", [])]


def _packages(lines: Lines, data: Kickstart) -> list[str]:
    for each in (*data.packages, *data.package_options):
        if "\n" in each or each.lstrip().startswith("%"):
            raise InexpressibleError("packages", f"{each[:40]!r} is not one package")
    check = Lines(lines.version)
    check.add("package_options", "%packages", *data.package_options)
    core = ["@core"] if data.core else []
    return section(check.texts[0], [*core, *data.packages])

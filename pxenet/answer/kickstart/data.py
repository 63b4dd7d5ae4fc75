"""A kickstart as data: what an installation needs to be told, in no dialect. ``[profile.kickstart]``, with a host's laid over it.

Every key once: its type, its default, and the sentence that documentation prints. Sizes are texts like ``20G`` (of 1024), or
``rest``. Passwords are crypt hashes; nothing here is ever a password in the clear but ``disk.passphrase``, which LUKS needs.
Knows no dialect (``commands``) and no machine.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field
from typing import Any, Literal, TypeVar, cast

T = TypeVar("T")


def _key(default: T, sentence: str, example: object = None) -> T:
    """A field with its default, its sentence, and a value to show when the default says nothing."""
    found: T = field(default=default, metadata={"sentence": sentence, "example": example})
    return found


def _needed(sentence: str, example: object) -> Any:
    return field(metadata={"sentence": sentence, "example": example})


@dataclass(frozen=True, slots=True)
class Disk:
    """Which disks are used, and how."""

    use: Sequence[str] = _key((), "Disks to use. Unset: all; name them where a machine has others.", ["sda"])
    wipe: Literal["all", "linux", "none"] = _key("all", "What is removed from them: all, linux (its partitions), none.")
    label: Literal["", "gpt", "msdos"] = _key("", "Partition table to make. Unset: the installer's choice.", "gpt")
    scheme: Literal["lvm", "plain", "thinp", "btrfs", "none"] = _key(
        "lvm", "Layout without [[partition]] tables; none: commands or a template has it."
    )
    filesystem: str = _key("", "File system of that layout. Unset: the installer's choice.", "xfs")
    home: bool = _key(True, "That layout may have a /home of its own.")
    swap: bool = _key(True, "That layout has swap space.")
    encrypt: bool = _key(False, "Encrypt what is made (LUKS); needs passphrase.")
    passphrase: str = _key("", "Passphrase of the encryption; a secret.", "correct horse")


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition, or a volume of a volume group, or a RAID device. Repeat it; then disk.scheme does not count."""

    mount: str = _needed("Where it is mounted, or swap, biosboot, prepboot.", "/var")
    size: str = _key("", "Size such as 512M or 20G, or rest, or recommended (swap, /boot).", "20G")
    max_size: str = _key("", "With size: how far it may grow.", "100G")
    filesystem: str = _key("", "Unset: the installer's choice.", "xfs")
    mount_options: str = _key("", "As in /etc/fstab.", "noatime")
    mkfs_options: str = _key("", "For mkfs.", "-m 1")
    label: str = _key("", "Of the file system.", "data")
    disk: str = _key("", "The disk it is on.", "sda")
    primary: bool = _key(False, "A primary partition of an msdos table.")
    group: str = _key("", "Volume group (LVM) it is a volume of.", "vg0")
    name: str = _key("", "Name of that volume. Unset: made of mount.", "var")
    raid: str = _key("", "RAID level of a device over all disks of disk.use: 0, 1, 4, 5, 6 or 10.", "1")
    encrypt: bool = _key(False, "Encrypt it (LUKS) with disk.passphrase.")


@dataclass(frozen=True, slots=True)
class VolumeGroup:
    """A volume group. Repeat it for each."""

    name: str = _needed("By which partitions name it.", "vg0")
    disks: Sequence[str] = _key((), "Disks it spans, all of each that is left. Unset: those of disk.use.", ["sda"])
    size: str = _key("rest", "Of each disk: a size, or rest.")


@dataclass(frozen=True, slots=True)
class Network:
    """A connection. Repeat it. Without any: DHCP on the card that booted."""

    device: str = _key("", "Name or hardware address. Unset: the card that booted.", "ens3")
    method: Literal["dhcp", "static", "none"] = _key("dhcp", "How it gets its address.")
    address: str = _key("", "With static: address/prefix. Unset: the host's own.", "10.0.0.11/24")
    gateway: str = _key("", "With static. Unset: the subnet's router.", "10.0.0.1")
    dns: Sequence[str] = _key((), "Name servers. Unset: the subnet's.", ["10.0.0.1"])
    ipv6: str = _key("", "auto, dhcp, none or address/prefix. Unset: the installer's choice.", "auto")
    mtu: int = _key(0, "Unset: the card's.", 9000)
    start: bool = _key(True, "Brought up when the system starts.")
    bond: Sequence[str] = _key((), "Devices that this one bonds.", ["ens3", "ens4"])
    bond_options: str = _key("", "Options of the bond.", "mode=active-backup,miimon=100")
    bridge: Sequence[str] = _key((), "Devices that this one bridges.", ["ens3"])
    bridge_options: str = _key("", "Options of the bridge.", "stp=no")
    vlan: int = _key(0, "VLAN id; device is what it lies on.", 100)
    vlan_name: str = _key("", "Name of the VLAN's device.", "vlan100")


@dataclass(frozen=True, slots=True)
class User:
    """A user. Repeat it for each."""

    name: str = _needed("Login name.", "ops")
    password: str = _key("", "Crypt hash (openssl passwd -6). Unset: none; a secret.", "$6$...")
    ssh_keys: Sequence[str] = _key((), "Public keys that may log in.", ["ssh-ed25519 AAAA... ops@example.org"])
    groups: Sequence[str] = _key((), "Further groups.", ["wheel"])
    uid: int = _key(0, "Unset: the system's choice.", 1500)
    gid: int = _key(0, "Of the user's own group.", 1500)
    home: str = _key("", "Home directory.", "/srv/ops")
    shell: str = _key("", "Login shell.", "/bin/bash")
    full_name: str = _key("", "GECOS.", "Operations")
    locked: bool = _key(False, "No login by password.")


@dataclass(frozen=True, slots=True)
class Group:
    """A group. Repeat it for each."""

    name: str = _needed("Its name.", "ops")
    gid: int = _key(0, "Unset: the system's choice.", 1500)


@dataclass(frozen=True, slots=True)
class Repository:
    """A further repository. Repeat it for each."""

    name: str = _needed("Its name.", "extra")
    url: str = _key("", "Base URL; or mirror_list, or metalink.", "http://10.0.0.1/extra")
    mirror_list: str = _key("", "URL of a list of mirrors.", "http://mirrors.example/list")
    metalink: str = _key("", "URL of a metalink.", "http://mirrors.example/metalink")
    install: bool = _key(False, "Also configured in the installed system.")
    cost: int = _key(0, "Dearer ones are asked later.", 100)
    include: Sequence[str] = _key((), "Only these packages.", ["nginx*"])
    exclude: Sequence[str] = _key((), "Not these packages.", ["kernel*"])
    proxy: str = _key("", "URL of a proxy.", "http://10.0.0.1:3128")


@dataclass(frozen=True, slots=True)
class Firewall:
    """The firewall of the installed system."""

    enabled: bool = _key(True, "Whether there is one.")
    services: Sequence[str] = _key(("ssh",), "Services let in.")
    ports: Sequence[str] = _key((), "Ports let in.", ["8080:tcp"])
    trust: Sequence[str] = _key((), "Devices from which all is let in.", ["ens4"])


@dataclass(frozen=True, slots=True)
class Bootloader:
    """The boot loader of the installed system."""

    append: str = _key("", "Kernel arguments of the installed system.", "console=ttyS0")
    timeout: int = _key(1, "Seconds of its menu.")
    disk: str = _key("", "Disk it goes to.", "sda")
    location: Literal["", "mbr", "partition", "none"] = _key("", "Where on it. Unset: the installer's choice.", "mbr")
    password: str = _key("", "GRUB's hash of a password; a secret.", "grub.pbkdf2.sha512...")


@dataclass(frozen=True, slots=True)
class Script:
    """A script with options. Repeat it; simple ones are the texts pre and post."""

    when: Literal["pre", "pre-install", "post", "onerror"] = _needed("When it runs.", "post")
    body: str = _needed("Its text, taken as it is.", "echo done > /root/done\n")
    interpreter: str = _key("", "Unset: /bin/sh.", "/usr/bin/python3")
    outside: bool = _key(False, "post: outside of the new system, which is below /mnt/sysimage.")
    must_succeed: bool = _key(False, "Its failure ends the installation.")
    log: str = _key("", "File for what it prints.", "/root/post.log")


@dataclass(frozen=True, slots=True)
class Kickstart:
    """An installation as data, rendered for the release that is installed; instead of an answer template, or for one to use."""

    version: str = _key("", "rhel6 to rhel10 or fedora. Unset: by the profile's name or source, else rhel9.", "rhel9")
    language: str = _key("en_US.UTF-8", "Language of the system.")
    languages: Sequence[str] = _key((), "Further ones.", ["de_DE.UTF-8"])
    keyboard: str = _key("us", "Layout of the console.")
    layouts: Sequence[str] = _key((), "Layouts of the desktop.", ["us", "de"])
    timezone: str = _key("UTC", "Time zone.")
    utc: bool = _key(True, "The hardware clock runs in UTC.")
    ntp: Sequence[str] = _key((), "Time servers.", ["ntp.example.org"])
    mode: Literal["text", "graphical", "cmdline"] = _key("text", "How the installer shows itself.")
    end: Literal["reboot", "poweroff", "halt"] = _key("reboot", "What follows the installation.")
    root_password: str = _key("", "Crypt hash (openssl passwd -6). Unset: locked; a secret.", "$6$...")
    root_ssh_keys: Sequence[str] = _key((), "Public keys that may log in as root.", ["ssh-ed25519 AAAA... admin"])
    packages: Sequence[str] = _key((), "Packages, @groups, @^environments; with - in front: not that one.", ["vim"])
    core: bool = _key(True, "With the group @core.")
    package_options: Sequence[str] = _key((), "Options of %packages.", ["--ignoremissing"])
    selinux: Literal["enforcing", "permissive", "disabled"] = _key("enforcing", "SELinux.")
    services: Sequence[str] = _key((), "Services to enable; with - in front: to disable.", ["chronyd"])
    firstboot: bool = _key(False, "Ask for settings at the first start.")
    desktop: bool = _key(False, "Start a desktop.")
    kdump: str = _key(
        "", "Memory for crash dumps: auto, a number of MB, or off. Unset: the installer's choice.", "auto"
    )
    etc_hosts: Sequence[str] = _key((), "Lines for /etc/hosts.", ["10.0.0.1 boot boot.example.org"])
    pre: str = _key("", "Script before the installation, taken as it is.", "echo hello\n")
    post: str = _key("", "Script in the new system, taken as it is.", "systemctl enable nginx\n")
    on_error: str = _key("", "Script after a failure (RHEL 8 and later), taken as it is.", "journalctl -b | tail\n")
    commands: Sequence[str] = _key((), "Further lines of kickstart, taken as they are.", ["timesource --ntp-disable"])
    disk: Disk = _key(Disk(), "Disks.")  # noqa: RUF009 - frozen, so it can be shared
    partition: Sequence[Partition] = _key((), "Partitions.")
    volume_group: Sequence[VolumeGroup] = _key((), "Volume groups.")
    network: Sequence[Network] = _key((), "Connections.")
    user: Sequence[User] = _key((), "Users.")
    group: Sequence[Group] = _key((), "Groups.")
    repository: Sequence[Repository] = _key((), "Repositories.")
    firewall: Firewall = _key(Firewall(), "Firewall.")  # noqa: RUF009 - frozen, so it can be shared
    bootloader: Bootloader = _key(Bootloader(), "Boot loader.")  # noqa: RUF009 - frozen, so it can be shared
    script: Sequence[Script] = _key((), "Scripts with options.")


@functools.cache
def types_of(record: Hashable) -> Mapping[str, Any]:
    """The types of a record's fields, resolved; ``record`` is its class."""
    return typing.get_type_hints(record)


def record_in(kind: object) -> tuple[type | None, bool]:
    """(the record that a field's type holds, whether it is a list of them); None for plain values."""
    (inner,) = typing.get_args(kind)[:1] or (kind,)
    listed = typing.get_origin(kind) is not None
    return (inner, listed) if dataclasses.is_dataclass(inner) and isinstance(inner, type) else (None, False)


def from_mapping(values: Mapping[str, object], record: type[T]) -> T:
    """The record of checked values, nested ones included. Raises TypeError for a key that does not exist or is missing."""
    made: dict[str, object] = {}
    hints = types_of(cast(Hashable, record))
    for name, value in values.items():
        inner, listed = record_in(hints.get(name))
        if inner is None:
            made[name] = value
        elif listed:
            assert isinstance(value, Sequence)
            made[name] = tuple(from_mapping(each, inner) for each in value)
        else:
            assert isinstance(value, Mapping)
            made[name] = from_mapping(value, inner)
    return record(**made)


def laid_over(below: Mapping[str, object], above: Mapping[str, object]) -> Mapping[str, object]:
    """A host's keys over its profile's: tables key by key; a list replaces a list."""
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[name] = laid_over(old, value) if both else value  # type: ignore[arg-type]
    return merged


def to_mapping(data: object) -> dict[str, object]:
    """The keys that differ from their defaults, as a configuration writes them. The opposite of :func:`from_mapping`."""
    assert dataclasses.is_dataclass(data)
    written: dict[str, object] = {}
    for each in dataclasses.fields(data):
        value = getattr(data, each.name)
        if each.default is not MISSING and value == each.default:
            continue
        inner, listed = record_in(types_of(cast(Hashable, type(data)))[each.name])
        if inner is None:
            written[each.name] = list(value) if isinstance(value, tuple) else value
        else:
            written[each.name] = [to_mapping(item) for item in value] if listed else to_mapping(value)
    return written

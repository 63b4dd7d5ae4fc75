"""Disks, partitions, volume groups and RAID devices as commands. Sizes become MiB, which is what kickstart counts in."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pxenet.answer.kickstart.data import Disk, Kickstart, Partition, VolumeGroup
from pxenet.answer.kickstart.lines import InexpressibleError, Lines, flag, option

_UNITS_MIB = {"M": 1, "G": 1024, "T": 1024 * 1024}
_SIZE = re.compile(r"(\d+) ?([MGT])(?:i?B)?")

_SWAP = "swap"
_LEAST_MIB = 1
"""What something that takes the rest begins with."""


def add_storage(lines: Lines, data: Kickstart) -> None:
    """All that happens to disks."""
    disk = data.disk
    if disk.scheme == "none" and not data.partition:
        return
    _prepare(lines, disk)
    if not data.partition:
        for group in data.volume_group:
            raise InexpressibleError(
                "volume_group", f"{group.name} has no partition in it; add a [[partition]] with group"
            )
        _automatic(lines, disk)
        return
    groups = {group.name: group for group in data.volume_group}
    for index, group in enumerate(data.volume_group):
        _physical_volumes(lines, group, disk, f"volume_group[{index + 1}]")
    for index, partition in enumerate(data.partition):
        key = f"partition[{index + 1}]"
        if partition.group:
            if partition.group not in groups:
                known = ", ".join(groups) or "none"
                raise InexpressibleError(
                    f"{key}.group", f"no [[volume_group]] is called {partition.group}; known: {known}"
                )
            _volume(lines, partition, disk, key)
        elif partition.raid:
            _raid(lines, partition, disk, key, index)
        else:
            _partition(lines, partition, disk, key)


def size_mib(text: str, key: str) -> int:
    """``20G`` in MiB. Raises InexpressibleError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None or not int(found[1]):
        raise InexpressibleError(key, f'"{text}" is not a size; write e.g. 512M, 20G or 1T')
    return int(found[1]) * _UNITS_MIB[found[2]]


def _prepare(lines: Lines, disk: Disk) -> None:
    if disk.wipe != "none":
        lines.add("disk.wipe", "zerombr")
    if disk.use:
        lines.add("disk.use", "ignoredisk", option("only-use", disk.use))
    lines.add(
        "disk.label" if disk.label else "disk.wipe",
        "clearpart",
        f"--{disk.wipe}",
        flag("initlabel", disk.wipe == "all"),
        option("drives", disk.use if disk.wipe != "none" else ()),
        option("disklabel", disk.label),
    )


def _automatic(lines: Lines, disk: Disk) -> None:
    # LVM is every release's own choice, and RHEL 6 knows no other.
    lines.add(
        "disk",
        "autopart",
        option("type", disk.scheme) if disk.scheme != "lvm" else "",
        option("fstype", disk.filesystem),
        flag("nohome", not disk.home),
        flag("noswap", not disk.swap),
        *_encryption(disk, disk.encrypt, "disk.encrypt"),
    )


def _encryption(disk: Disk, wanted: bool, key: str) -> list[str]:
    if not wanted:
        return []
    if not disk.passphrase:
        raise InexpressibleError(key, "needs disk.passphrase: nobody is there to be asked for it")
    return ["--encrypted", option("passphrase", disk.passphrase)]


def _sized(partition: Partition, key: str) -> list[str]:
    if partition.size == "recommended":
        return ["--recommended"]
    if partition.size == "rest":
        return [option("size", _LEAST_MIB), "--grow"]
    if not partition.size:
        raise InexpressibleError(
            f"{key}.size", f"is missing; how large shall {partition.mount} be? rest: all that is left"
        )
    found = [option("size", size_mib(partition.size, f"{key}.size"))]
    if partition.max_size:
        found += ["--grow", option("maxsize", size_mib(partition.max_size, f"{key}.max_size"))]
    return found


def _filesystem(partition: Partition) -> list[str]:
    return [
        option("fstype", partition.filesystem or (_SWAP if partition.mount == _SWAP else "")),
        option("fsoptions", partition.mount_options),
        option("mkfsoptions", partition.mkfs_options),
        option("label", partition.label),
    ]


def _partition(lines: Lines, partition: Partition, disk: Disk, key: str) -> None:
    lines.add(
        key,
        "part",
        partition.mount,
        *_sized(partition, key),
        *_filesystem(partition),
        option("ondisk", partition.disk),
        flag("asprimary", partition.primary),
        *_encryption(disk, partition.encrypt, f"{key}.encrypt"),
    )


def _physical_volumes(lines: Lines, group: VolumeGroup, disk: Disk, key: str) -> None:
    """A physical volume on each disk, and the group over them."""
    disks: Sequence[str] = group.disks or disk.use or ("",)
    volumes = [f"pv.{group.name}{number}" for number in range(1, len(disks) + 1)]
    size = ["--grow", option("size", _LEAST_MIB)]
    if group.size != "rest":
        size = [option("size", size_mib(group.size, f"{key}.size"))]
    for volume, name in zip(volumes, disks, strict=True):
        lines.add(key, "part", volume, *size, option("ondisk", name))
    lines.add(key, "volgroup", group.name, *volumes)


def _volume(lines: Lines, partition: Partition, disk: Disk, key: str) -> None:
    if partition.raid or partition.disk:
        raise InexpressibleError(
            f"{key}.group", "a volume lies in its group: it has no disk and no RAID level of its own"
        )
    lines.add(
        key,
        "logvol",
        partition.mount,
        option("vgname", partition.group),
        option("name", partition.name or partition.mount.strip("/").replace("/", "_") or "root"),
        *_sized(partition, key),
        *_filesystem(partition),
        *_encryption(disk, partition.encrypt, f"{key}.encrypt"),
    )


def _raid(lines: Lines, partition: Partition, disk: Disk, key: str, index: int) -> None:
    """A member on each disk, and the device over them."""
    least = {"0": 2, "1": 2, "4": 3, "5": 3, "6": 4, "10": 4}.get(partition.raid)
    if least is None:
        raise InexpressibleError(f"{key}.raid", f'"{partition.raid}" is no level; 0, 1, 4, 5, 6 and 10 are')
    if len(disk.use) < least:
        raise InexpressibleError(
            f"{key}.raid", f"level {partition.raid} needs {least} disks in disk.use, not {len(disk.use)}"
        )
    members = [f"raid.{index + 1}{number:02}" for number in range(1, len(disk.use) + 1)]
    for member, name in zip(members, disk.use, strict=True):
        lines.add(key, "part", member, *_sized(partition, key), option("ondisk", name))
    lines.add(
        key,
        "raid",
        partition.mount,
        option("device", f"md{index}"),
        option("level", f"RAID{partition.raid}"),
        *_filesystem(partition),
        *_encryption(disk, partition.encrypt, f"{key}.encrypt"),
        *members,
    )

"""Commands about disks as data. They belong together: either all of them fit the keys, or all of them are kept as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pxenet.answer.kickstart.imported_words import Words

STORAGE = frozenset({"autopart", "clearpart", "ignoredisk", "part", "volgroup", "logvol", "raid"})


class _UnfitError(Exception):
    """There is no key for this."""


def storage(commands: Sequence[tuple[str, Words]]) -> tuple[dict[str, object], Mapping[str, str]]:
    """(data, {line: why it is kept as it is})."""
    if not commands:
        return {}, {}
    try:
        return _Layout().read(commands), {}
    except (_UnfitError, ValueError) as problem:
        why = str(problem)
        return {"disk": {"scheme": "none", "wipe": "none"}}, {line: why for line, _ in commands}


class _Layout:
    """All that is said about disks."""

    def __init__(self) -> None:
        self._disk: dict[str, object] = {}
        self._wiped = False
        self._partitions: list[dict[str, object]] = []
        self._groups: list[dict[str, object]] = []
        self._members: dict[str, dict[str, object]] = {}
        """``pv.`` and ``raid.`` partitions by their names."""

    def read(self, commands: Sequence[tuple[str, Words]]) -> dict[str, object]:
        """The data. Raises _UnfitError."""
        read = {
            "ignoredisk": self._ignoredisk,
            "clearpart": self._clearpart,
            "autopart": self._autopart,
            "part": self._part,
            "volgroup": self._volgroup,
            "logvol": self._logvol,
            "raid": self._raid,
        }
        for _, words in commands:
            read[words.command](words)
            if words.options or words.rest:
                raise _UnfitError(f"--{', --'.join(words.options) or words.rest[0]} has no key")
        if self._members:
            raise _UnfitError(f"{next(iter(self._members))} is in no group and no device")
        if not self._wiped:
            self._disk["wipe"] = "none"
        found: dict[str, object] = {"disk": self._disk} if self._disk else {}
        if self._groups:
            found["volume_group"] = self._groups
        if self._partitions:
            found["partition"] = self._partitions
        return found

    def _ignoredisk(self, words: Words) -> None:
        self._disk["use"] = words.listed("only-use")

    def _clearpart(self, words: Words) -> None:
        words.flag("initlabel")
        drives = words.listed("drives")
        if drives:
            self._disk.setdefault("use", drives)
        if label := words.take("disklabel"):
            self._disk["label"] = label
        which = [name for name in ("all", "linux", "none") if words.flag(name)]
        self._wiped = which != ["none"]
        if which == ["linux"]:
            self._disk["wipe"] = "linux"

    def _autopart(self, words: Words) -> None:
        if (scheme := words.take("type")) and scheme != "lvm":
            self._disk["scheme"] = scheme
        if filesystem := words.take("fstype"):
            self._disk["filesystem"] = filesystem
        for name in ("home", "swap"):
            if words.flag(f"no{name}"):
                self._disk[name] = False
        self._encrypted(words, self._disk)

    def _encrypted(self, words: Words, where: dict[str, object]) -> None:
        if words.flag("encrypted"):
            where["encrypt"] = True
            passphrase = words.take("passphrase")
            if self._disk.setdefault("passphrase", passphrase) != passphrase or not passphrase:
                raise _UnfitError("there is one passphrase for all, in disk.passphrase")

    def _part(self, words: Words) -> None:
        mount = _first(words)
        found: dict[str, object] = {"mount": mount, **self._sized(words), **self._made(words)}
        if disk := words.take("ondisk") or words.take("ondrive"):
            found["disk"] = disk
        if words.flag("asprimary"):
            found["primary"] = True
        self._encrypted(words, found)
        if mount.startswith(("pv.", "raid.")):
            self._members[mount] = found
        else:
            self._partitions.append(found)

    @staticmethod
    def _made(words: Words) -> dict[str, object]:
        names = {"fstype": "filesystem", "fsoptions": "mount_options", "mkfsoptions": "mkfs_options", "label": "label"}
        found: dict[str, object] = {key: words.take(name) for name, key in names.items()}
        if found["filesystem"] in ("swap", "lvmpv", "mdmember"):
            found["filesystem"] = ""
        return {key: value for key, value in found.items() if value}

    @staticmethod
    def _sized(words: Words) -> dict[str, object]:
        size, most, grow = words.take("size"), words.take("maxsize"), words.flag("grow")
        if words.flag("recommended", "hibernation"):
            return {"size": "recommended"}
        if grow and not most:
            return {"size": "rest"}
        sized: dict[str, object] = {"size": f"{int(size)}M"}
        return sized | ({"max_size": f"{int(most)}M"} if most else {})

    def _volgroup(self, words: Words) -> None:
        name, volumes = _first(words), list(words.rest)
        words.rest.clear()
        parts = [self._member(each) for each in volumes]
        sizes = {str(part["size"]) for part in parts}
        if len(sizes) != 1 or any(set(part) - {"mount", "size", "disk"} for part in parts):
            raise _UnfitError(f"{name} has physical volumes of several kinds")
        group: dict[str, object] = {"name": name}
        if disks := [part["disk"] for part in parts if "disk" in part]:
            if len(disks) != len(parts):
                raise _UnfitError(f"{name} has physical volumes with a disk and without")
            group["disks"] = disks
        elif len(parts) != 1:
            raise _UnfitError(f"{name} has several physical volumes, and nothing says on which disks")
        if sizes != {"rest"}:
            group["size"] = sizes.pop()
        self._groups.append(group)

    def _member(self, name: str) -> dict[str, object]:
        if name not in self._members:
            raise _UnfitError(f"{name} is not made by a partition before it")
        return self._members.pop(name)

    def _logvol(self, words: Words) -> None:
        found: dict[str, object] = {
            "mount": _first(words),
            "group": words.take("vgname"),
            "name": words.take("name"),
            **self._sized(words),
            **self._made(words),
        }
        self._encrypted(words, found)
        self._partitions.append(found)

    def _raid(self, words: Words) -> None:
        mount, names = _first(words), list(words.rest)
        words.rest.clear()
        words.take("device")
        members = [self._member(name) for name in names]
        if not members:
            raise _UnfitError(f"the RAID device for {mount} has no members")
        disks = [member.get("disk") for member in members]
        if mount.startswith("pv.") or disks != self._disk.setdefault("use", disks):
            raise _UnfitError("a RAID device spans all disks of disk.use, and is mounted")
        level = words.take("level").upper().removeprefix("RAID")
        found: dict[str, object] = {
            "mount": mount,
            "size": members[0]["size"],
            "raid": level,
            **self._made(words),
        }
        self._encrypted(words, found)
        self._partitions.append(found)


def _first(words: Words) -> str:
    """What the command is about. Raises _UnfitError when it does not say."""
    if not words.rest:
        raise _UnfitError(f"{words.command} says nothing of what it is for")
    return words.rest.pop(0)

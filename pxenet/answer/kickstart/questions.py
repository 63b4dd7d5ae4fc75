"""What is to be asked of somebody who has no kickstart yet: the keys of the data, in the order and words of a conversation.

Types, choices, defaults and explanations are those of ``data``. Knows which answers make other questions needless. Must not know how
questions are asked.
"""

from __future__ import annotations

import dataclasses
import enum
import typing
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass
from typing import cast

from pxenet.answer.kickstart.data import Kickstart, record_in, types_of
from pxenet.answer.kickstart.dialects import DEFAULT_VERSION, Version, knows, version_of

Data = Mapping[str, object]


class Form(enum.Enum):
    """How a question is answered."""

    TEXT = "text"
    NUMBER = "number"
    CHOICE = "choice"
    YES = "yes or no"
    LIST = "list"
    SECRET = "secret"
    PASSWORD = "password"  # kept as its hash
    KEYS = "keys"  # or files that contain them
    FILE = "file"  # kept as its text
    TABLES = "tables"


@dataclass(frozen=True, slots=True)
class Question:
    """One question. ``key`` is the dotted one of the data; for tables ``fields`` asks for the keys of one of them."""

    key: str
    words: str
    form: Form
    help: str
    choices: Sequence[str] = ()
    default: object = None
    fields: Sequence[Question] = ()
    asked: Callable[[Data], bool] = lambda data: True
    """Whether it is of any use after what was answered before it."""

    @property
    def flag(self) -> str:
        """Its option on a command line."""
        return "--" + self.key.replace(".", "-").replace("_", "-")


@dataclass(frozen=True, slots=True)
class Chapter:
    """Questions that belong together."""

    title: str
    questions: Sequence[Question]


def value_of(data: Data, key: str) -> object:
    """What stands under a dotted key; None when nothing does."""
    found: object = data
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def with_value(data: Data, key: str, value: object) -> dict[str, object]:
    """The data with that under a dotted key; without the key where the value is None."""
    name, _, rest = key.partition(".")
    changed = dict(data)
    if rest:
        below = changed.get(name)
        inner = with_value(below if isinstance(below, Mapping) else {}, rest, value)
        value = inner or None
    if value is None:
        changed.pop(name, None)
    else:
        changed[name] = value
    return changed


def chapters() -> Sequence[Chapter]:
    """All questions."""
    return (
        Chapter(
            "System",
            (
                _ask("version", "Release", choices=[each.value for each in Version], default=DEFAULT_VERSION.value),
                _ask("language", "Language"),
                _ask("languages", "Further languages", asked=_takes("lang --addsupport")),
                _ask("keyboard", "Keyboard layout"),
                _ask("timezone", "Time zone"),
                _ask("utc", "Does the hardware clock run in UTC"),
                _ask("ntp", "Time servers", asked=lambda data: any(_takes(what)(data) for what in _NTP)),
            ),
        ),
        Chapter(
            "People",
            (
                _ask("root_password", "Password of root", form=Form.PASSWORD),
                _ask("root_ssh_keys", "SSH keys of root"),
                _table("user", "Users", ("name", "password", "ssh_keys", "groups")),
            ),
        ),
        Chapter(
            "Disks",
            (
                _ask("disk.use", "Disks to use"),
                _ask("disk.wipe", "What is removed from them"),
                _ask("disk.label", "Partition table", asked=_takes("clearpart --disklabel")),
                _table("volume_group", "Volume groups", ("name", "disks", "size")),
                _table("partition", "Partitions", ("mount", "size", "filesystem", "group", "disk", "raid", "encrypt")),
                _ask("disk.scheme", "Layout", asked=lambda data: not data.get("partition")),
                _ask("disk.filesystem", "File system of the layout", asked=_automatic),
                _ask("disk.encrypt", "Encrypt the layout", asked=_automatic),
                _ask("disk.passphrase", "Passphrase of the encryption", form=Form.SECRET, asked=_encrypts),
            ),
        ),
        Chapter(
            "Network",
            (
                _table(
                    "network",
                    "Connections",
                    ("device", "method", "address", "gateway", "dns", "ipv6", "bond", "bond_options", "bridge", "vlan"),
                ),
                _ask("firewall.enabled", "Firewall"),
                _ask("firewall.services", "Services let in", asked=_firewall),
                _ask("firewall.ports", "Ports let in", asked=_firewall),
                _ask("selinux", "SELinux"),
            ),
        ),
        Chapter(
            "Software",
            (
                _ask("packages", "Packages, @groups, @^environments"),
                _table("repository", "Further repositories", ("name", "url", "install")),
                _ask("services", "Services to enable (-name: to disable)"),
                _ask("desktop", "Start a desktop"),
                _ask("firstboot", "Ask for settings at the first start"),
            ),
        ),
        Chapter(
            "Boot loader and installer",
            (
                _ask("bootloader.append", "Kernel arguments of the installed system"),
                _ask("bootloader.location", "Where the boot loader goes"),
                _ask("kdump", "Memory for crash dumps"),
                _ask("mode", "How the installer shows itself"),
                _ask("end", "What follows the installation"),
                _ask("pre", "File with a script before the installation", form=Form.FILE),
                _ask("post", "File with a script in the new system", form=Form.FILE),
            ),
        ),
    )


def questions() -> Iterator[Question]:
    """All questions, in their order."""
    for chapter in chapters():
        yield from chapter.questions


_NTP = ("timesource", "timezone --ntpservers")


def _takes(what: str) -> Callable[[Data], bool]:
    """The release takes a command, or a command and option."""
    return lambda data: knows(what, version_of(data.get("version", "")) or DEFAULT_VERSION)


def _automatic(data: Data) -> bool:
    return not data.get("partition") and value_of(data, "disk.scheme") != "none"


def _encrypts(data: Data) -> bool:
    partitions = data.get("partition")
    listed = partitions if isinstance(partitions, list) else []
    return bool(value_of(data, "disk.encrypt")) or any(each.get("encrypt") for each in listed)


def _firewall(data: Data) -> bool:
    return value_of(data, "firewall.enabled") is not False


def _ask(
    key: str,
    words: str,
    *,
    form: Form | None = None,
    choices: Sequence[str] = (),
    default: object = None,
    asked: Callable[[Data], bool] = lambda data: True,
    record: type = Kickstart,
) -> Question:
    """The question for a key of a record, with what the record says of it."""
    first, _, rest = key.partition(".")
    kind = types_of(cast(Hashable, record))[first]
    if rest:
        inner, _ = record_in(kind)
        assert inner is not None
        return dataclasses.replace(_ask(rest, words, form=form, asked=asked, record=inner), key=key)
    field = next(each for each in dataclasses.fields(record) if each.name == first)
    listed = list(choices) or [each for each in typing.get_args(kind) if typing.get_origin(kind) is typing.Literal]
    if field.default is not MISSING and default is None:
        default = list(field.default) if isinstance(field.default, tuple) else field.default
    form = form or (Form.KEYS if first.endswith("ssh_keys") else None)
    found = form or (Form.CHOICE if listed else _FORMS.get(kind, Form.LIST))
    return Question(key, words, found, field.metadata["sentence"], listed, default, (), asked)


_FORMS = {str: Form.TEXT, int: Form.NUMBER, bool: Form.YES}


_FIELDS: Mapping[str, Callable[[Data], bool]] = {
    "network.address": lambda table: table.get("method") == "static",
    "network.gateway": lambda table: table.get("method") == "static",
    "network.bond_options": lambda table: bool(table.get("bond")),
    "network.bridge": lambda table: not table.get("bond"),
    "partition.disk": lambda table: not table.get("group"),
    "partition.raid": lambda table: not table.get("group") and not table.get("disk"),
}
"""Keys of tables that are asked for only after certain answers in the same table."""


def _table(key: str, words: str, names: Sequence[str]) -> Question:
    """The question for a list of tables."""
    inner, _ = record_in(types_of(cast(Hashable, Kickstart))[key])
    assert inner is not None
    fields = [
        _ask(
            name,
            name.replace("_", " "),
            form=Form.PASSWORD if name == "password" else None,
            asked=_FIELDS.get(f"{key}.{name}", lambda table: True),
            record=inner,
        )
        for name in names
    ]
    return Question(key, words, Form.TABLES, inner.__doc__ or "", fields=fields)

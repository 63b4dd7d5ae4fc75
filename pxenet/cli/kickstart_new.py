"""``pxenet kickstart new``: a kickstart by questions, for those who have none; the same questions are flags, for scripts."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, cast

import typer

from pxenet.answer.kickstart.commands import render_data
from pxenet.answer.kickstart.data import Kickstart, from_mapping
from pxenet.answer.kickstart.lines import InexpressibleError
from pxenet.answer.kickstart.machine import Machine
from pxenet.answer.kickstart.questions import Form, questions, value_of, with_value
from pxenet.cli.output import BAD_CONFIG, FAILED, print_failure, print_json
from pxenet.cli.spelled import SpellingError, read
from pxenet.cli.wizard import Fault, Wizard
from pxenet.config.document import toml
from pxenet.config.draft import kickstart_problems

_SAMPLE = Machine(
    "host", "", mac="52:54:00:00:00:01", address="192.0.2.11", netmask="255.255.255.0", gateway="192.0.2.1"
)
"""Stands for the hosts that the data are for: what a configuration knows of them."""

Flag = str | None


def _flag(words: str) -> typer.models.OptionInfo:
    return cast(typer.models.OptionInfo, typer.Option(help=words, show_default=False))


# A flag for each question, in their order: long, but there is nothing to it.
def new(
    version: Annotated[Flag, _flag("Release: rhel6 to rhel10, or fedora.")] = None,
    language: Annotated[Flag, _flag("Language, e.g. en_US.UTF-8.")] = None,
    languages: Annotated[Flag, _flag("Further languages.")] = None,
    keyboard: Annotated[Flag, _flag("Keyboard layout.")] = None,
    timezone: Annotated[Flag, _flag("Time zone, e.g. Europe/Berlin.")] = None,
    utc: Annotated[Flag, _flag("Whether the hardware clock runs in UTC.")] = None,
    ntp: Annotated[Flag, _flag("Time servers.")] = None,
    root_password: Annotated[Flag, _flag("Root's password: its hash, or @FILE with the password.")] = None,
    root_ssh_keys: Annotated[Flag, _flag("Root's public SSH keys, or a file of them.")] = None,
    user: Annotated[Flag, _flag("Users: name=ops,groups=wheel+adm,ssh_keys=FILE; several with ; between.")] = None,
    disk_use: Annotated[Flag, _flag("Disks to use.")] = None,
    disk_wipe: Annotated[Flag, _flag("What is removed from them: all, linux or none.")] = None,
    disk_label: Annotated[Flag, _flag("Partition table: gpt or msdos.")] = None,
    volume_group: Annotated[Flag, _flag("Volume groups: name=vg0,disks=sda+sdb.")] = None,
    partition: Annotated[Flag, _flag("Partitions: mount=/boot,size=1G;mount=/,size=rest,group=vg0.")] = None,
    disk_scheme: Annotated[Flag, _flag("Layout without partitions: lvm, plain, thinp, btrfs or none.")] = None,
    disk_filesystem: Annotated[Flag, _flag("File system of the layout.")] = None,
    disk_encrypt: Annotated[Flag, _flag("Whether the layout is encrypted.")] = None,
    disk_passphrase: Annotated[Flag, _flag("Passphrase of the encryption, or @FILE.")] = None,
    network: Annotated[Flag, _flag("Connections: method=static,address=10.0.0.11/24,gateway=10.0.0.1.")] = None,
    firewall_enabled: Annotated[Flag, _flag("Whether there is a firewall.")] = None,
    firewall_services: Annotated[Flag, _flag("Services let in.")] = None,
    firewall_ports: Annotated[Flag, _flag("Ports let in, e.g. 8080:tcp.")] = None,
    selinux: Annotated[Flag, _flag("enforcing, permissive or disabled.")] = None,
    packages: Annotated[Flag, _flag("Packages, @groups, @^environments.")] = None,
    repository: Annotated[Flag, _flag("Further repositories: name=extra,url=http://...")] = None,
    services: Annotated[Flag, _flag("Services to enable; -name: to disable.")] = None,
    desktop: Annotated[Flag, _flag("Whether a desktop is started.")] = None,
    firstboot: Annotated[Flag, _flag("Whether the first start asks for settings.")] = None,
    bootloader_append: Annotated[Flag, _flag("Kernel arguments of the installed system.")] = None,
    bootloader_location: Annotated[Flag, _flag("mbr, partition or none.")] = None,
    kdump: Annotated[Flag, _flag("Memory for crash dumps: auto, a number of MB, or off.")] = None,
    mode: Annotated[Flag, _flag("How the installer shows itself: text, graphical or cmdline.")] = None,
    end: Annotated[Flag, _flag("What follows: reboot, poweroff or halt.")] = None,
    pre: Annotated[Flag, _flag("File with a script before the installation.")] = None,
    post: Annotated[Flag, _flag("File with a script in the new system.")] = None,
    source: Annotated[str, typer.Option(help="URL of the install tree, for --ks.", show_default=False)] = "",
    hostname: Annotated[str, typer.Option(help="Name of the machine, for --ks.", show_default=False)] = "",
    to_toml: Annotated[
        Path | None, typer.Option("--toml", metavar="FILE", help="Write [profile.kickstart] there.")
    ] = None,
    to_ks: Annotated[Path | None, typer.Option("--ks", metavar="FILE", help="Write a kickstart there.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the data for programs.")] = False,
) -> None:
    """Make a kickstart by answering questions.

    In a terminal it asks for what no flag says; elsewhere the flags and the defaults
    are all. Prints [profile.kickstart] when no file is named. Lists are written with
    commas. Exit status 0: made; 1: given up; 2: an answer is wrong.

    \b
    Examples:
      pxenet kickstart new --toml kickstart.toml
      pxenet kickstart new --version rhel9 --root-ssh-keys ~/.ssh/id_ed25519.pub --ks ks.cfg
    """
    flags = {name: value for name, value in locals().items() if name in _NAMES and value is not None}
    raise typer.Exit(_New(flags, Machine(hostname, "", source=source), to_toml, to_ks, force, as_json).run())


_NAMES = {question.key.replace(".", "_"): question for question in questions()}
"""Parameter → its question."""


class _New:
    """One run of the command."""

    def __init__(
        self,
        flags: Mapping[str, str],
        machine: Machine,
        to_toml: Path | None,
        to_ks: Path | None,
        force: bool,
        as_json: bool,
    ) -> None:
        self._flags = flags
        self._machine = machine
        self._toml, self._ks = to_toml, to_ks
        self._force = force
        self._json = as_json

    def run(self) -> int:
        """Ask, check, write; the exit status."""
        existing = [path for path in (self._toml, self._ks) if path is not None and path.exists()]
        if existing and not self._force:
            return self._wrong(f"{existing[0]} exists", "name another file, or give --force")
        try:
            data = self._given()
        except SpellingError as error:
            return self._wrong(str(error), "see pxenet kickstart new --help")
        if sys.stdin.isatty():
            try:
                self._machine = self._asked_of(self._machine)
                data = Wizard(_Tty(), self._fault).run(data, {_NAMES[name].key for name in self._flags})
            except (EOFError, KeyboardInterrupt):
                print("\nnothing was written", file=sys.stderr)
                return FAILED
        fault = self._fault(data, False)
        if fault is not None:
            return self._wrong(f"{_flag_of(fault)}: {fault.message}", "")
        return self._write(data)

    def _asked_of(self, machine: Machine) -> Machine:
        """What a kickstart of its own needs, and a configuration has elsewhere. Raises EOFError."""
        if self._ks is None:
            return machine
        name = machine.name or _Tty().ask("Name of the machine []: ").strip()
        return replace(machine, name=name, source=machine.source or _Tty().ask("URL of the install tree []: ").strip())

    def _wrong(self, wrong: str, right: str) -> int:
        print_failure(wrong, right, as_json=self._json)
        return BAD_CONFIG

    def _given(self) -> dict[str, object]:
        """What the flags say. Raises SpellingError."""
        data: dict[str, object] = {"version": _NAMES["version"].default}
        for name, text in self._flags.items():
            question = _NAMES[name]
            if question.form in (Form.PASSWORD, Form.SECRET) and not text.startswith(("@", "$", "!", "*")):
                raise SpellingError(
                    f"{question.flag}: others can see command lines; write @FILE, with the secret in FILE"
                )
            try:
                data = with_value(data, question.key, read(question, text) if text else None)
            except SpellingError as error:
                raise SpellingError(f"{question.flag}: {error}") from None
        return data

    def _fault(self, data: dict[str, object], partial: bool) -> Fault | None:
        """The first fault, by the check of a configuration and the renderer of the release."""
        if partial:
            data = _supplied(data)
        for problem in kickstart_problems(data):
            return Fault(
                problem.key.removeprefix("kickstart."), "; ".join(filter(None, (problem.wrong, problem.right)))
            )
        try:
            render_data(from_mapping(data, Kickstart), self._machine if self._ks is not None else _SAMPLE)
        except InexpressibleError as problem:
            return Fault(problem.key, problem.message)
        return None

    def _write(self, data: dict[str, object]) -> int:
        lines = ["[profile.kickstart]", *(f"{key} = {toml(value)}" for key, value in data.items())]
        if self._machine.source:
            lines.insert(0, f"# [[profile]] source = {toml(self._machine.source)}")
        if self._machine.name:
            lines.insert(0, f"# [[host]] name = {toml(self._machine.name)}")
        texts = {self._toml: "\n".join(lines) + "\n"}
        if self._ks is not None:
            texts[self._ks] = render_data(from_mapping(data, Kickstart), self._machine).text
        if self._ks is not None and self._toml is None:
            del texts[None]
        for path, text in texts.items():
            if path is None and not self._json:
                print(text, end="")
            elif path is not None:
                try:
                    _save(path, text)
                except OSError as error:
                    print_failure(f"{path} cannot be written: {error.strerror}", as_json=self._json)
                    return FAILED
                print(f"{path} written", file=sys.stderr)
        if self._json:
            print_json({"kickstart": data})
        return 0


def _save(path: Path, text: str) -> None:
    """For nobody else: there may be secrets in it."""
    path.touch(mode=0o600)
    path.write_text(text, "utf-8")


def _flag_of(fault: Fault) -> str:
    """The flag that has the fault, and which key of its value."""
    for question in questions():
        if fault.concerns(question):
            return question.flag if fault.key == question.key else f"{question.flag}: {fault.key}"
    return fault.key


def _supplied(data: dict[str, object]) -> dict[str, object]:
    """The data with what later questions will bring, so that only what was said is found fault with."""
    for key, needed, value in (
        ("root_password", True, "!"),
        ("disk.passphrase", True, "later"),
        ("partition", "volume_group" in data, _each_group(data)),
    ):
        if needed and not value_of(data, key):
            data = with_value(data, key, value)
    return data


def _each_group(data: dict[str, object]) -> list[dict[str, object]]:
    groups = data.get("volume_group")
    listed = groups if isinstance(groups, list) else []
    return [
        {"mount": f"/{number}", "size": "1G", "group": group.get("name")}
        for number, group in enumerate(listed)
        if isinstance(group, dict)
    ]


class _Tty:
    """The terminal; prompts go to standard error, for standard output may be a file."""

    def ask(self, prompt: str) -> str:
        print(prompt, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.rstrip("\n")

    def secret(self, prompt: str) -> str:
        return getpass.getpass(prompt, sys.stderr)

    def say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

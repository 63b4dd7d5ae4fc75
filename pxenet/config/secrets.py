"""Values that stand elsewhere than in the configuration: in a file that nobody else may read, or told by a command.

Wherever the configuration has a text, ``"secret:NAME"`` stands for the secret of that name. So the configuration itself can lie in
version control, and be read by whoever keeps it.
"""

from __future__ import annotations

import os
import pwd
import re
import stat
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

from pxenet.config.paths import absolute
from pxenet.config.problems import Key

Report = Callable[[Key, str, str], None]

_REFERENCE = re.compile(r"secret:([\w.-]+)")
_FILE, _COMMAND = ("server", "secrets"), ("server", "secrets_command")
_PATIENCE_S = 30.0
_EXAMPLE = 'write NAME = "value", a line each'


def read_secrets(server: object, base: Path | None, report: Report) -> dict[str, str]:
    """The secrets that ``[server]`` names, by their names; whatever is wrong with them is reported."""
    if not isinstance(server, Mapping) or base is None:
        return {}
    file, command = server.get("secrets"), server.get("secrets_command")
    found: dict[str, str] = {}
    if isinstance(file, str):
        found = _of_file(absolute(file, base), server, base, report)
    if isinstance(command, list) and command and all(isinstance(word, str) for word in command):
        told = _of_command(command, base, report)
        for name in sorted(found.keys() & told.keys()):
            report(_COMMAND, f"it tells {name}, which is in the file too", "keep one of the two")
        found |= told
    return found


def put_in(value: object, known: Mapping[str, str], report: Report, key: Key = ()) -> object:
    """The value with every reference in it replaced by the secret. One that is not known is reported, and stays."""
    if isinstance(value, str) and (found := _REFERENCE.fullmatch(value)):
        if found[1] not in known:
            names = f"there are: {', '.join(sorted(known))}" if known else "server.secrets names the file that has them"
            report(key, f"there is no secret {found[1]}", names)
        return known.get(found[1], value)
    if isinstance(value, dict):
        return {name: put_in(each, known, report, (*key, str(name))) for name, each in value.items()}
    if isinstance(value, list):
        return [put_in(each, known, report, (*key, number)) for number, each in enumerate(value)]
    return value


def _of_file(path: Path, server: Mapping[str, object], base: Path, report: Report) -> dict[str, str]:
    root = server.get("root")
    if isinstance(root, str) and path.resolve().is_relative_to(absolute(root, base).resolve()):
        report(_FILE, f"{path} lies inside server.root, whose files are served", "put it elsewhere")
        return {}
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            data = file.read()
    except FileNotFoundError:
        report(_FILE, f"{path} does not exist", _EXAMPLE)
        return {}
    except OSError as error:
        report(_FILE, f"{path} cannot be read: {error.strerror}", "the user that the server runs as must be able to")
        return {}
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        report(_FILE, f"{path} is open to others (mode {stat.S_IMODE(found.st_mode):04o})", f"chmod 600 {path}")
        return {}
    if found.st_uid not in _owners(server.get("user")):
        report(
            _FILE,
            f"{path} belongs to user {found.st_uid}",
            "it must belong to the user that the server runs as, or to root",
        )
        return {}
    return _parsed(data, str(path), _FILE, report)


def _owners(user: object) -> set[int]:
    owners = {0, os.geteuid()}
    if isinstance(user, str):
        try:
            owners.add(pwd.getpwnam(user).pw_uid)
        except KeyError:
            pass  # that is told elsewhere
    return owners


def _of_command(command: list[str], base: Path, report: Report) -> dict[str, str]:
    try:
        done = subprocess.run(
            command, cwd=base, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_PATIENCE_S
        )
    except FileNotFoundError:
        report(_COMMAND, f"{command[0]} does not exist", "write the program and its arguments, a text each")
        return {}
    except OSError as error:
        report(
            _COMMAND,
            f"{command[0]} cannot be run: {error.strerror}",
            "write the program and its arguments, a text each",
        )
        return {}
    except subprocess.TimeoutExpired:
        report(
            _COMMAND,
            f"{command[0]} did not end within {_PATIENCE_S:g} s",
            "it must print the secrets and end, and ask nobody",
        )
        return {}
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        report(_COMMAND, f"{command[0]} ended with status {done.returncode}: {' '.join(said)[:200]}", "")
        return {}
    return _parsed(done.stdout, f"what {command[0]} prints", _COMMAND, report)


def _parsed(data: bytes, what: str, key: Key, report: Report) -> dict[str, str]:
    """Lines are told by their number alone: they hold secrets."""
    try:
        read = tomllib.loads(data.decode())
    except UnicodeDecodeError:
        report(key, f"{what} is not UTF-8 text", _EXAMPLE)
        return {}
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"at line (\d+)", str(error))
        report(key, f"{what} is not valid TOML{f', in line {at[1]}' if at else ''}", _EXAMPLE)
        return {}
    for name, value in read.items():
        if not isinstance(value, str):
            report(key, f"{name} in {what} is no text", _EXAMPLE)
    return {name: value for name, value in read.items() if isinstance(value, str)}

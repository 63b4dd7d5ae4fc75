"""Answers to the wizard's questions as people spell them, in a terminal or behind a flag, and the values that they mean.

Reads the files that an answer names. What a value means for the installation is checked elsewhere.
"""

from __future__ import annotations

import re
import secrets
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

from pxenet.answer.crypt import SALT_CHARACTERS, SALT_LENGTH, sha512_crypt
from pxenet.answer.kickstart.questions import Form, Question


class SpellingError(ValueError):
    """An answer that cannot be understood; says what would be."""


def read(question: Question, text: str) -> object:
    """The value of an answer that is not empty. Raises SpellingError."""
    return _READERS[question.form](question, text.strip())


def shown(question: Question, value: object) -> str:
    """A value as it would be typed, secrets hidden; empty for nothing."""
    if question.form in (Form.SECRET, Form.PASSWORD):
        return "(given)" if value else ""
    if question.form is Form.YES:
        return "yes" if value else "no"
    if question.form is Form.TABLES:
        return "; ".join(_table_shown(question, each) for each in value) if isinstance(value, list) else ""
    if question.form is Form.FILE and value:
        return f"({len(str(value).splitlines())} lines)"
    return ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)


def hashed(password: str) -> str:
    """What stands in an answer file for a password; a hash stays as it is."""
    if password.startswith(("$", "!", "*")):
        return password
    salt = "".join(secrets.choice(SALT_CHARACTERS) for _ in range(SALT_LENGTH))
    return sha512_crypt(password, salt)


def _table_shown(question: Question, table: Mapping[str, object]) -> str:
    by_key = {field.key: field for field in question.fields}
    return ",".join(
        f"{key}={shown(by_key[key], value).replace(', ', '+')}" for key, value in table.items() if key in by_key
    )


def _number(question: Question, text: str) -> object:
    if not text.isdecimal():
        raise SpellingError(f'"{text}" is not a whole number')
    return int(text)


def _choice(question: Question, text: str) -> object:
    found = [choice for choice in question.choices if choice and choice.startswith(text.lower())]
    exact = [choice for choice in question.choices if choice == text.lower()]
    if len(exact or found) != 1:
        raise SpellingError(f'"{text}" is none of {", ".join(filter(None, question.choices))}')
    return (exact or found)[0]


def _yes(question: Question, text: str) -> object:
    if text.lower() in ("y", "yes", "true"):
        return True
    if text.lower() in ("n", "no", "false"):
        return False
    raise SpellingError(f'"{text}" is neither yes nor no')


def _list(question: Question, text: str) -> object:
    return [word for word in re.split(r"[,\s]+", text) if word]


def _keys(question: Question, text: str) -> object:
    found: list[object] = []
    for word in (each.strip() for each in text.split(",")):
        lines = [word] if _KEY.match(word) else _file(question, word).splitlines()
        keys = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        if not keys or not all(_KEY.match(key) for key in keys):
            raise SpellingError(f"{word} contains no public SSH keys")
        found += keys
    return found


_KEY = re.compile(r"(ssh-|ecdsa-|sk-)\S+ +[A-Za-z0-9+/=]+")


def _file(question: Question, text: str) -> str:
    path = Path(text).expanduser()
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise SpellingError(f"{path} is not UTF-8 text") from None
    except OSError as error:
        raise SpellingError(f"{path} cannot be read: {error.strerror}") from None


def _password(question: Question, text: str) -> object:
    """The first line of ``@FILE``, for command lines, which others can see; else the password itself."""
    return hashed(_file(question, text[1:]).partition("\n")[0] if text.startswith("@") else text)


def _tables(question: Question, text: str) -> object:
    """``name=ops,groups=wheel+adm``, several of them with ``;`` between; or what TOML writes in braces."""
    return [_table(question, each.strip()) for each in _SEVERAL.split(text) if each.strip()]


_SEVERAL = re.compile(r";(?![^{]*\})")


def _table(question: Question, text: str) -> dict[str, object]:
    if text.startswith("{"):
        try:
            table = tomllib.loads(f"x = {text}")["x"]
        except tomllib.TOMLDecodeError as error:
            raise SpellingError(f"{text} is no TOML: {error}") from None
        assert isinstance(table, dict)
        return table
    by_key = {field.key: field for field in question.fields}
    made: dict[str, object] = {}
    for pair in re.split(r",(?=\w+=)", text):
        key, equals, value = (part.strip() for part in pair.partition("="))
        field = by_key.get(key)
        if field is None or not equals:
            raise SpellingError(f'"{pair}" is not KEY=VALUE; keys are {", ".join(by_key)}')
        made[key] = read(field, value.replace("+", ",") if field.form is Form.LIST else value)
    return made


_READERS: Mapping[Form, Callable[[Question, str], object]] = {
    Form.TEXT: lambda question, text: text,
    Form.NUMBER: _number,
    Form.CHOICE: _choice,
    Form.YES: _yes,
    Form.LIST: _list,
    Form.KEYS: _keys,
    Form.SECRET: lambda question, text: _file(question, text[1:]).partition("\n")[0] if text.startswith("@") else text,
    Form.PASSWORD: _password,
    Form.FILE: _file,
    Form.TABLES: _tables,
}

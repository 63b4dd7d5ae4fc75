"""The conversation of ``pxenet kickstart new``: question after question, each answer checked at once, all of it shown at the end.

Knows how people answer, change their mind and ask for help. Must not know a terminal: that is given. What is right is decided by
``check``, which is the check of a configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Protocol

from pxenet.answer.kickstart.questions import Form, Question, chapters, questions, value_of, with_value
from pxenet.cli.spelled import SpellingError, read, shown

BACK, HELP, NOTHING = "<", "?", "-"
"""What may be typed instead of an answer."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with the data."""

    key: str
    """Dotted, from below ``kickstart``."""
    message: str

    def concerns(self, question: Question) -> bool:
        """It is this question's answer that is wrong."""
        return self.key == question.key or self.key.startswith((f"{question.key}[", f"{question.key}."))


class Terminal(Protocol):
    """Where the conversation takes place."""

    def ask(self, prompt: str) -> str:
        """A line. Raises EOFError when there is nobody any more."""
        ...

    def secret(self, prompt: str) -> str:
        """A line that is not shown."""
        ...

    def say(self, line: str) -> None:
        """Show a line."""
        ...


class _BackError(Exception):
    """The question before is to be asked again."""


class Wizard:
    """``check`` gives the first fault of the data, ``partial``: of what is known so far."""

    def __init__(self, terminal: Terminal, check: Callable[[dict[str, object], bool], Fault | None]) -> None:
        self._terminal = terminal
        self._check = check

    def run(self, data: dict[str, object], given: Collection[str] = ()) -> dict[str, object]:
        """The data, complete and right. Keys in ``given`` are not asked for, as long as they are right. Raises EOFError."""
        say = self._terminal.say
        say(f"Enter takes what stands in brackets. {BACK} goes back, {HELP} explains, {NOTHING} means none.")
        order = list(questions())
        titles = {chapter.questions[0].key: chapter.title for chapter in chapters()}
        at, back_to = 0, [0]
        while at < len(order):
            question = order[at]
            if question.key in given or not question.asked(data):
                at += 1
                continue
            if question.key in titles:
                say(f"\n{titles[question.key]}")
            try:
                data = self._answered(question, data)
                back_to.append(at)
                at += 1
            except _BackError:
                at = back_to.pop() if len(back_to) > 1 else 0
        return self._reviewed(data)

    def _reviewed(self, data: dict[str, object]) -> dict[str, object]:
        """All of it, until it is right and nothing is to be changed."""
        while True:
            asked = [question for question in questions() if question.asked(data)]
            self._terminal.say("\nThis is what was said:")
            for number, question in enumerate(asked, 1):
                value = value_of(data, question.key)
                self._terminal.say(
                    f"{number:3} {question.words}: {shown(question, question.default if value is None else value) or 'none'}"
                )
            fault = self._check(data, False)
            if fault is not None:
                self._terminal.say(f"! {fault.key}: {fault.message}")
            prompt = "Number of what to change" + ("" if fault else ", or Enter to write it")
            word = self._terminal.ask(f"{prompt}: ").strip()
            if not word and fault is None:
                return data
            if word.isdecimal() and 1 <= int(word) <= len(asked):
                try:
                    data = self._answered(asked[int(word) - 1], data)
                except _BackError:
                    pass
            else:
                self._terminal.say(f"! write a number from 1 to {len(asked)}")

    def _answered(self, question: Question, data: dict[str, object]) -> dict[str, object]:
        """The data with an answer that is right by itself."""
        while True:
            before = value_of(data, question.key)
            value = self._rows(question, before) if question.form is Form.TABLES else self._value(question, before)
            changed = with_value(data, question.key, None if value in ("", [], question.default) else value)
            fault = self._check(changed, True)
            if fault is None or not fault.concerns(question):
                return changed
            self._terminal.say(f"! {fault.message}")

    def _value(self, question: Question, before: object) -> object:
        """One answer, understood. Raises _BackError."""
        present = question.default if before is None else before
        while True:
            word = self._typed(question, shown(question, present))
            if not word.strip():
                return present
            if word.strip() == NOTHING:
                return [] if question.form in (Form.LIST, Form.KEYS) else ""
            try:
                value = read(question, word)
            except SpellingError as error:
                self._terminal.say(f"! {error}")
                continue
            hidden = question.form in (Form.PASSWORD, Form.SECRET)
            if hidden and not word.startswith(("$", "!", "*")) and self._terminal.secret("  again: ") != word:
                self._terminal.say("! these were two different ones")
                continue
            return value

    def _typed(self, question: Question, present: str) -> str:
        """What was typed, after explanations. Raises _BackError."""
        choices = f" ({'/'.join(filter(None, question.choices))})" if question.choices else ""
        prompt = f"{question.words}{choices} [{present}]: "
        while True:
            hidden = question.form in (Form.PASSWORD, Form.SECRET)
            word = self._terminal.secret(prompt) if hidden else self._terminal.ask(prompt)
            if word.strip() == HELP:
                self._terminal.say(f"  {question.help}")
            elif word.strip() == BACK:
                raise _BackError
            else:
                return word

    def _rows(self, question: Question, before: object) -> object:
        """Tables, one after the other, for as long as somebody wants one more. Raises _BackError."""
        self._terminal.say(f"{question.words}: {question.help}")
        if before and self._yes(question, f"  {shown(question, before)}: keep", True):
            return before
        tables: list[dict[str, object]] = []
        while self._yes(question, f"  add {'another' if tables else 'one'}", False):
            table: dict[str, object] = {}
            for field in question.fields:
                if field.asked(table):
                    value = self._value(replace(field, words=f"    {field.words}"), None)
                    while field.default is None and not value:
                        self._terminal.say(f"! {field.words} is needed")
                        value = self._value(replace(field, words=f"    {field.words}"), None)
                    if value not in (None, "", [], field.default):
                        table[field.key] = value
            tables.append(table)
        return tables

    def _yes(self, question: Question, words: str, default: bool) -> bool:
        return bool(self._value(Question(question.key, words, Form.YES, question.help, ("yes", "no"), default), None))

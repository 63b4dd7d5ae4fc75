"""GRUB's shell language, as far as boot menus use it: words and quotes into commands, ``if``, ``for``, ``while``, functions, entries.

Source: GRUB manual §6 (shell-like scripting), ``script/lexer``. Knows the language, not what a command does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Piece = tuple[str, str]
"""(text, quote): quote is ``'`` (literal), ``"`` (variables, no splitting) or empty."""
Word = tuple[Piece, ...]


@dataclass(slots=True)
class Command:
    """A simple command."""

    words: list[Word]


@dataclass(slots=True)
class If:
    """Conditions with what follows each; the last condition may be empty (``else``)."""

    arms: list[tuple[list[Node], list[Node]]]


@dataclass(slots=True)
class Loop:
    """``for`` (with a variable) or ``while`` and ``until`` (with a condition)."""

    kind: str
    variable: str = ""
    words: list[Word] = field(default_factory=list)
    condition: list[Node] = field(default_factory=list)
    body: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Block:
    """``menuentry``, ``submenu`` or ``function`` with its body."""

    kind: str
    words: list[Word]
    body: list[Node]


Node = Command | If | Loop | Block

END = "\n"


class GrubSyntaxError(ValueError):
    """The text is no script."""


def parse(text: str) -> list[Node]:
    """The commands of a script. GrubSyntaxError: it cannot be read."""
    parser = _Parser(list(_tokens(text)))
    nodes = parser.until(())
    if parser.at < len(parser.tokens):
        raise GrubSyntaxError(f"unexpected {_bare(parser.tokens[parser.at])!r}")
    return nodes


def _bare(token: str | Word) -> str:
    """The text of a token that was written without quotes and variables; what ends a command is a newline."""
    if isinstance(token, str):
        return token
    return token[0][0] if len(token) == 1 and not token[0][1] else ""


def _tokens(text: str) -> Iterator[str | Word]:
    """Words, and a newline for each end of a command."""
    at, size = 0, len(text)
    while at < size:
        letter = text[at]
        if letter in " \t\r":
            at += 1
        elif letter in "\n;":
            yield END
            at += 1
        elif letter == "#":
            at = text.find("\n", at) if "\n" in text[at:] else size
        elif letter == "\\" and text[at + 1 : at + 2] == "\n":
            at += 2
        else:
            word, at = _word(text, at)
            yield word


def _word(text: str, at: int) -> tuple[Word, int]:
    pieces: list[Piece] = []
    plain = ""
    while at < len(text) and text[at] not in " \t\r\n;":
        letter = text[at]
        if letter in "{}" and not plain and not pieces and text[at + 1 : at + 2] in ("", " ", "\t", "\r", "\n", ";"):
            return ((letter, ""),), at + 1
        if letter in "'\"":
            if plain:
                pieces.append((plain, ""))
                plain = ""
            inner, at = _quoted(text, at + 1, letter)
            pieces.append((inner, letter))
            continue
        if letter == "\\" and at + 1 < len(text):
            if text[at + 1] != "\n":
                if plain:
                    pieces.append((plain, ""))
                    plain = ""
                pieces.append((text[at + 1], "'"))
            at += 2
            continue
        if text.startswith("${", at):
            end = text.find("}", at)
            end = len(text) - 1 if end < 0 else end
            plain += text[at : end + 1]
            at = end + 1
            continue
        plain += letter
        at += 1
    if plain:
        pieces.append((plain, ""))
    return tuple(pieces), at


def _quoted(text: str, at: int, quote: str) -> tuple[str, int]:
    found = ""
    while at < len(text):
        if text[at] == quote:
            return found, at + 1
        if quote == '"' and text[at] == "\\" and text[at + 1 : at + 2] in ('"', "\\", "$"):
            at += 1
        found += text[at]
        at += 1
    raise GrubSyntaxError(f"the quote {quote} is not closed")


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: list[str | Word]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0

    def until(self, ends: tuple[str, ...]) -> list[Node]:
        """Commands up to one of these words, which is left to be taken."""
        nodes: list[Node] = []
        while self.at < len(self.tokens):
            word = _bare(self.tokens[self.at])
            if word == END:
                self.at += 1
            elif word in ends:
                return nodes
            elif word == "}":
                raise GrubSyntaxError("} without a {")
            else:
                nodes.append(self._node(word))
        if ends:
            raise GrubSyntaxError(f"{' or '.join(ends)} is missing")
        return nodes

    def _node(self, word: str) -> Node:
        if word == "if":
            return self._if()
        if word in ("for", "while", "until"):
            return self._loop(word)
        if word in ("menuentry", "submenu", "function"):
            return self._block(word)
        return Command(self._words())

    def _words(self, stop: str = "") -> list[Word]:
        words: list[Word] = []
        ends = (END, stop or END, "}" if self.depth else END)  # ``{ reboot }`` needs no semicolon
        while self.at < len(self.tokens) and _bare(self.tokens[self.at]) not in ends:
            token = self.tokens[self.at]
            if isinstance(token, tuple):
                words.append(token)
            self.at += 1
        return words

    def _take(self, word: str) -> None:
        while self.at < len(self.tokens) and _bare(self.tokens[self.at]) == END:
            self.at += 1
        if self.at >= len(self.tokens) or _bare(self.tokens[self.at]) != word:
            raise GrubSyntaxError(f"{word} is missing")
        self.at += 1

    def _if(self) -> If:
        arms: list[tuple[list[Node], list[Node]]] = []
        self._take("if")
        while True:
            condition = self.until(("then",))
            self._take("then")
            arms.append((condition, self.until(("elif", "else", "fi"))))
            word = _bare(self.tokens[self.at])
            self.at += 1
            if word == "elif":
                continue
            if word == "else":
                arms.append(([], self.until(("fi",))))
                self._take("fi")
            return If(arms)

    def _loop(self, kind: str) -> Loop:
        self.at += 1
        loop = Loop(kind)
        if kind == "for":
            words = self._words("do")
            loop.variable = "".join(text for text, _ in words[0]) if words else ""
            loop.words = words[2:]
        else:
            loop.condition = self.until(("do",))
        self._take("do")
        loop.body = self.until(("done",))
        self._take("done")
        return loop

    def _block(self, kind: str) -> Block:
        self.at += 1
        words = self._words("{")
        self._take("{")
        self.depth += 1
        body = self.until(("}",))
        self.depth -= 1
        self._take("}")
        return Block(kind, words, body)


def expand(word: Word, get: Callable[[str], str]) -> list[str]:
    """The words that a word becomes: variables replaced, unquoted ones split at blanks."""
    found: list[str] = []
    current: str | None = None
    for text, quote in word:
        value = text if quote == "'" else _variables(text, get)
        if quote or " " not in value:
            if value or quote:
                current = (current or "") + value
            continue
        first, *rest = value.split(" ")
        current = (current or "") + first
        for part in rest:
            if current:
                found.append(current)
            current = part
    if current is not None:
        found.append(current)
    return found


def _variables(text: str, get: Callable[[str], str]) -> str:
    found, at = "", 0
    while at < len(text):
        if text[at] != "$":
            found += text[at]
            at += 1
            continue
        if text[at + 1 : at + 2] == "{":
            end = text.find("}", at)
            name, at = text[at + 2 : end], end + 1
        else:
            end = at + 1
            while end < len(text) and (text[end].isalnum() or text[end] in "_?"):
                end += 1
            name, at = text[at + 1 : end], end
        found += get(name) if name else "$"
    return found

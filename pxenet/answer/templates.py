"""Templates: answer files and kernel arguments, rendered by Jinja2 in its sandbox.

Knows how a template is found, what it may include, and how its faults are told: file, line, what is wrong. Must not know
who may read the result. Undefined names are errors, never empty text: an empty root password is found out too late.
"""

from __future__ import annotations

import difflib
import functools
import os
import stat
import sys
import traceback
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn, cast

import jinja2
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pxenet.model import DISCOVERY

MAX_OUTPUT_BYTES = 1 << 20
"""An answer file is some kilobytes; more is a loop that ran away."""

MAX_RANGE = 10_000
"""Longest ``range()`` in a template; the sandbox' own limit of 100 000 can be nested."""

BUILT_IN = ("kickstart", DISCOVERY)
"""Names that a profile's ``answer`` may give instead of a file."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in a template."""

    file: str
    """Path of the template; "args" or the like for texts that are no file."""
    line: int
    """Counted from 1; 0 when not known."""
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


class TemplateProblem(ValueError):  # noqa: N818 - told to people together with the configuration's Problems
    """A template that cannot be rendered. ``fault`` says where and why."""

    def __init__(self, file: str, line: int, message: str) -> None:
        self.fault = Fault(file, line, message)
        super().__init__(str(self.fault))

    @property
    def file(self) -> str:
        """Path of the template."""
        return self.fault.file

    @property
    def line(self) -> int:
        """Line in that file, from 1; 0 when not known."""
        return self.fault.line

    @property
    def message(self) -> str:
        """What is wrong, in words."""
        return self.fault.message


class ExceededError(TemplateProblem):
    """A template that took more time or memory than it may have."""


class TooLongError(BaseException):
    """A template takes more time than it may have: raised in the midst of it, by whoever limits it. ``line`` as in :class:`Fault`.

    No Exception: Jinja2 would want the line of the place where it was raised, which may have none.
    """

    def __init__(self, file: str = "", line: int = 0) -> None:
        super().__init__("takes too long: does it come to an end?")
        self.file = file
        self.line = line


MEMORY = "needs too much memory"
"""What is said of a template where memory is limited."""


def template_line(frame: FrameType | None) -> tuple[str, int] | None:
    """(file, line) of the innermost template that runs in a frame or around it; None when there is none."""
    while frame is not None:
        template = frame.f_globals.get("__jinja_template__")
        if isinstance(template, jinja2.Template):
            # Some instructions (jumps back to a loop's head) have no line: that of the one before them is taken.
            lines = [line for start, _, line in frame.f_code.co_lines() if line and start <= frame.f_lasti]
            return template.filename or "", template.get_corresponding_lineno(lines[-1]) if lines else 0
        frame = frame.f_back
    return None


def render_file(path: str, names: Mapping[str, object]) -> str:
    """Render an answer file: a path, or one of :data:`BUILT_IN`. Raises :class:`TemplateProblem`.

    An edited template counts from the next boot on. Includes come from its own directory.
    """
    if path in BUILT_IN:
        directory = Path(str(resources.files(__package__)))
        return _rendered(directory, f"{path}.j2", names)
    file = Path(path)
    return _rendered(file.parent, file.name, names)


def render_text(text: str, names: Mapping[str, object], origin: str) -> str:
    """Render a text that is no file, like kernel arguments; ``origin`` names it in problems (e.g. ``profile.alma9.args``).

    It can include nothing. Raises :class:`TemplateProblem`.
    """
    if "{" not in text:  # plain arguments are the rule; Jinja2 is imported but needs no start-up
        return text
    return _guarded(lambda: _render(_compiled(text), names), origin, {"<template>": origin})


@functools.lru_cache(maxsize=256)
def _compiled(text: str) -> jinja2.Template:
    """Compiling takes far longer than rendering, and hosts of one profile share their arguments."""
    return _environment(None).from_string(text)


ENDINGS = ("", ".j2", ".jinja2", ".jinja")
"""What may follow the name of a file whose template it is."""


def verbatim(path: str) -> str:
    """An answer file as it is, line ends included: nothing in it is a template. Raises :class:`TemplateProblem`."""
    try:
        return _within_limits(_read(Path(path)), path)
    except FileNotFoundError:
        raise TemplateProblem(path, 0, "does not exist") from None


def output_name(path: str) -> str:
    """What the rendered file is called in its URL: the template's name without ``.j2``."""
    if path in BUILT_IN:
        return "discovery.sh" if path == DISCOVERY else "ks.cfg"
    name = os.path.basename(path)
    for ending in ENDINGS:
        name = name.removesuffix(ending)
    return name or "answer"


class _Directory(jinja2.BaseLoader):
    """Templates of one directory: no sub-directory above it, no link out of it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        path = self._directory / template
        real_root = self._directory.resolve()
        # The template itself may be a link (configuration managers do that); what it includes must be in its directory.
        if not path.parent.resolve().is_relative_to(real_root) or ".." in Path(template).parts:
            raise SecurityError(
                f"{template} lies outside {self._directory}; includes come from the template's own directory"
            )
        before = _stamp(path)
        try:
            text = _read(path)
        except FileNotFoundError:
            raise jinja2.TemplateNotFound(template) from None
        return text, str(path), lambda: _stamp(path) == before


def _read(path: Path) -> str:
    try:
        # What was a file when the configuration was read may be a pipe now, and nobody waits for that.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise TemplateProblem(str(path), 0, "is not a file")
            data = file.read(MAX_OUTPUT_BYTES + 1)
        if len(data) > MAX_OUTPUT_BYTES:
            raise TemplateProblem(str(path), 0, f"has more than {MAX_OUTPUT_BYTES} bytes, which are the limit")
        return data.decode()
    except UnicodeDecodeError as error:
        raise TemplateProblem(str(path), 0, f"is not UTF-8 text (byte {error.start})") from None
    except FileNotFoundError:
        raise  # of an include, it is the place that is told
    except OSError as error:
        raise TemplateProblem(str(path), 0, f"cannot be read: {error.strerror}") from None


class _ShellLengths(Extension):
    """``${#`` is the shell's length of a variable, and no comment of the template: answer files are full of shell.

    It is hidden from the lexer, and put back into what the lexer found to be text.
    """

    _SEEN, _HIDDEN = "${#", "$\ufdd0"  # a code point that no text has

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return source.replace(self._SEEN, self._HIDDEN)

    def filter_stream(self, stream: TokenStream) -> Iterable[Token]:
        for token in stream:
            if isinstance(token.value, str) and self._HIDDEN in token.value:  # numbers are no texts
                token = Token(token.lineno, token.type, token.value.replace(self._HIDDEN, self._SEEN))
            yield token


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox: no attributes with underscores, nothing that changes what it is given."""

    # A template must not be able to stop the server by asking for a number with a billion digits.
    intercepted_binops = frozenset({"**", "*", "%"})

    def handle_exception(self, source: str | None = None) -> NoReturn:
        # Rewriting a traceback takes memory, and raises another error without the template's frames where there is none.
        if isinstance(sys.exc_info()[1], MemoryError):
            raise
        super().handle_exception(source)

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: object, right: object) -> object:
        if operator == "**":
            raise SecurityError("powers are not available in templates")
        if operator == "*" and any(isinstance(side, str | list | tuple) for side in (left, right)):
            raise SecurityError("texts and lists cannot be multiplied in templates")
        if operator == "%" and isinstance(left, str):
            raise SecurityError("formatting with % is not available in templates; use ~ to join texts")
        return super().call_binop(context, operator, left, right)


@functools.lru_cache(maxsize=64)
def _environment(directory: Path | None) -> _Sandbox:
    """One per directory: it keeps compiled templates for as long as their files stay as they are."""
    environment = _Sandbox(
        loader=_Directory(directory) if directory is not None else jinja2.DictLoader({}),
        undefined=_Undefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # answer files are no HTML
        extensions=(_ShellLengths,),
    )
    environment.globals = {"range": _short_range}
    return environment


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written or replaced; None when it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _short_range(*bounds: int) -> range:
    found = range(*bounds)
    if len(found) > MAX_RANGE:
        raise SecurityError(f"a range of {len(found)} steps is longer than {MAX_RANGE}")
    return found


def _rendered(directory: Path, name: str, names: Mapping[str, object]) -> str:
    environment = _environment(directory)
    return _guarded(lambda: _render(environment.get_template(name), names), str(directory / name), {})


def _render(template: jinja2.Template, names: Mapping[str, object]) -> str:
    """As ``template.render``, but no more than may leave here is kept."""
    parts: list[str] = []
    size = 0
    stream = cast("Generator[str]", template.generate(names))
    for part in stream:
        parts.append(part)
        size += len(part)
        if size > MAX_OUTPUT_BYTES:
            stream.throw(_TooLargeError())  # raised where the template is, so that its line is known
    return "".join(parts)


def _place_without_memory(error: MemoryError, origin: str, spelled: Mapping[str, str]) -> tuple[str, int]:
    """As ``_place``, by a traceback that was not rewritten. What its frames hold, which is what the template has made, is let go of
    first.
    """
    traceback.clear_frames(error.__traceback__)
    file, line = origin, 0
    for frame, number in traceback.walk_tb(error.__traceback__):
        template = frame.f_globals.get("__jinja_template__")
        if isinstance(template, jinja2.Template):
            name = template.filename or "<template>"
            file, line = spelled.get(name, name), template.get_corresponding_lineno(number)
    return file, line


class _TooLargeError(Exception):
    """More output than an answer file has."""


class _Undefined(jinja2.StrictUndefined):
    """Says also what was probably meant: most names that nobody knows are misspelled."""

    @property
    def _undefined_message(self) -> str:
        message = super()._undefined_message
        known = self._undefined_obj if isinstance(self._undefined_obj, Mapping) else {}
        close = difflib.get_close_matches(str(self._undefined_name), map(str, known), n=1)
        return f"{message}; did you mean {close[0]}?" if close else message


def _guarded(work: Callable[[], str], origin: str, spelled: Mapping[str, str]) -> str:
    """Run, and tell every fault as a TemplateProblem: what a template can do wrong must not look like a fault of the server."""
    try:
        text = work()
    except TemplateProblem:
        raise
    except jinja2.TemplateSyntaxError as error:
        file = error.filename or spelled.get("<template>") or origin
        raise TemplateProblem(file, error.lineno, f"syntax: {error.message}{_SHELL}") from None
    except jinja2.TemplatesNotFound as error:
        file, line = _place(error.__traceback__, origin, spelled)
        raise TemplateProblem(file, line, f"includes {error.message}, which does not exist beside it") from None
    except jinja2.TemplateNotFound as error:
        file, line = _place(error.__traceback__, origin, spelled)
        wanted = error.name or "?"
        if not line and os.path.basename(origin) == wanted:
            raise TemplateProblem(origin, 0, "does not exist") from None
        raise TemplateProblem(file, line, f"includes {wanted}, which does not exist beside it") from None
    except jinja2.UndefinedError as error:
        file, line = _place(error.__traceback__, origin, spelled)
        raise TemplateProblem(file, line, f"undefined: {error.message}") from None
    except SecurityError as error:
        file, line = _place(error.__traceback__, origin, spelled)
        raise TemplateProblem(file, line, f"not allowed: {error}") from None
    except RecursionError as error:
        raise TemplateProblem(*_place(error.__traceback__, origin, spelled), "includes itself without end") from None
    except TooLongError as error:
        file = spelled.get(error.file, error.file) or origin
        raise ExceededError(file, error.line, str(error)) from None
    except _TooLargeError as error:
        file, line = _place(error.__traceback__, origin, spelled)
        raise TemplateProblem(
            file, line, f"renders to more than {MAX_OUTPUT_BYTES} bytes, which are the limit"
        ) from None
    except MemoryError as error:
        raise ExceededError(*_place_without_memory(error, origin, spelled), MEMORY) from None
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, jinja2.TemplateError) as error:
        file, line = _place(error.__traceback__, origin, spelled)
        raise TemplateProblem(file, line, f"{type(error).__name__}: {error}") from None
    return _within_limits(text, origin)


def _within_limits(text: str, origin: str) -> str:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise TemplateProblem(origin, 0, f"renders to {text[error.start]!r}, which no file can contain") from None
    if size > MAX_OUTPUT_BYTES:
        raise TemplateProblem(origin, 0, f"has more than {MAX_OUTPUT_BYTES} bytes, which are the limit")
    return text


_SHELL = " (shell text with {{, {% or {# goes between {% raw %} and {% endraw %}; a file without a template needs verbatim = true)"
"""What a syntax error in an answer file most often comes from."""


def _place(trace: TracebackType | None, origin: str, spelled: Mapping[str, str]) -> tuple[str, int]:
    """(file, line) of the innermost template in a traceback: Jinja2 rewrites them so that its frames carry the template's lines."""
    file, line = origin, 0
    while trace is not None:
        frame_file = trace.tb_frame.f_code.co_filename
        if frame_file in spelled:
            file, line = spelled[frame_file], trace.tb_lineno
        elif "__jinja_template__" in trace.tb_frame.f_globals or trace.tb_frame.f_globals.get("__jinja_exception__"):
            file, line = frame_file, trace.tb_lineno
        trace = trace.tb_next
    return file, line

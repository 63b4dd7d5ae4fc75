"""Tables of the configuration whose keys are the fields of a record elsewhere: checked by the same rules, written down once."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Sequence
from typing import Any, cast

from pydantic import Field, create_model

from pxenet.answer.kickstart.data import Kickstart, record_in, types_of
from pxenet.config.sections import Section


def section_of(record: type) -> type[Section]:
    """The table of a record: a key for each field, nested records as tables, sequences as lists."""
    fields: dict[str, Any] = {}
    for each in dataclasses.fields(record):
        kind = types_of(cast(typing.Hashable, record))[each.name]
        inner, listed = record_in(kind)
        if inner is not None:
            kind = section_of(inner)
        elif typing.get_origin(kind) is Sequence:
            kind, listed = typing.get_args(kind)[0], True
        info = {"description": each.metadata["sentence"]}
        if each.metadata["example"] is not None:
            info["examples"] = [each.metadata["example"]]
        fields[each.name] = (
            list.__class_getitem__(kind) if listed else kind,
            Field(default=_default(each, inner, listed, kind), **info),
        )
    made: type[Section] = create_model(f"{record.__name__}Keys", __base__=Section, __doc__=record.__doc__, **fields)
    return made


def _default(field: dataclasses.Field[Any], inner: type | None, listed: bool, kind: Any) -> object:
    if field.default is dataclasses.MISSING:
        return ...
    if inner is not None and not listed:
        return kind()
    return list(field.default) if listed else field.default


def tables_in(name: str, model: type[Section]) -> Iterator[tuple[str, type[Section], bool]]:
    """(dotted name, model, whether it is a list) of a table and of those inside it."""
    yield name, model, False
    for key, info in model.model_fields.items():
        inner = section_in(info.annotation)
        if inner is not None:
            listed = typing.get_origin(info.annotation) is list
            for below, found, _ in tables_in(f"{name}.{key}", inner):
                yield below, found, listed and below == f"{name}.{key}"


def section_in(annotation: object) -> type[Section] | None:
    """The table that a key's type holds, by itself or in a list; None for plain values."""
    (inner,) = typing.get_args(annotation)[:1] or (annotation,)
    return inner if isinstance(inner, type) and issubclass(inner, Section) else None


KickstartKeys = section_of(Kickstart)
"""``[profile.kickstart]`` and ``[host.kickstart]``."""

"""The messages of a schema to the places in a resource object that they are about.

marshmallow tells by the names of fields what it finds wrong, in mappings and lists within each other. Here each message
is followed down through what the client sent, as far as that goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from marshmallow import Schema, fields
from marshmallow.exceptions import SCHEMA
from marshmallow.fields import Field

from .errors import Code, Token

__all__ = ["InvalidResource", "Problem", "find_problems"]


class Problem(NamedTuple):
    """One thing that a schema finds wrong with a resource.

    :param tokens: the way from the resource object to the value, which is in what the client sent, or to the nearest
        parent of what is missing there. The last one may be the member `attributes` even where it was left out.
    :param detail: the schema's message, for the client.
    """

    tokens: tuple[Token, ...]
    detail: str
    code: Code


class InvalidResource(Exception):
    """The schema refuses a resource, for all the reasons in `problems` (at least one)."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(*(f"{problem.tokens}: {problem.detail}" for problem in self.problems))


def find_problems(schema: Schema, messages: Mapping[Any, Any], resource: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield one problem for each message.

    :param messages: what marshmallow collected, before marshmallow-jsonapi gives it another form.
    :param resource: what was loaded: `attributes`, and `id` if the schema was to see it.
    """
    attributes = resource["attributes"]
    by_name = {field.data_key: field for field in schema.fields.values()}
    for name, inner in messages.items():
        if name == "id" and "id" in resource:
            yield from _with_code(Code.INVALID_ID, _details(inner, None, None, ("id",)))
        elif name in (SCHEMA, "id"):
            yield from _with_code(Code.INVALID_RESOURCE, _details(inner, None, None, ()))
        else:
            field = by_name.get(name)
            if field is None and name not in attributes and name in schema.fields:
                field = schema.fields[name]  # a hook called it as the class does
                name = field.data_key
            found = _inner_details(name, inner, attributes, field, ("attributes",))
            yield from _with_code(Code.INVALID_ATTRIBUTE, found)


_Details = Iterator[tuple[tuple[Token, ...], str]]


def _with_code(code: Code, details: _Details) -> Iterator[Problem]:
    return (Problem(tokens, detail, code) for tokens, detail in details)


def _details(messages: Any, value: Any, field: Field | None, tokens: tuple[Token, ...]) -> _Details:
    """Each message about `value`, with the tokens of what it is about."""
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            if key == SCHEMA:
                yield from _details(inner, value, field, tokens)
            elif isinstance(field, fields.Mapping) and isinstance(inner, Mapping):
                for part in inner.values():  # what is wrong with the name and with the value, apart
                    yield from _inner_details(key, part, value, field.value_field, tokens)
            else:
                yield from _inner_details(key, inner, value, _inner_field(field, key), tokens)
    elif isinstance(messages, list | tuple):
        for message in messages:
            yield from _details(message, value, field, tokens)
    else:
        yield tokens, str(messages)


def _inner_details(key: Any, messages: Any, outer: Any, field: Field | None, tokens: tuple[Token, ...]) -> _Details:
    """The messages about the member or element `key` of `outer`; if there is none, they are about `outer`."""
    if _has(outer, key):
        yield from _details(messages, outer[key], field, (*tokens, key))
    else:
        yield from ((tokens, f"{key}: {detail}") for _, detail in _details(messages, None, None, ()))


def _has(value: Any, key: Any) -> bool:
    if isinstance(value, list):
        return isinstance(key, int) and 0 <= key < len(value)
    return isinstance(value, Mapping) and key in value


def _inner_field(field: Field | None, key: Any) -> Field | None:
    """The field of the member or element `key` of what `field` stands for."""
    if isinstance(field, fields.Nested):
        members = field.schema.fields.items()
        return (
            field
            if isinstance(key, int)
            else next((inner for name, inner in members if _named(name, inner) == key), None)
        )
    if isinstance(field, fields.List):
        return field.inner
    return field.tuple_fields[key] if isinstance(field, fields.Tuple) and isinstance(key, int) else None


def _named(name: str, field: Field) -> str:
    return name if field.data_key is None else field.data_key

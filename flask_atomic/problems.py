"""The messages of a schema to the places in a resource object that they are about.

marshmallow tells by the names of fields what it finds wrong, in mappings and lists within each other. Here each message
is followed down through what the client sent, as far as that goes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from marshmallow import Schema, fields
from marshmallow.exceptions import SCHEMA
from marshmallow.fields import Field
from marshmallow_jsonapi.fields import BaseRelationship

from .errors import MOST_ERRORS, Code, Token, pointer

__all__ = ["InvalidResource", "Problem", "find_problems"]


_TOLD = 10  # in the message of an exception


class Problem(NamedTuple):
    """One thing that a schema finds wrong with a resource.

    :param tokens: the way from the resource object to the value, which is in what the client sent, or to the nearest
        parent of what is missing there. The last one may be the member `attributes` even where it was left out.
    :param detail: the schema's message, for the client.
    """

    tokens: tuple[Token, ...]
    detail: str
    code: Code

    def about_what_was_sent(self, relationships: Collection[str]) -> Problem:
        """The problem, which is one of the resource if it names a relationship that is not among these."""
        match self.tokens:
            case ("relationships", name) if name not in relationships:
                return Problem((), f"{name}: {self.detail}", Code.INVALID_RESOURCE)
        return self


class InvalidResource(Exception):
    """The schema refuses a resource, for the reasons in `problems`: at least one, and not more than `MOST_ERRORS`."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(islice(problems, MOST_ERRORS))
        super().__init__(*(f"{pointer(*problem.tokens)}: {problem.detail}" for problem in self.problems[:_TOLD]))


def find_problems(schema: Schema, messages: Mapping[Any, Any], resource: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield one problem for each message; whether a relationship that it names was sent cannot be told here.

    :param messages: what marshmallow collected, before marshmallow-jsonapi gives it another form.
    :param resource: what was loaded: `attributes`, and `id` if the schema was to see it.
    """
    attributes = resource["attributes"]
    for called, inner in _ordered(messages, attributes):
        if called == "id" and "id" in resource:
            yield from _with_code(Code.INVALID_ID, _details(inner, None, None, ("id",)))
        elif called in (SCHEMA, "id"):
            yield from _with_code(Code.INVALID_RESOURCE, _details(inner, None, None, ()))
        elif relationship := _relationship(schema, called, attributes):
            found = _details(inner, None, None, ("relationships", relationship))
            yield from _with_code(Code.INVALID_RELATIONSHIP, found)
        else:
            name, field = _member(schema, called, attributes)
            found = _inner_details(name, inner, attributes, field, ("attributes",))
            yield from _with_code(Code.INVALID_ATTRIBUTE, found)


def _relationship(schema: Schema, called: Any, attributes: Mapping[str, Any]) -> str | None:
    """The name in documents of the relationship that a hook calls so, None if it means something else.

    Relationships are left out of `schema`, and so have no names in documents yet.
    """
    if called in attributes or _member(schema, called, attributes)[1]:
        return None
    held = {
        name: field.data_key or schema.inflect(name)  # type: ignore[attr-defined]  # marshmallow-jsonapi has it
        for name, field in schema.declared_fields.items()
        if isinstance(field, BaseRelationship)
    }
    return called if called in held.values() else held.get(called)


_Details = Iterator[tuple[tuple[Token, ...], str]]


def _with_code(code: Code, details: _Details) -> Iterator[Problem]:
    return (Problem(tokens, detail, code) for tokens, detail in details)


def _details(messages: Any, value: Any, field: Field | None, tokens: tuple[Token, ...]) -> _Details:
    """Each message about `value`, with the tokens of what it is about."""
    if isinstance(messages, Mapping):
        for key, inner in _ordered(messages, value):
            if key == SCHEMA:
                yield from _details(inner, value, field, tokens)
            elif isinstance(field, fields.Mapping) and isinstance(inner, Mapping):
                for part in inner.values():  # what is wrong with the name and with the value, apart
                    yield from _inner_details(key, part, value, field.value_field, tokens)
            else:
                name, inner_field = _inner_field(field, key, value)
                yield from _inner_details(name, inner, value, inner_field, tokens)
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


def _ordered(messages: Mapping[Any, Any], value: Any) -> list[tuple[Any, Any]]:
    """The messages in the order of what was sent, what was not before it.

    marshmallow has those about unknown names in an order that is another one each time that Python is started.
    """
    places = {name: place for place, name in enumerate(value)} if isinstance(value, Mapping) else {}
    return sorted(messages.items(), key=lambda message: places.get(message[0], -1))


def _has(value: Any, key: Any) -> bool:
    if isinstance(value, list):
        return isinstance(key, int) and 0 <= key < len(value)
    return isinstance(value, Mapping) and key in value


def _inner_field(field: Field | None, key: Any, value: Any) -> tuple[Any, Field | None]:
    """The name, and the field, of the member or element that messages about `value` call `key`."""
    if isinstance(field, fields.Nested):
        return (key, field) if isinstance(key, int) else _member(field.schema, key, value)
    if isinstance(field, fields.List):
        return key, field.inner
    return key, field.tuple_fields[key] if isinstance(field, fields.Tuple) and isinstance(key, int) else None


def _member(schema: Schema, called: Any, value: Any) -> tuple[Any, Field | None]:
    """The name in documents, and the field, of the member of `value` that messages call so, or as the class does."""
    named = {name if field.data_key is None else field.data_key: field for name, field in schema.fields.items()}
    if called not in named and called in schema.fields and not _has(value, called):
        field = schema.fields[called]
        return field.data_key, field
    return called, named.get(called)

"""Nested schemas as tables: the way round marshmallow for objects within attributes, which a request may have many of.

What marshmallow builds up around the loading and the dumping of each object takes most of the time of it. Where a
schema has nothing that would make a difference, its fields are asked one after the other, and all else is left to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import marshmallow
from marshmallow import ValidationError, fields, missing
from marshmallow.fields import Field

from .schemas import nested_fields, own_hooks

__all__ = ["use_tables"]

_OF_LOADING = ("load", "_do_load", "_deserialize", "_call_and_store", "handle_error")
_OF_DUMPING = ("dump", "_serialize", "get_attribute")


def use_tables(field: Field) -> None:
    """Have the schemas that are nested in a field, which is bound, load and dump by tables as far as they can."""
    for nested in nested_fields(field):
        if type(nested) is fields.Nested and "_load" not in vars(nested):
            tables = _Tables(nested)
            vars(nested).update(_load=tables.load, _serialize=tables.dump)


class _Loaded(NamedTuple):
    """How one member is loaded.

    :param name: what documents call it.
    :param key: what the loaded object calls it.
    :param left_out: whether nothing is loaded where it is missing.
    """

    name: str
    key: str
    deserialize: Callable[..., Any]
    left_out: bool


class _Tables:
    """What replaces two methods of a nested field. Its schema is not asked before it is used: it may nest itself."""

    def __init__(self, field: fields.Nested) -> None:
        self._field = field
        self._load_as_made: Callable[..., Any] = field._load
        self._dump_as_made: Callable[..., Any] = field._serialize

    def load(self, value: Any, partial: Any = None) -> Any:
        """Load an object as `Nested._load` does."""
        rows = self._load_rows
        if rows is None or partial or type(value) is not dict or not value.keys() <= rows.keys():
            return self._load_as_made(value, partial=partial)
        loaded: dict[str, Any] = {}
        refused: dict[str, Any] = {}
        for name, key, deserialize, left_out in rows.values():
            given = value.get(name, missing)
            if given is missing and left_out:
                continue
            try:
                member = deserialize(given, name, value)
            except ValidationError as error:
                refused[name] = error.messages
            else:
                if member is not missing:
                    loaded[key] = member
        if refused:
            raise ValidationError(refused)
        return loaded

    def dump(self, nested_obj: Any, attr: str, obj: Any, **options: Any) -> Any:
        """Dump an object as `Nested._serialize` does."""
        rows = self._dump_rows
        if rows is None or type(nested_obj) is not dict or options:
            return self._dump_as_made(nested_obj, attr, obj, **options)
        get: Callable[..., Any] = self._field.schema.get_attribute
        shown = {}
        for name, attribute, field in rows:
            value = field.serialize(attribute, nested_obj, accessor=get)
            if value is not missing:
                shown[name] = value
        return shown

    @cached_property
    def _load_rows(self) -> Mapping[str, _Loaded] | None:
        """The members by name; None if only marshmallow can load them."""
        schema = self._field.schema
        if own_hooks(type(schema), "pre_load", "validates", "validates_schema", "post_load"):
            return None
        if self._has_many or schema.partial or not _is_as_made(schema, _OF_LOADING):
            return None
        rows = {}
        for name, field in schema.load_fields.items():
            use_tables(field)
            row = _Loaded(_name(name, field), field.attribute or name, field.deserialize, _is_left_out(field))
            rows[row.name] = row
        keys = {row.key for row in rows.values()}
        alone = len(rows) == len(keys) == len(schema.load_fields) and not any("." in key for key in keys)
        return rows if alone else None

    @cached_property
    def _dump_rows(self) -> list[tuple[str, str, Field]] | None:
        """The name, the attribute and the field of each member; None if only marshmallow can dump them."""
        schema = self._field.schema
        if own_hooks(type(schema), "pre_dump", "post_dump"):
            return None
        if self._has_many or not _is_as_made(schema, _OF_DUMPING):
            return None
        for field in schema.dump_fields.values():
            use_tables(field)
        rows = [(_name(name, field), name, field) for name, field in schema.dump_fields.items()]
        return rows if len({name for name, *_ in rows}) == len(rows) else None

    @property
    def _has_many(self) -> bool:
        return bool(self._field.many or self._field.schema.many)


def _is_as_made(schema: marshmallow.Schema, methods: tuple[str, ...]) -> bool:
    made = marshmallow.Schema
    return schema.dict_class is dict and all(getattr(type(schema), name) is getattr(made, name) for name in methods)


def _name(name: str, field: Field) -> str:
    return name if field.data_key is None else str(field.data_key)


def _is_left_out(field: Field) -> bool:
    return not field.required and field.load_default is missing and type(field).deserialize is Field.deserialize

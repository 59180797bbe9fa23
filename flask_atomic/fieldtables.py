"""The fields of a schema as tables, made once: a way round marshmallow where it is known what marshmallow would do.

A schema whose fields are marshmallow's own, and that has no hooks, loads and dumps field by field. The tables do just
that, without what marshmallow builds up around it for each resource. They decide nothing: a value that its field leaves
as it is gets by, every other one is given to the field, and what the field refuses is told as marshmallow tells it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import marshmallow
import marshmallow_jsonapi
from marshmallow import ValidationError, fields, missing
from marshmallow.error_store import ErrorStore
from marshmallow.fields import Field

from .schemas import FAILURES, count_refusals, is_computed, is_guarded, is_own, own_hooks, parts, refusal, writable

__all__ = ["DumpTable", "LoadTable", "accepts_any_text"]

_KINDS: Mapping[type[Field], type] = {
    fields.String: str,
    fields.Email: str,
    fields.Url: str,
    fields.Integer: int,
    fields.Boolean: bool,
}
"""The types whose values these fields load and dump as they are."""

_KNOWN = (
    *_KINDS,
    fields.AwareDateTime,
    fields.Date,
    fields.DateTime,
    fields.Decimal,
    fields.Dict,
    fields.Enum,
    fields.Float,
    fields.List,
    fields.NaiveDateTime,
    fields.Raw,
    fields.Time,
    fields.TimeDelta,
    fields.UUID,
)
_OF_LOADING = ("load", "_do_load", "_deserialize", "_call_and_store", "unwrap_request", "unwrap_item")
_OF_DUMPING = (
    *("dump", "_serialize", "format_json_api_response", "format_items", "get_resource_links"),
    *("render_included_data", "render_meta_document"),
)
_OF_INSTANCES = frozenset({"deserialize", "name", "parent", "root", "truthy", "falsy"})
"""What of a class marshmallow, or the guard of `schemas`, sets anew on each field."""


class _Loaded(NamedTuple):
    """How one attribute is loaded.

    :param name: what documents call it.
    :param key: the attribute of the entity.
    :param kind: the type of values that only have to be validated; None if there is none.
    :param validate: validates such a value; None if nothing is asked of it.
    """

    name: str
    key: str
    field: Field
    kind: type | None
    validate: Callable[[Any], Any] | None


class LoadTable:
    """How the attributes of a resource are loaded."""

    def __init__(self, schema: marshmallow.Schema, rows: Iterable[_Loaded]) -> None:
        self._schema = schema
        self._rows = tuple(rows)

    @classmethod
    def of(cls, schema: marshmallow.Schema) -> LoadTable | None:
        """The table of a schema; None for one that only marshmallow can load."""
        declared = {name: field for name, field in schema.load_fields.items() if name != "id"}
        if own_hooks(type(schema), "pre_load", "validates", "validates_schema", "post_load"):
            return None
        if not (_is_as_made(schema, _OF_LOADING) and all(map(_is_known, declared.values()))):
            return None
        rows = [_loaded(name, field) for name, field in declared.items()]
        id_ = schema.fields["id"].attribute or "id"
        return None if any("." in row.key or row.key == id_ for row in rows) else cls(schema, rows)

    def load(self, attributes: Mapping[str, Any], *, partial: bool) -> dict[str, Any]:
        """Return the values by the attribute of the entity.

        :param attributes: attributes that the schema loads, and no others.
        :param partial: whether only what was sent is wanted.
        :raises InvalidResource: with everything that the fields refuse.
        """
        values: dict[str, Any] = {}
        refused: list[tuple[Any, str]] = []
        is_counting = False
        for name, key, field, kind, validate in self._rows:
            value = attributes.get(name, missing)
            try:
                if type(value) is kind:
                    if validate is not None:
                        validate(value)
                elif value is missing and partial:
                    continue
                else:
                    if not is_counting:
                        count_refusals()
                        is_counting = True
                    value = field.deserialize(value, name, attributes)
            except ValidationError as error:
                refused.append((error.messages, name))
            except FAILURES as error:
                refused.append((refusal(error).messages, name))
            else:
                if value is not missing:
                    values[key] = value
        if refused:
            self._refuse(attributes, refused)
        return values

    def _refuse(self, attributes: Mapping[str, Any], refused: Iterable[tuple[Any, str]]) -> None:
        errors: Any = ErrorStore()  # type: ignore[no-untyped-call]  # several attributes may have one name
        for messages, name in refused:
            errors.store_error(messages, name)
        data = {"data": {"attributes": attributes}}
        self._schema.handle_error(ValidationError(errors.errors), data, many=False)


def _loaded(name: str, field: Field) -> _Loaded:
    kind = _kind(field)
    return _Loaded(str(field.data_key), field.attribute or name, field, kind, _validation(field, kind))


def _validation(field: Field, kind: type | None) -> Callable[[Any], Any] | None:
    """What validates values of that kind. Several validators, or one that is not known, are for the field to ask."""
    match field.validators:
        case []:
            return None
        case [validator] if kind is str and is_own(validator):
            return validator
    return field._validate


class _Dumped(NamedTuple):
    """How one attribute is dumped.

    :param name: what documents call it.
    :param attribute: the attribute of the entity.
    :param kind: the type of values that are shown as they are; None if there is none.
    """

    name: str
    attribute: str
    field: Field
    kind: type | None


class DumpTable:
    """How the attributes of entities are shown."""

    def __init__(self, schema_name: str, rows: Iterable[_Dumped]) -> None:
        self._schema_name = schema_name
        self._rows = tuple(rows)

    @classmethod
    def of(cls, schema: marshmallow.Schema) -> DumpTable | None:
        """The table of a schema; None for one that only marshmallow can dump."""
        declared = {name: field for name, field in schema.dump_fields.items() if name != "id"}
        if own_hooks(type(schema), "pre_dump", "post_dump") or not _is_as_made(schema, _OF_DUMPING):
            return None
        if getattr(schema.opts, "self_url", None) or not all(map(_is_known, declared.values())) or is_computed(schema):
            return None
        rows = [
            _Dumped(str(field.data_key), field.attribute or name, field, _kind(field))
            for name, field in declared.items()
        ]
        return cls(type(schema).__name__, rows)

    def dump(self, entities: Sequence[object]) -> list[dict[str, Any]] | None:
        """Return for each entity what marshmallow would; None if only marshmallow knows what that is."""
        shown = []
        for entity in entities:
            if hasattr(entity, "__getitem__"):
                return None
            values: dict[str, Any] = {}
            for name, attribute, field, kind in self._rows:
                value = getattr(entity, attribute, missing)
                if type(value) is not kind and value is not None:
                    value = self._shown(field, attribute, entity, value)
                    if value is missing:
                        continue
                values[name] = value
            shown.append({"attributes": values} if values else {})
        return shown

    def _shown(self, field: Field, attribute: str, entity: object, value: Any) -> Any:
        if value is missing:
            default = field.dump_default
            value = default() if callable(default) else default
            if value is missing:
                return missing
        return writable(field._serialize(value, attribute, entity), f"{self._schema_name}, {field.data_key}")


def accepts_any_text(field: Field) -> bool:
    """Whether the field loads every string."""
    return type(field) is fields.String and _is_known(field) and not field.validators


def _is_as_made(schema: marshmallow.Schema, methods: Iterable[str]) -> bool:
    """Whether the schema has these methods from marshmallow-jsonapi."""
    made: Any = marshmallow_jsonapi.Schema
    return all(getattr(type(schema), name) is getattr(made, name) for name in methods)


def _is_known(field: Field) -> bool:
    return all(type(part) in _KNOWN and _has_methods_of_class(part) for part in parts(field))


def _has_methods_of_class(field: Field) -> bool:
    own = {name for name in vars(field) if hasattr(type(field), name)}
    return own <= _OF_INSTANCES and is_guarded(field)


def _kind(field: Field) -> type | None:
    kind = _KINDS.get(type(field))
    if isinstance(field, fields.Boolean):
        return kind if {"truthy", "falsy"}.isdisjoint(vars(field)) else None
    return None if getattr(field, "as_string", False) else kind

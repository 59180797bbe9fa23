"""A user's schema made fit to see the attributes of a resource, and nothing else of it, at any number of threads.

The schema is derived from once and overridden at marshmallow's own extension points only. What loads is kept from
crashing on values that nobody thought of; what is dumped can be written as JSON.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from datetime import date, time
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from itertools import count, repeat
from traceback import walk_tb
from types import new_class
from typing import Any
from uuid import UUID

import marshmallow
import marshmallow_jsonapi
from marshmallow import ValidationError, fields, missing, validate
from marshmallow.fields import Field
from marshmallow_jsonapi.fields import ResourceMeta

from .errors import MOST_ERRORS, Code, ConfigurationError
from .problems import InvalidResource, Problem, find_problems

__all__ = [
    "FAILURES",
    "SchemaClass",
    "count_refusals",
    "derive",
    "is_computed",
    "is_guarded",
    "is_own",
    "nested_fields",
    "own_hooks",
    "parts",
    "refusal",
    "writable",
]

SchemaClass = type[marshmallow.Schema]


def derive(schema: Any) -> marshmallow.Schema:
    """Return an instance of a class derived from `schema`.

    :raises ConfigurationError: if it is no class of marshmallow-jsonapi, or one that cannot be used.
    """
    is_schema = isinstance(schema, type) and issubclass(schema, marshmallow_jsonapi.Schema)
    if not is_schema:
        raise ConfigurationError(f"{schema!r} is not a class that derives from marshmallow_jsonapi.Schema.")
    try:
        meta = type("Meta", (schema.Meta,), {"register": False, **_without_urls(schema.Meta)})
        derived = new_class(schema.__name__, (_AttributesOnly, schema), exec_body=lambda body: body.update(Meta=meta))
        instance: marshmallow.Schema = derived()
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ConfigurationError(f"The schema {schema.__name__} cannot be used: {error}") from error
    return instance


def _without_urls(meta: type) -> dict[str, None]:
    """The options that `marshmallow_jsonapi.flask` writes into `Meta` and refuses to find there in a derived class."""
    return dict.fromkeys(("self_url", "self_url_kwargs", "self_url_many")) if hasattr(meta, "self_view") else {}


class _AttributesOnly(marshmallow.Schema):
    """What stands in front of the user's schema."""

    class Meta:
        register = False

    get_resource_links: Callable[[Mapping[str, Any]], Any]  # marshmallow-jsonapi has it

    def on_bind_field(self, field_name: str, field_obj: Field) -> None:
        super().on_bind_field(field_name, field_obj)
        if field_name == "id":
            field_obj.data_key = "id"  # where the standard has it, whatever the schema makes of names
            field_obj.required = False  # whose choice the id is, the application says elsewhere
        if isinstance(field_obj, ResourceMeta):
            _leave_out_null(field_obj)
        _guard(field_obj)

    def handle_error(self, error: ValidationError, data: Any, **_: Any) -> None:
        raise InvalidResource(find_problems(self, error.messages_dict, data["data"]))

    def format_item(self, item: Mapping[str, Any]) -> dict[str, Any]:
        values = {
            name: value if type(value) in _PLAIN else writable(value, f"{type(self).__name__}, {name}")
            for name, value in item.items()
            if name != "id"
        }
        meta = values.pop(_META, None)
        members: dict[str, Any] = {"attributes": values} if values else {}
        if meta:
            members["meta"] = meta
        if links := self.get_resource_links(item):
            members["links"] = links
        return members

    def wrap_response(self, data: Any, _many: bool) -> dict[str, Any]:
        return {"data": data}  # links of the document are not the schema's


_META = ResourceMeta().data_key


def _leave_out_null(field: ResourceMeta) -> None:
    """Have the field show nothing where the entity's attribute is null: marshmallow-jsonapi fails for it."""
    serialize = field._serialize

    def serialize_unless_null(value: Any, *args: Any, **kwargs: Any) -> Any:
        return missing if value is None else serialize(value, *args, **kwargs)

    vars(field)["_serialize"] = serialize_unless_null


# -------------------------------------------------------------------------------------------- what a schema consists of


def parts(field: Field) -> Iterator[Field]:
    """The field itself and those of its elements, as far as no schema of their own."""
    yield field
    if isinstance(field, fields.List):
        yield from parts(field.inner)
    elif isinstance(field, fields.Tuple):
        for part in field.tuple_fields:
            yield from parts(part)
    elif isinstance(field, fields.Mapping):
        for part in filter(None, (field.key_field, field.value_field)):
            yield from parts(part)


def nested_fields(field: Field) -> list[fields.Nested]:
    """The fields in `field`, itself included, whose values have a schema of their own."""
    return [part for part in parts(field) if isinstance(part, fields.Nested)]


def own_hooks(schema: type[marshmallow.Schema], *tags: str) -> set[str]:
    """The names of the hooks with these tags that the application has put on a schema."""
    hooks = _hooks(schema)
    return {name for tag in tags for name, *_ in hooks.get(tag, ())} - _HOOKS_OF_LIBRARY


@lru_cache(maxsize=8)  # asked for a few times in a row, and slow to find out
def _hooks(schema: type[marshmallow.Schema]) -> Mapping[str, Any]:
    return schema.resolve_hooks()


_HOOKS_OF_LIBRARY = {"unwrap_request", "format_json_api_response"}


def is_computed(schema: marshmallow.Schema, seen: frozenset[SchemaClass] = frozenset()) -> bool:
    """Whether anything that is dumped comes from elsewhere than an attribute of the entity.

    :param seen: the classes that are not to be looked into again.
    """
    if own_hooks(type(schema), "pre_dump", "post_dump"):
        return True
    if type(schema).get_attribute is not marshmallow.Schema.get_attribute:
        return True
    shown = schema.dump_fields.values()
    inner = (nested.schema for field in shown for nested in nested_fields(field))
    seen |= {type(schema)}
    return any(map(_is_computed, shown)) or any(is_computed(each, seen) for each in inner if type(each) not in seen)


def _is_computed(field: Field) -> bool:
    return (
        isinstance(field, fields.Method | fields.Function)
        or "." in (field.attribute or "")
        or type(field).serialize is not Field.serialize
        or type(field).get_value is not Field.get_value
    )


# ---------------------------------------------------------------------------------------------------------- loading


def _guard(field: Field) -> None:
    """Make the field, and those inside it, refuse the values that marshmallow crashes on or lets slip through."""
    for part in parts(field):
        if "deserialize" not in vars(part):
            vars(part)["deserialize"] = _guarded(part)
            part.validators = list(map(_quick, part.validators))


def _quick(validator: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The validator, or one that decides the same in less time."""
    return _Email(validator) if isinstance(validator, validate.Email) else validator


class _Email:
    """Validates e-mail addresses. What it does not know marshmallow's validator to accept is for that to judge.

    That takes quadratic time for a foreign domain, and so is not asked about addresses that are too long.
    """

    def __init__(self, validator: validate.Email) -> None:
        self._validator = validator
        self.is_own = type(validator) is validate.Email and _tells_text(validator) and not _formats(validator)

    def __call__(self, address: Any) -> Any:
        if len(address) > _LONGEST_ADDRESS:
            return self._validator("")
        if self.is_own and type(address) is str and _is_plain_address(address):
            return address
        return self._validator(address)


_LONGEST_ADDRESS = 320  # RFC 3696, 3, with its erratum

_is_plain_address = re.compile(
    r"[\w+-]++(?:\.[\w+-]++)*+@(?:[A-Za-z0-9]{1,31}+(?:-[A-Za-z0-9]{1,31}+)?+\.)++[A-Za-z]{2,}+", re.ASCII
).fullmatch
"""Those of a form that leaves no doubt; no part of a name has more than 63 characters."""


def is_own(validator: Callable[[Any], Any]) -> bool:
    """Whether a validator of texts is marshmallow's own, so that what it refuses is told by a text."""
    if isinstance(validator, _Email):
        return validator.is_own
    return type(validator) in _OWN and _tells_text(validator)


_OWN = (validate.Length, validate.OneOf, validate.Regexp, validate.URL)


def _tells_text(validator: Any) -> bool:
    return type(validator.error) in (str, type(None)) and "_format_error" not in vars(validator)


def _formats(validator: validate.Email) -> bool:
    """Whether the message has places for values: it is formatted even for what is accepted, and may fail then."""
    return "{" in validator.error or "}" in validator.error


def is_guarded(field: Field) -> bool:
    """Whether the field deserializes as its class does, but for the guard."""
    return getattr(vars(field).get("deserialize"), "__module__", None) == __name__


def _guarded(field: Field) -> Callable[..., Any]:
    unguarded = field.deserialize
    refuse_slip = next((refuse for kind, refuse in _SLIPS.items() if isinstance(field, kind)), None)

    def deserialize(value: Any, attr: str | None = None, data: Any = None, **kwargs: Any) -> Any:
        if isinstance(field, fields.Nested):
            value = _without_at_members(value)
        if refuse_slip:
            refuse_slip(field, value)
        try:
            loaded = unguarded(value, attr, data, **kwargs)
        except ValidationError:
            _count_refusal()
            raise
        except FAILURES as error:
            _count_refusal()
            raise refusal(error) from error
        if isinstance(loaded, Decimal) and not _has_number(loaded):
            raise ValidationError("The number is out of range.")  # written out, it could fill the memory
        return loaded

    return deserialize


_refusals: ContextVar[Iterator[int]] = ContextVar("flask_atomic.refusals")


def count_refusals() -> None:
    """Count from here on how many values are refused: marshmallow would go on to the last, however many they are."""
    _refusals.set(count(1))


def _count_refusal() -> None:
    if next(_refusals.get(_UNCOUNTED)) > MOST_ERRORS:
        detail = f"More than {MOST_ERRORS} values are not acceptable."
        raise InvalidResource([Problem((), detail, Code.INVALID_RESOURCE)]) from None


_UNCOUNTED = repeat(0)

FAILURES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What marshmallow and the standard library fail with for values that nobody thought of."""


def refusal(error: Exception) -> ValidationError:
    """The refusal of the value that one of the `FAILURES` is about.

    :raises Exception: the error itself, if it is a defect of the application.
    """
    if _is_of_application(error):
        raise error
    return ValidationError("Not a valid value.")


def _without_at_members(value: Any) -> Any:
    """The object or objects for a nested schema without @-members (JSON:API 1.1, "@-Members": ignore them)."""
    if isinstance(value, list):
        return [_without_at_members(each) for each in value]
    if isinstance(value, dict) and any(name.startswith("@") for name in value):
        return {name: member for name, member in value.items() if not name.startswith("@")}
    return value


def _guard_members(field: fields.Nested, _: Any) -> None:
    members = field.schema.load_fields.values()  # not at start-up: a schema may be nested in itself
    if members and not is_guarded(next(reversed(members))):  # they are guarded in their order
        for member in members:
            _guard(member)


def _refuse_other_attribute(field: fields.Enum, value: Any) -> None:
    if isinstance(value, str) and not field.by_value and value not in field.enum.__members__:
        raise field.make_error("unknown", choices=field.choices_text)  # `__class__`, for one, would be found


def _refuse_mapping(field: Field, value: Any) -> None:
    if isinstance(value, Mapping):
        raise field.make_error("invalid")  # its names would be taken for elements


def _refuse_scope(field: fields.IP | fields.IPInterface, value: Any) -> None:
    if field.exploded and "%" in str(value):
        raise ValidationError("Not a valid value.")  # such an address loads, but cannot be exploded


_SLIPS: dict[type[Field], Callable[[Any, Any], None]] = {
    fields.Nested: _guard_members,
    fields.Enum: _refuse_other_attribute,
    fields.List: _refuse_mapping,
    fields.Tuple: _refuse_mapping,
    fields.IP: _refuse_scope,
    fields.IPInterface: _refuse_scope,
}


def _has_number(value: Decimal) -> bool:
    """Whether JSON has a number, within the range of a double, for the value; NaN is as it should be."""
    if not value:
        return abs(value.adjusted()) < _ZEROS
    return not value.is_finite() or (math.isfinite(float(value)) and float(value) != 0)


_ZEROS = 400
"""How many digits a zero may have; a double has fewer. `0E-999999999` would be written out as so many."""


def _is_of_application(error: Exception) -> bool:
    """Whether code of the application, not of marshmallow, did what failed: a defect to be seen, and no bad value."""
    modules = (str(frame.f_globals.get("__name__")) for frame, _ in walk_tb(error.__traceback__))
    packages = [module.partition(".")[0] for module in modules if module != __name__]
    doers = [package for package in packages if package not in sys.stdlib_module_names]
    return doers[-1:] not in ([], ["marshmallow"])


# ---------------------------------------------------------------------------------------------------------- dumping

_PLAIN = frozenset({str, int, bool, type(None)})


def writable(value: Any, where: str) -> Any:
    """Return the value as JSON can have it.

    :param where: names the value, for a message.
    :raises TypeError: if it cannot be written as JSON.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, float | Decimal):
        return _number(value)
    if isinstance(value, Mapping):
        return {str(writable(name, where)): writable(inner, where) for name, inner in value.items()}
    if type(value) is list and _PLAIN.issuperset(map(type, value)):
        return value[:]
    if isinstance(value, list | tuple | set | frozenset):
        return [writable(inner, where) for inner in value]
    if isinstance(value, Enum):
        return writable(value.value, where)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str | int):
        return value
    raise TypeError(f"{where}: a {type(value).__name__} cannot be written as JSON; choose a field that makes it text.")


def _number(value: float | Decimal) -> float | int | str:
    if not math.isfinite(value):
        return str(Decimal(value))
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value

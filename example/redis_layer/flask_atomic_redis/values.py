"""Values to text and back: what marshmallow loads comes back equal, and of the same type.

The text is JSON. An object in it always has one member: the name of a type that JSON lacks, and how the value is
written. Equal values of one type have the same text, so that the text of an id can be the member of a set.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Any
from uuid import UUID

__all__ = ["NULL", "Enums", "decode", "encode"]

NULL = "null"
"""The text of None."""

Enums = Mapping[str, type[Enum]]
"""The enumerations that can be stored, by their names: a text has only the names, of the class and of the member."""

# <forms>
_FORMS: Mapping[type, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    Decimal: (str, Decimal),
    UUID: (str, UUID),
    date: (date.isoformat, date.fromisoformat),
    datetime: (datetime.isoformat, datetime.fromisoformat),
    time: (time.isoformat, time.fromisoformat),
    timedelta: (lambda value: [value.days, value.seconds, value.microseconds], lambda parts: timedelta(*parts)),
    IPv4Address: (str, IPv4Address),
    IPv4Interface: (str, IPv4Interface),
    IPv6Address: (str, IPv6Address),
    IPv6Interface: (str, IPv6Interface),
}
# </forms>
_READERS = {kind.__name__: read for kind, (_, read) in _FORMS.items()}


def encode(value: Any, enums: Enums | None = None) -> str:
    """Return the text of a value.

    :raises TypeError: if it is, or holds, something of a type that cannot be stored.
    :raises ValueError: for an integer with thousands of digits.
    """
    return json.dumps(_to_json(value, enums or {}), separators=(",", ":"))


def decode(text: str, enums: Enums | None = None) -> Any:
    """Return the value that `encode` made the text of.

    :raises LookupError: if it holds an enumeration, or a member of one, that is not there any more.
    """
    return _from_json(json.loads(text), enums or {})


def _to_json(value: Any, enums: Enums) -> Any:
    kind = type(value)
    if value is None or kind in (str, int, float, bool):
        return value
    if kind in (list, tuple):
        items = [_to_json(item, enums) for item in value]
        return items if kind is list else {"tuple": items}
    if isinstance(value, dict):
        return {"dict": [[_to_json(key, enums), _to_json(item, enums)] for key, item in value.items()]}
    if kind in _FORMS:
        write, _ = _FORMS[kind]
        return {kind.__name__: write(value)}
    if isinstance(value, Enum) and enums.get(kind.__name__) is kind and value.name in kind.__members__:
        return {"enum": [kind.__name__, value.name]}
    raise TypeError(f"{kind.__name__} cannot be stored.")


def _from_json(value: Any, enums: Enums) -> Any:
    if isinstance(value, list):
        return [_from_json(item, enums) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, written),) = value.items()
    if kind == "tuple":
        return tuple(_from_json(item, enums) for item in written)
    if kind == "dict":
        return {_from_json(key, enums): _from_json(item, enums) for key, item in written}
    if kind == "enum":
        name, member = written
        return enums[name][member]
    return _READERS[kind](written)

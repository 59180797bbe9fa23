"""Primary keys as ids: which types of column can be one, and how the text of an `id` becomes their value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import BigInteger, Dialect, Enum, Integer, SmallInteger, String, TypeDecorator, Uuid
from sqlalchemy.types import TypeEngine

__all__ = ["Key", "alike", "key_of"]

_INTEGER = re.compile(r"(-?)0*([0-9]{1,19})", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


class Key(Protocol):
    """How the values of a primary key are written as ids."""

    @property
    def is_exact(self) -> bool:
        """Whether a database finds two values equal only if they are; texts may be, whatever the case or the end."""

    def parse(self, text: str) -> Any | None:
        """The value that `text` stands for, None if there is none."""

    def fits(self, value: Any, dialect: Dialect) -> bool:
        """Whether a database of this dialect can compare the column with the value."""


@dataclass(frozen=True, slots=True)
class IntegerKey:
    """ASCII digits, with a minus for negative numbers; 64 bits at most."""

    type: TypeEngine[Any]
    is_exact: bool = True

    def parse(self, text: str) -> int | None:
        if len(text) < 19 and text.isascii() and text.isdigit():
            return int(text)
        written = _INTEGER.fullmatch(text)
        if written is None:
            return None
        number = int(written[1] + written[2])
        return number if _within(number, 64) else None

    def fits(self, value: int, dialect: Dialect) -> bool:
        # PostgreSQL casts what is compared to the type of the column, and fails where that is too narrow.
        if dialect.name != "postgresql":
            return True
        stored = self.type.dialect_impl(dialect)
        bits = 64 if isinstance(stored, BigInteger) else 16 if isinstance(stored, SmallInteger) else 32
        return _within(value, bits)


@dataclass(frozen=True, slots=True)
class StringKey:
    """Any text that the column has room for."""

    length: int | None
    is_exact: bool = False

    def parse(self, text: str) -> str | None:
        if "\0" in text or (self.length is not None and len(text) > self.length):
            return None
        try:
            text.encode()
        except UnicodeEncodeError:  # half of a surrogate pair
            return None
        return text

    def fits(self, value: str, dialect: Dialect) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class UuidKey:
    """32 hexadecimal digits in either case, with all or none of the hyphens."""

    as_uuid: bool
    is_exact: bool = True

    def parse(self, text: str) -> UUID | str | None:
        if not _UUID.fullmatch(text) or text.count("-") not in (0, 4):
            return None
        value = UUID(text)
        return value if self.as_uuid else str(value)

    def fits(self, value: Any, dialect: Dialect) -> bool:
        return True


def key_of(type_: TypeEngine[Any]) -> Key | None:
    """The way to write values of a column of this type as ids, None if the type is not supported.

    Supported are integers, strings and UUIDs, and a TypeDecorator whose own `python_type` is `int`, `str` or `UUID`.
    """
    if isinstance(type_, TypeDecorator):
        return _decorated(type_)
    if isinstance(type_, Integer):
        return IntegerKey(type_)
    if isinstance(type_, Uuid):
        return UuidKey(type_.as_uuid, is_exact=type_.as_uuid)
    if isinstance(type_, String) and not isinstance(type_, Enum):
        return StringKey(type_.length)
    return None


def alike(key: Key | None, other: Key | None) -> bool:
    """Whether the values of two columns are of one Python type, so that a foreign key is the id it refers to."""
    return type(key) is type(other) and getattr(key, "as_uuid", None) == getattr(other, "as_uuid", None)


def _decorated(type_: TypeDecorator[Any]) -> Key | None:
    # What the implementation says of its values is not what the decorator makes of them.
    if all("python_type" not in vars(class_) for class_ in type(type_).__mro__ if class_ not in TypeDecorator.__mro__):
        return None
    keys: dict[type, Key] = {
        int: IntegerKey(type_.impl_instance, is_exact=False),
        str: StringKey(None),
        UUID: UuidKey(as_uuid=True, is_exact=False),
    }
    return keys.get(type_.python_type)


def _within(number: int, bits: int) -> bool:
    return -(1 << (bits - 1)) <= number < 1 << (bits - 1)

"""Changes of plain rows, written by as few statements as the database allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import groupby
from types import NoneType
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Connection, Date, Text, Uuid, bindparam, func, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine

from .model import ROW_KEY, Model

__all__ = ["Change", "write"]

Change = tuple[Any, Mapping[str, Any]]
"""The key of a row, and what to change of it, by attribute."""


def write(connection: Connection, model: Model, changes: Sequence[Change]) -> int:
    """Update the rows, all of them different.

    :return: how many there are, as far as the database tells; otherwise all.
    """
    return sum(_write(connection, model, names, list(alike)) for names, alike in _alike(model, changes))


def _alike(model: Model, changes: Sequence[Change]) -> Iterable[tuple[Sequence[str], Iterable[Change]]]:
    """The changes in groups that are of the same attributes, with the names of these.

    They stay in their order where it may make a difference.
    """
    kinds = {tuple(values) for _, values in changes}
    if len(kinds) == 1:
        return [(kinds.pop(), changes)]
    if all(model.unique.isdisjoint(names) for names in kinds):
        changes = sorted(changes, key=_names)
    return groupby(changes, key=_names)


def _names(change: Change) -> tuple[str, ...]:
    return tuple(change[1])


def _write(connection: Connection, model: Model, names: Sequence[str], changes: Sequence[Change]) -> int:
    if connection.dialect.name == "postgresql" and len(changes) > 1 and model.unique.isdisjoint(names):
        arrays = [[id_ for id_, _ in changes], *([values[name] for _, values in changes] for name in names)]
        types = _array_types(model, names, arrays)
        if types is not None:
            return _write_arrays(connection, model, names, types, arrays)
    return _write_each(connection, model, names, changes)


def _write_each(connection: Connection, model: Model, names: Sequence[str], changes: Sequence[Change]) -> int:
    keys = [(name, model.column[name].key) for name in names]
    if all(name == key for name, key in keys):
        parameters = [{ROW_KEY: id_, **values} for id_, values in changes]
    else:
        parameters = [{ROW_KEY: id_, **{key: values[name] for name, key in keys}} for id_, values in changes]
    statement = update(model.table).where(model.column[model.key_name] == bindparam(ROW_KEY))
    result = connection.execute(statement, parameters)
    dialect = connection.dialect
    tells = dialect.supports_sane_multi_rowcount if len(parameters) > 1 else dialect.supports_sane_rowcount
    return result.rowcount if tells else len(changes)


# PostgreSQL performs an executemany of updates one by one. It takes a table of arrays instead, in an order of its own.

_ARRAYS: Mapping[type, TypeEngine[Any]] = {
    bool: ARRAY(Boolean()),
    int: ARRAY(BigInteger()),
    str: ARRAY(Text()),  # which cuts nothing off: that a text is too long is for the column to say
    date: ARRAY(Date()),
    UUID: ARRAY(Uuid()),
}
_CHANGED = "changed_rows_"


def _array_types(model: Model, names: Sequence[str], arrays: Iterable[Sequence[Any]]) -> list[TypeEngine[Any]] | None:
    """The types of the arrays of keys and of values, None if there are no such arrays."""
    kinds = [model.exact.get(name, NoneType) for name in (model.key_name, *names)]
    if not all(
        kind in _ARRAYS and {kind, NoneType}.issuperset(map(type, array))
        for kind, array in zip(kinds, arrays, strict=True)
    ):
        return None
    return [_ARRAYS[kind] for kind in kinds]


def _write_arrays(
    connection: Connection,
    model: Model,
    names: Sequence[str],
    types: Sequence[TypeEngine[Any]],
    arrays: Sequence[Sequence[Any]],
) -> int:
    keys = [ROW_KEY, *(model.column[name].key for name in names)]
    given = [bindparam(key, type_=type_) for key, type_ in zip(keys, types, strict=True)]
    changed = func.unnest(*given).table_valued(*keys).render_derived(_CHANGED)
    values = {model.column[name]: changed.c[key] for name, key in zip(names, keys[1:], strict=True)}
    statement = update(model.table).values(values).where(model.column[model.key_name] == changed.c[ROW_KEY])
    return connection.execute(statement, dict(zip(keys, arrays, strict=True))).rowcount

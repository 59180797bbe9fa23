"""What failures of SQLAlchemy and of database drivers mean for an operation. No text of theirs is passed on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import Any, NamedTuple

from sqlalchemy import PrimaryKeyConstraint, Table, UniqueConstraint, exc
from sqlalchemy.orm import exc as orm_exc

from ...errors import Conflict, NotFound, OperationFailed, OutOfSpace, Stale, Transient, Unprocessable
from .mapping import Mapped

__all__ = ["failure_of"]


class Problem(Enum):
    """What may be wrong: the failure that it becomes, and what the client hears."""

    UNIQUE = Conflict, "Another resource has this value already."
    REFERENCE = Conflict, "A resource would refer to one that does not exist."
    EXCLUSION = Conflict, "The resource cannot exist beside another one."
    REFUSAL = Conflict, "What is stored does not allow the operation."
    STALE = Stale, "The resource was changed meanwhile."
    GONE = NotFound, "The resource was removed meanwhile."
    MISSING = Unprocessable, "A value is required."
    CHECK = Unprocessable, "The store does not accept this value."
    VALUE = Unprocessable, "The store cannot hold a value of this kind or size."
    BUSY = Transient, "The store is busy or cannot be reached."
    FULL = OutOfSpace, "The store has no room left."

    def __init__(self, failure: type[OperationFailed], detail: str) -> None:
        self.failure = failure
        self.detail = detail


class Finding(NamedTuple):
    """A problem, and where the database says that it is."""

    problem: Problem
    table: str | None = None
    columns: frozenset[str] = frozenset()
    key: str | None = None


def failure_of(error: Exception, concerned: Iterable[Mapped]) -> OperationFailed | None:
    """What an exception says about an operation, None for one that is a defect.

    :param concerned: the types of which resources were written.
    """
    concerned = list(concerned)
    finding = _orm(error, concerned) or _database(error)
    if finding is None:
        return None
    if finding.problem in (Problem.UNIQUE, Problem.STALE) and _is_about_membership(error, concerned):
        finding = Finding(Problem.BUSY)
    blame = next((blame for mapped in concerned if (blame := _blame(finding, mapped))), {})
    return finding.problem.failure(finding.problem.detail, **blame)


def _is_about_membership(error: Exception, concerned: Iterable[Mapped]) -> bool:
    """Whether another request has added or removed the same member meanwhile: then there is nothing left to do."""
    text = (getattr(error, "statement", None) or str(error)).replace('"', "").replace("`", "")
    tables = {
        secondary.name
        for mapped in concerned
        for relation in mapped.relations.values()
        if isinstance(secondary := relation.mapped.secondary, Table) and _tells_pairs_only(secondary)
    }
    written = re.match(r"(?:INSERT INTO|DELETE statement on table) '?([\w.]+)", text)
    return written is not None and written[1].rpartition(".")[2] in tables


def _tells_pairs_only(secondary: Table) -> bool:
    """Whether rows of the table are told apart by both of what they relate, and by nothing else that may be taken."""
    unique = [each for each in secondary.constraints if isinstance(each, UniqueConstraint | PrimaryKeyConstraint)]
    keys = [set(each.columns) for each in (*unique, *(index for index in secondary.indexes if index.unique))]
    both = {foreign.parent for foreign in secondary.foreign_keys}
    return all(both <= key for key in keys if key)


def _blame(finding: Finding, mapped: Mapped) -> dict[str, str] | None:
    columns = finding.columns
    if finding.key is not None:
        columns = mapped.model.names_in(finding.key) or frozenset([finding.key])
    for (table, column), blame in mapped.blame.items():
        if column in columns and finding.table in (None, table):
            return dict(blame)
    return None


def _orm(error: Exception, concerned: Iterable[Mapped]) -> Finding | None:
    if isinstance(error, orm_exc.ObjectDeletedError):
        return Finding(Problem.GONE)
    if isinstance(error, orm_exc.StaleDataError):
        # Rows of many-to-many relationships and those with a version may have changed; others can only be gone.
        versioned = any(model.version is not None for mapped in concerned for model in mapped.models)
        return Finding(Problem.GONE if str(error).startswith("UPDATE") and not versioned else Problem.STALE)
    if isinstance(error, orm_exc.FlushError) and "NULL identity key" in str(error):
        return Finding(Problem.MISSING)
    if isinstance(error, exc.CircularDependencyError):
        return Finding(Problem.REFUSAL)
    if isinstance(error, exc.TimeoutError | exc.DisconnectionError):
        return Finding(Problem.BUSY)
    return None


# ---------------------------------------------------------------------------------------------------------- databases

_SQLITE = {
    "SQLITE_CONSTRAINT_UNIQUE": Problem.UNIQUE,
    "SQLITE_CONSTRAINT_PRIMARYKEY": Problem.UNIQUE,
    "SQLITE_CONSTRAINT_ROWID": Problem.UNIQUE,
    "SQLITE_CONSTRAINT_FOREIGNKEY": Problem.REFERENCE,
    "SQLITE_CONSTRAINT_NOTNULL": Problem.MISSING,
    "SQLITE_CONSTRAINT_CHECK": Problem.CHECK,
    "SQLITE_CONSTRAINT_DATATYPE": Problem.VALUE,
    "SQLITE_CONSTRAINT_TRIGGER": Problem.REFUSAL,
    "SQLITE_MISMATCH": Problem.VALUE,
    "SQLITE_TOOBIG": Problem.VALUE,
    "SQLITE_FULL": Problem.FULL,
    "SQLITE_IOERR_SHMSIZE": Problem.FULL,  # no room for the index of the write-ahead log
}
_SQLITE_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CANTOPEN", "SQLITE_PROTOCOL", "SQLITE_IOERR")

_POSTGRESQL = {
    "23505": Problem.UNIQUE,
    "23503": Problem.REFERENCE,
    "23001": Problem.REFERENCE,
    "23502": Problem.MISSING,
    "23514": Problem.CHECK,
    "23P01": Problem.EXCLUSION,
    "42804": Problem.VALUE,
    "44000": Problem.CHECK,
    "P0001": Problem.REFUSAL,
    "40001": Problem.BUSY,
    "40P01": Problem.BUSY,
    "53100": Problem.FULL,
    "55P03": Problem.BUSY,
    "57014": Problem.BUSY,
    "57P01": Problem.BUSY,
    "57P02": Problem.BUSY,
    "57P03": Problem.BUSY,
    "57P05": Problem.BUSY,
    "25P03": Problem.BUSY,
    "25P04": Problem.BUSY,
}
_POSTGRESQL_CLASSES = {"22": Problem.VALUE, "54": Problem.VALUE, "08": Problem.BUSY, "53": Problem.BUSY}

_MYSQL = {
    **dict.fromkeys([1062, 1169, 1557, 1586, 1761, 1762], Problem.UNIQUE),
    **dict.fromkeys([1216, 1217, 1451, 1452], Problem.REFERENCE),
    **dict.fromkeys([1048, 1364], Problem.MISSING),
    **dict.fromkeys([3819, 4025], Problem.CHECK),
    **dict.fromkeys(
        [1153, 1241, 1264, 1265, 1292, 1366, 1367, 1406, 1411, 1425, 1426, 1441, 1690, 3140], Problem.VALUE
    ),
    1644: Problem.REFUSAL,
    **dict.fromkeys([1021, 1114], Problem.FULL),
    **dict.fromkeys([1020, 1040, 1047, 1053, 1158, 1159, 1160, 1161, 1180, 1203, 1205, 1213, 1317, 1927], Problem.BUSY),
    **dict.fromkeys([1402, 1613, 1614], Problem.BUSY),
    **dict.fromkeys([1969, 2002, 2003, 2006, 2013, 2014, 2055, 3024, 3101], Problem.BUSY),
}

_STRUCTURE = re.compile("type '(dict|list)' is not supported|adapt type '(dict|list)'|(dict|list) can not be used")
"""How the drivers of SQLite, PostgreSQL and MySQL say that a column cannot hold the object or array it was given."""


def _database(error: Exception) -> Finding | None:
    if isinstance(error, exc.DBAPIError):
        cause = error.orig
        return _sqlite(cause) or _postgresql(cause) or _mysql(cause) or _any_database(error)
    if isinstance(error, exc.StatementError):
        bad_value = isinstance(error.orig, TypeError | ValueError | ArithmeticError | LookupError)
        return Finding(Problem.VALUE) if bad_value else None
    if isinstance(error, OverflowError | UnicodeEncodeError) or _STRUCTURE.search(str(error)):
        return Finding(Problem.VALUE)  # the driver's own, as it was
    return None


def _any_database(error: exc.DBAPIError) -> Finding | None:
    if error.connection_invalidated or _is_confused(error):
        return Finding(Problem.BUSY)
    if isinstance(error, exc.IntegrityError):
        return Finding(Problem.REFUSAL)
    if isinstance(error, exc.DataError) or _STRUCTURE.search(str(error.orig)):
        return Finding(Problem.VALUE)
    if isinstance(error, exc.OperationalError) and error.statement is None:
        return Finding(Problem.BUSY)  # while connecting
    return None


def _is_confused(error: exc.DBAPIError) -> bool:
    """Whether a driver has lost its way in what it was told, as happens where a connection ends in the middle."""
    cause: Any = error.orig
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    return isinstance(error, exc.InternalError) and not (state or isinstance((*cause.args, None)[0], int))


def _sqlite(cause: Any) -> Finding | None:
    name = getattr(cause, "sqlite_errorname", "")
    if name not in _SQLITE:
        return Finding(Problem.BUSY) if name.startswith(_SQLITE_BUSY) else None
    # "UNIQUE constraint failed: people.name, people.born_at"
    places = [place.rpartition(".") for place in str(cause).partition("failed: ")[2].split(", ")]
    table = places[0][0] if name != "SQLITE_CONSTRAINT_CHECK" else ""
    return Finding(_SQLITE[name], table or None, frozenset(column for _, _, column in places if table))


def _postgresql(cause: Any) -> Finding | None:
    said = getattr(cause, "diag", None)  # PyMySQL has states of the same form, but not this
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or ""
    problem = _POSTGRESQL.get(state) or _POSTGRESQL_CLASSES.get(state[:2])
    if said is None or problem is None:
        return None
    # "Key (name, born_at)=(Ann, 2001-01-01) already exists."
    names = re.search(r"\(([^()]*)\)=\(", said.message_detail or "") if problem is not Problem.MISSING else None
    columns = names[1].split(", ") if names else [said.column_name or ""]
    return Finding(problem, said.table_name, frozenset(column.strip('"') for column in columns))


def _mysql(cause: Any) -> Finding | None:
    code, text = (*getattr(cause, "args", ()), None, None)[:2]
    problem = _MYSQL.get(code) if isinstance(code, int) else None
    if problem is None:
        return None
    text = str(text)
    if problem is Problem.UNIQUE:  # "Duplicate entry 'Ann' for key 'name'", in MySQL 'people.name'
        key = re.search(r"for key '(?:[^'.]*\.)?([^'.]*)'$", text)
        return Finding(problem, key=key[1] if key else None)
    # "... CONSTRAINT `c` FOREIGN KEY (`author_id`) ...", "Column 'name' ...", "... for column `db`.`people`.`name` ..."
    names = re.findall(r"(?:FOREIGN KEY \(|(?:[Cc]olumn|Field) (?:`[^`]*`\.){0,2})[`']([^`']+)[`']", text)
    return Finding(problem, columns=frozenset(names[-1:]))

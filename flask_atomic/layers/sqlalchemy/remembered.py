"""The table in which answers are remembered for those who send a request again."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    delete,
    insert,
    select,
)
from sqlalchemy.dialects.mysql import LONGBLOB
from sqlalchemy.exc import DBAPIError

from ...errors import ConfigurationError
from ...hookspecs import Remembered
from .unit import Place, Unit

__all__ = ["MissingTable", "forget", "idempotency_table", "recall", "remember", "table_for"]

_NAME = "atomic_idempotency_keys"
_INFO = "flask_atomic.idempotency_table"


def idempotency_table(metadata: MetaData) -> Table:
    """Declare the table `atomic_idempotency_keys`, in which answers are remembered under an `Idempotency-Key`.

    It stands in the database of the models with the same metadata, and is made as their tables are: by
    `metadata.create_all`, or by a migration, where Alembic finds it. Call this before the blueprint is registered.

    :param metadata: that of the models: `db.metadata`, `Base.metadata`.
    :return: the table; the same for every call.
    """
    table: Table | None = metadata.info.get(_INFO)
    if table is None:
        metadata.info[_INFO] = table = Table(
            _NAME,
            metadata,
            Column("digest", String(64), primary_key=True),
            Column("fingerprint", String(64), nullable=False),
            Column("status", SmallInteger, nullable=False),
            Column("body", LargeBinary().with_variant(LONGBLOB(), "mysql", "mariadb"), nullable=False),
            Column("expires", BigInteger, nullable=False, index=True),
        )
    return table


def table_for(metadata: MetaData | None) -> Table | None:
    """The table of that metadata, None if it was not declared."""
    return None if metadata is None else metadata.info.get(_INFO)


class MissingTable:
    """A context manager for what reads the table first: a failure of the database there has one reason as a rule.

    :raises ConfigurationError: instead of an exception of the database.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, DBAPIError):
            raise ConfigurationError(
                f"The table '{_NAME}' cannot be read. It was declared by idempotency_table(metadata); make it as those "
                f"of the models are made, by a migration or by metadata.create_all()."
            ) from error


def recall(unit: Unit, place: Place, table: Table, key: str, now: int) -> Remembered | None:
    """What is remembered; if that has expired, its row is deleted."""
    columns = table.c.fingerprint, table.c.status, table.c.body, table.c.expires
    found = unit.execute(place, select(*columns).where(table.c.digest == key)).one_or_none()
    if found is None or found.expires > now:
        return None if found is None else Remembered._make(found)
    unit.execute(place, delete(table).where(table.c.digest == key, table.c.expires <= now))
    return None


def remember(unit: Unit, place: Place, table: Table, key: str, remembered: Remembered) -> None:
    """Insert a row; the primary key has the database refuse a second one."""
    unit.execute(place, insert(table).values(digest=key, **remembered._asdict()))


def forget(unit: Unit, place: Place, table: Table, now: int) -> int:
    """Delete the rows that have expired, and return how many they were."""
    return unit.execute(place, delete(table).where(table.c.expires <= now)).rowcount

"""Defects to plant into the application: data layers that break one promise each. The checker has to find them all."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from flask_atomic import Conflict, Transient, UnknownOutcome
from flask_atomic.hookspecs import Remembered, Resource, hookimpl
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer

__all__ = ["LAYERS"]


class CommitsEarly(SQLAlchemyLayer):
    """Commits whatever is written, before the last operation."""

    @hookimpl
    def atomic_flush(self, unit: Any) -> bool:
        lost = super().atomic_flush(unit)
        unit.session.commit()
        return lost


class RetriesWithoutRollback(SQLAlchemyLayer):
    """Keeps what a try has written that is going to be made again."""

    @hookimpl
    def atomic_rollback(self, unit: Any) -> None:
        if isinstance(sys.exception(), Transient):
            unit.session.commit()
        super().atomic_rollback(unit)


class RemembersElsewhere(SQLAlchemyLayer):
    """Stores the key outside of the transaction: in one of its own, before the commit of the other."""

    @hookimpl
    def atomic_remember(self, unit: Any, resources: Sequence[Resource], key: str, remembered: Remembered) -> None:
        table = resources[0].options["model"].metadata.tables["atomic_idempotency_keys"]
        engine = unit.session.get_bind()
        try:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(insert(table).values(digest=key, **remembered._asdict()))
        except IntegrityError:
            raise Conflict("There is one.") from None


class ForgetsVersions(SQLAlchemyLayer):
    """Takes any version for the present one."""

    @hookimpl
    def atomic_match_version(self, unit: Any, resource: Resource, entity: Any, version: str) -> bool:
        return True


class WritesDifferences(SQLAlchemyLayer):
    """Writes no more of an update than what differs from what was read."""

    @hookimpl
    def atomic_update(
        self, unit: Any, resource: Resource, entity: Any, attributes: Mapping[str, Any], relationships: Any
    ) -> Any:
        changed = {name: value for name, value in attributes.items() if getattr(entity, name) != value}
        return super().atomic_update(unit, resource, entity, changed, relationships)


class TakesUnknownForFailed(SQLAlchemyLayer):
    """Says that nothing is stored when the connection is lost during the commit."""

    @hookimpl
    def atomic_commit(self, unit: Any) -> None:
        try:
            super().atomic_commit(unit)
        except UnknownOutcome as unknown:
            raise Transient(unknown.detail) from unknown


LAYERS: Mapping[str, type[SQLAlchemyLayer]] = {
    "commits-early": CommitsEarly,
    "retries-without-rollback": RetriesWithoutRollback,
    "remembers-elsewhere": RemembersElsewhere,
    "forgets-versions": ForgetsVersions,
    "takes-unknown-for-failed": TakesUnknownForFailed,
    "writes-differences": WritesDifferences,
}

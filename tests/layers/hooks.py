"""A hand on the hooks of the SQLAlchemy layer, for tests that speak to it as the core does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import Session, sessionmaker

from flask_atomic.hookspecs import Reference, Relationship
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from tests.layers.music import DECLARED, Base, resource

Given = Any | None | Sequence[Any]
"""An entity, none, or several."""


class Work:
    """One unit of work, by the types and relationships as documents name them."""

    def __init__(self, store: Store, layer: SQLAlchemyLayer | None = None) -> None:
        self.layer = layer or store.layer
        self.resources = store.resources
        self.unit = self.layer.atomic_begin()

    def get(self, type_: str, *ids: Any) -> Mapping[Any, Any]:
        return self.layer.atomic_get(self.unit, self.resources[type_], ids)

    def one(self, type_: str, id_: Any) -> Any:
        return self.get(type_, id_)[id_]

    def add(self, type_: str, id_: Any = None, /, **values: Any) -> Any:
        attributes, related = self._split(type_, values)
        return self.layer.atomic_add(self.unit, self.resources[type_], id_, attributes, related)

    def update(self, type_: str, entity: Any, /, **values: Any) -> None:
        attributes, related = self._split(type_, values)
        updated = self.layer.atomic_update(self.unit, self.resources[type_], entity, attributes, related)
        assert updated is entity

    def remove(self, type_: str, entity: Any) -> None:
        self.layer.atomic_remove(self.unit, self.resources[type_], entity)

    def join(self, type_: str, entity: Any, name: str, *members: Any) -> None:
        relationship = self.relationship(type_, name)
        related = self._related(relationship, members)
        self.layer.atomic_add_to_relationship(self.unit, self.resources[type_], entity, relationship, related)

    def leave(self, type_: str, entity: Any, name: str, *members: Any) -> None:
        relationship = self.relationship(type_, name)
        related = self._related(relationship, members)
        self.layer.atomic_remove_from_relationship(self.unit, self.resources[type_], entity, relationship, related)

    def set(self, type_: str, entity: Any, name: str, given: Given) -> None:
        relationship = self.relationship(type_, name)
        related = self._related(relationship, given)
        self.layer.atomic_set_relationship(self.unit, self.resources[type_], entity, relationship, related)

    def linkage(self, type_: str, name: str, *entities: Any) -> list[Any]:
        relationship = self.relationship(type_, name)
        return list(self.layer.atomic_linkage(self.unit, self.resources[type_], entities, relationship))

    def identify(self, type_: str, entity: Any) -> Any:
        return self.layer.atomic_identify(self.unit, self.resources[type_], entity)

    def flush(self) -> None:
        self.layer.atomic_flush(self.unit)

    def commit(self) -> None:
        self.layer.atomic_commit(self.unit)

    def rollback(self) -> None:
        self.layer.atomic_rollback(self.unit)

    def relationship(self, type_: str, name: str) -> Relationship:
        return self.resources[type_].relationships[name]

    def _split(self, type_: str, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[Relationship, Any]]:
        relationships = self.resources[type_].relationships
        attributes = {name: value for name, value in values.items() if name not in relationships}
        related = {
            relationships[name]: self._related(relationships[name], value)
            for name, value in values.items()
            if name in relationships
        }
        return attributes, related

    def _related(self, relationship: Relationship, given: Given) -> Any:
        related = self.resources[relationship.type]
        if relationship.many:
            return [Reference(related, entity, None, self._find_id) for entity in given]
        return None if given is None else Reference(related, given, None, self._find_id)

    def _find_id(self, reference: Reference) -> Any:
        if self.identify(reference.type, reference.entity) is None:
            self.flush()
        return self.identify(reference.type, reference.entity)


class Store:
    """A database with all tables, the layer on it, and the resource types that the layer claimed."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = create_engine(url)
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON"))
        Base.metadata.create_all(self.engine)
        self.resources = {claimed.type: claimed for claimed in map(resource, DECLARED.values(), DECLARED)}
        self.layer = self.layer_on(sessionmaker(self.engine))

    def layer_on(self, sessions: Any, **options: Any) -> SQLAlchemyLayer:
        """A layer that has claimed all types."""
        layer = SQLAlchemyLayer(sessions, **options)
        for claimed in self.resources.values():
            assert layer.atomic_claim(claimed) is layer
        return layer

    def empty(self) -> None:
        """Delete all rows."""
        with self.engine.begin() as connection:
            if self.dialect == "mysql":
                connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 0, innodb_lock_wait_timeout = 5")
            elif self.dialect == "sqlite":
                connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
            else:
                connection.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
                names = ", ".join(table.name for table in Base.metadata.sorted_tables)
                connection.exec_driver_sql(f"TRUNCATE {names}")
                return
            for table in Base.metadata.sorted_tables:
                connection.execute(table.delete())
            if self.dialect == "mysql":
                connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 1, innodb_lock_wait_timeout = DEFAULT")

    @property
    def dialect(self) -> str:
        """`sqlite`, `postgresql` or `mysql`."""
        return self.engine.dialect.name

    @contextmanager
    def work(self, *, commit: bool = True, layer: SQLAlchemyLayer | None = None) -> Iterator[Work]:
        """A unit that ends as the core would end it; afterwards no connection may be in use."""
        work = Work(self, layer)
        try:
            yield work
            if commit:
                work.flush()
                work.commit()
            else:
                work.rollback()
        except BaseException:
            work.rollback()
            raise
        finally:
            assert self.engine.pool.checkedout() == 0

    @contextmanager
    def counted(self) -> Iterator[list[str]]:
        """The statements that are executed meanwhile."""
        statements: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            statements.append(" ".join(statement.split()))

        event.listen(self.engine, "before_cursor_execute", note)
        try:
            yield statements
        finally:
            event.remove(self.engine, "before_cursor_execute", note)

    def insert(self, *entities: Any) -> None:
        """Put rows into the database, behind the back of the layer."""
        with Session(self.engine) as session, session.begin():
            session.add_all(entities)

    def rows(self, statement: Any) -> list[Any]:
        """What is committed, seen through another connection."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(statement)]

"""The data layer: each hook finds the mapped class of the resource type and leaves the work to the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import Table
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from ...errors import ConfigurationError, NotFound, OperationFailed
from ...hookspecs import Entity, Id, Reference, Related, Relationship, Remembered, Resource, hookimpl
from .failures import failure_of
from .isolation import check, early_bind, refuse_none
from .mapping import Mapped
from .model import identity_of, state_of
from .remembered import MissingTable, forget, recall, remember, table_for
from .rows import Link
from .to_many import ToMany
from .unit import Place, Unit
from .values import Accepting, foreign_ids, prepare, set_attributes, set_relationships, write_all

__all__ = ["SQLAlchemyLayer"]

_EMPTY: Mapping[Any, Any] = MappingProxyType({})


class SQLAlchemyLayer:
    """Keeps resources in mapped classes of SQLAlchemy.

    It serves the resource types that have the option `model`, the mapped class, whose primary key of one column (an
    integer, a string or a UUID) is the id. Every attempt at a request has a session of its own.

    :param sessions: the `SQLAlchemy` object of Flask-SQLAlchemy, a `sessionmaker` or a `scoped_session`.
    :param name: the name of the layer, for `resource(..., layer=)`.
    :param isolation_level: that of all transactions, "SERIALIZABLE" for instance; None for that of the engine.
    :param share_session: whether to use the session that the application has at that moment (`db.session`, or the
        `scoped_session` that was given) instead of a fresh one. A request fails with a 500 if that session has pending
        changes or an open transaction: they would be committed or rolled back together with the operations.
    :raises ConfigurationError: for arguments that do not fit.
    """

    def __init__(
        self,
        sessions: Any,
        *,
        name: str = "sqlalchemy",
        isolation_level: str | None = None,
        share_session: bool = False,
    ) -> None:
        if isolation_level is not None:
            refuse_none(isolation_level)
        self.name = name
        self._open_session = _session_factory(sessions, share_session)
        self._open_early = _session_factory(sessions, shared=False)
        self._isolation_level = isolation_level
        self._share_session = share_session
        self._mapped: dict[Resource, Mapped] = {}
        self._computes = False

    # ------------------------------------------------------------------------------------------------ at start-up

    @hookimpl
    def atomic_claim(self, resource: Resource) -> object | None:
        """Claim a type that has a `model`."""
        if "model" not in resource.options:
            return None
        self._mapped[resource] = mapped = Mapped.of(resource)
        bind = early_bind(self._open_early, mapped.model.mapper)
        if bind is not None:
            check(bind, self._isolation_level)
        self._computes = self._computes or not mapped.is_plain
        return self

    @hookimpl
    def atomic_independent(self, resource: Resource) -> bool:
        """False where rows depend on others or on listeners, and where another type is kept in the same rows."""
        mapped = self._mapped[resource]
        others = (other for other in self._mapped.values() if other is not mapped)
        return mapped.independent and not any(other.shares_rows(mapped) for other in others)

    @hookimpl
    def atomic_exclusive(self, resource: Resource, relationship: Relationship) -> bool:
        """True for one-to-one and one-to-many relationships."""
        relation = self._mapped[resource].relations.get(relationship)
        return relation is not None and relation.exclusive

    @hookimpl
    def atomic_versioned(self, resource: Resource) -> bool:
        """True for a model with a `version_id_col`."""
        return self._mapped[resource].model.version is not None

    @hookimpl
    def atomic_remembers(self, resource: Resource) -> bool:
        """Whether `idempotency_table` was called for the metadata of the model."""
        return self._memory(resource)[1] is not None

    # ------------------------------------------------------------------------------------------- the unit of work

    @hookimpl
    def atomic_begin(self) -> Unit:
        """Open a session; it connects when it is first used."""
        return Unit(
            self._open_session(),
            shared=self._share_session,
            isolation_level=self._isolation_level,
            computes=self._computes,
        )

    @hookimpl
    def atomic_commit(self, unit: Unit) -> None:
        """Commit, and close the session."""
        with self._failing(unit):
            unit.commit()

    @hookimpl
    def atomic_rollback(self, unit: Unit) -> None:
        """Roll back, and close the session."""
        unit.rollback()

    # --------------------------------------------------------------------------------------- identity and reading

    @hookimpl
    def atomic_parse_id(self, resource: Resource, text: str) -> Id | None:
        """The primary key that is written like that."""
        return self._mapped[resource].model.key.parse(text)

    @hookimpl
    def atomic_get(self, unit: Unit, resource: Resource, ids: Sequence[Id]) -> Mapping[Id, Entity]:
        """Read the rows; those whose key is equal in the eyes of the database only (case, spaces) are not the same."""
        with self._failing(unit):
            return unit.read(self._mapped[resource].model, ids)

    @hookimpl
    def atomic_identify(self, unit: Unit, resource: Resource, entity: Entity) -> Id | None:
        """The primary key as far as it is known."""
        return identity_of(self._mapped[resource].model, entity)

    @hookimpl
    def atomic_linkage(
        self, unit: Unit, resource: Resource, entities: Sequence[Entity], relationship: Relationship
    ) -> Sequence[Id | Sequence[Id] | None]:
        """The foreign key, or the answer to one SELECT for all entities."""
        mapped = self._mapped[resource]
        with self._failing(unit):
            if relationship in mapped.foreign_ids:
                return mapped.foreign_ids[relationship].linkage(unit, entities)
            return mapped.relations[relationship].linkage(unit, entities)

    @hookimpl
    def atomic_version(self, unit: Unit, resource: Resource, entities: Sequence[Entity]) -> Sequence[str | None]:
        """The values of the `version_id_col`."""
        with self._failing(unit):
            return unit.versions(self._mapped[resource].model, entities)

    @hookimpl
    def atomic_match_version(self, unit: Unit, resource: Resource, entity: Entity, version: str) -> bool:
        """Compare; the statement that writes the row compares again."""
        with self._failing(unit):
            matches = unit.versions(self._mapped[resource].model, [entity]) == [version]
        if matches:
            unit.will_match(entity)
        return matches

    # ------------------------------------------------------------------------------------------------- operations

    @hookimpl
    def atomic_add(
        self,
        unit: Unit,
        resource: Resource,
        id: Id | None,
        attributes: Mapping[str, Any],
        relationships: Mapping[Relationship, Related],
    ) -> Entity:
        """Insert a row with the next flush."""
        mapped = self._mapped[resource]
        values = dict(attributes)
        if relationships:
            values |= foreign_ids(mapped, relationships)
        if id is not None:
            values[mapped.model.key_name] = id
        with self._failing(unit):
            unit.writes(mapped.model)
            links = mapped.links(values, relationships)
            if links is None:
                prepare(mapped, unit, None, relationships)
            if links is not None and unit.holds_new_rows and mapped.model.is_made_of_values:
                entity = mapped.model.made_of(values)
            else:
                entity = _made(mapped, values)
            if not unit.insert(mapped.model, entity, links):
                unit.session.add(entity)
                unit.will_show(mapped.model, entity)
                set_relationships(mapped, unit, entity, relationships)
        return entity

    @hookimpl
    def atomic_update(
        self,
        unit: Unit,
        resource: Resource,
        entity: Entity,
        attributes: Mapping[str, Any],
        relationships: Mapping[Relationship, Related],
    ) -> Entity:
        """Update the row with the next flush."""
        mapped = self._mapped[resource]
        self._change(unit, mapped, entity, attributes, relationships)
        unit.will_show(mapped.model, entity)
        return entity

    @hookimpl
    def atomic_remove(self, unit: Unit, resource: Resource, entity: Entity) -> None:
        """Delete the row with the next flush. What happens to rows that refer to it is for the model to say."""
        mapped = self._mapped[resource]
        with self._failing(unit):
            self._will_write(unit, mapped, entity)
            unit.remove(mapped.model, entity, alone=mapped.removes_rows_alone)

    @hookimpl
    def atomic_add_all(
        self,
        unit: Unit,
        resource: Resource,
        ids: Sequence[Id | None],
        attributes: Sequence[Mapping[str, Any]],
        relationships: Sequence[Mapping[Relationship, Related]],
    ) -> Sequence[Entity] | None:
        """Insert rows with the next flush, if they are plain ones."""
        mapped = self._mapped[resource]
        with self._failing(unit):
            unit.writes(mapped.model)
            rows = self._new_rows(unit, mapped, ids, attributes, relationships)
            return None if rows is None else unit.insert_all(mapped.model, *rows)

    @hookimpl
    def atomic_update_all(
        self,
        unit: Unit,
        resource: Resource,
        ids: Sequence[Id],
        entities: Sequence[Entity | None],
        attributes: Sequence[Mapping[str, Any]],
        relationships: Sequence[Mapping[Relationship, Related]],
    ) -> Sequence[Entity] | None:
        """Update plain rows with the next flush. Where all is named that is shown, they need not be read."""
        mapped = self._mapped[resource]
        model = mapped.model
        with self._failing(unit):
            unit.attach()
            unit.writes(model)
            plain = unit.writes_past_session and not any(relationships) and mapped.keeps(attributes)
            if not plain or mapped.hands_over(set().union(*attributes), {}):
                return None
            if mapped.show_all(attributes) and all(entity is None for entity in entities):
                made = unit.update_unread(model, ids, attributes)
                if made is not None:
                    return made
            read = unit.complete(model, ids, entities)
            return read if unit.update_all(model, read, attributes) else None

    @hookimpl
    def atomic_remove_all(self, unit: Unit, resource: Resource, ids: Sequence[Id]) -> bool:
        """Delete plain rows with the next flush, which finds out whether they are there."""
        mapped = self._mapped[resource]
        with self._failing(unit):
            unit.attach()
            unit.writes(mapped.model)
            return mapped.removes_rows_alone and unit.remove_unread(mapped.model, ids)

    @hookimpl
    def atomic_add_to_relationship(
        self,
        unit: Unit,
        resource: Resource,
        entity: Entity,
        relationship: Relationship,
        related: Sequence[Reference],
    ) -> None:
        """Add members without reading the others."""
        mapped = self._mapped[resource]
        with self._failing(unit), Accepting(relationship.attribute):
            self._will_write(unit, mapped, entity)
            self._to_many(mapped, relationship).add(unit, entity, related)
            unit.keep_match(mapped.model, entity)

    @hookimpl
    def atomic_set_relationship(
        self, unit: Unit, resource: Resource, entity: Entity, relationship: Relationship, related: Related
    ) -> None:
        """Change the foreign key, or the difference between the members that are and those that should be."""
        self._change(unit, self._mapped[resource], entity, _EMPTY, {relationship: related})

    @hookimpl
    def atomic_remove_from_relationship(
        self,
        unit: Unit,
        resource: Resource,
        entity: Entity,
        relationship: Relationship,
        related: Sequence[Reference],
    ) -> None:
        """Remove members without reading the others."""
        mapped = self._mapped[resource]
        with self._failing(unit), Accepting(relationship.attribute):
            self._will_write(unit, mapped, entity)
            self._to_many(mapped, relationship).remove(unit, entity, related)
            unit.keep_match(mapped.model, entity)

    @hookimpl
    def atomic_flush(self, unit: Unit) -> bool:
        """Flush the session, and read again what may have been stored otherwise than it was given."""
        with self._failing(unit):
            return unit.settle()

    # ------------------------------------------------------------------------------------ requests that are sent again

    @hookimpl
    def atomic_recall(self, unit: Unit, resources: Sequence[Resource], key: str, now: int) -> Remembered | None:
        """Look into the table beside those of the models."""
        with MissingTable(), _Failing(unit, {}):
            return recall(unit, *self._known_memory(resources), key, now)

    @hookimpl
    def atomic_remember(self, unit: Unit, resources: Sequence[Resource], key: str, remembered: Remembered) -> None:
        """Insert a row. Where another unit has inserted one, the database waits for the end of that unit."""
        with _Failing(unit, {}):
            remember(unit, *self._known_memory(resources), key, remembered)

    @hookimpl
    def atomic_forget(self, unit: Unit, now: int) -> int:
        """Delete rows, in the databases of all models."""
        places = {table: place for place, table in map(self._memory, self._mapped) if table is not None}
        with _Failing(unit, {}):
            return sum(forget(unit, place, table, now) for table, place in places.items())

    def _memory(self, resource: Resource) -> tuple[Place, Table | None]:
        """Where the answer to a request is remembered that writes the type, and the table if there is one."""
        model = self._mapped[resource].model
        return model, table_for(getattr(model.mapper.local_table, "metadata", None))

    def _known_memory(self, resources: Sequence[Resource]) -> tuple[Place, Table]:
        place, table = self._memory(resources[0])
        assert table is not None  # atomic_remembers has said so
        return place, table

    def _change(
        self,
        unit: Unit,
        mapped: Mapped,
        entity: Entity,
        attributes: Mapping[str, Any],
        relationships: Mapping[Relationship, Related],
    ) -> None:
        values = dict(attributes)
        if relationships:
            values |= foreign_ids(mapped, relationships)
        with self._failing(unit):
            self._will_write(unit, mapped, entity)
            if mapped.hands_over(values, relationships):
                unit.hand_over(mapped.model, entity)
            if not unit.update(mapped.model, entity, values, mapped.links(values, relationships)):
                prepare(mapped, unit, entity, relationships)
                set_attributes(entity, values)
                set_relationships(mapped, unit, entity, relationships)
                write_all(mapped, entity, values, relationships)
                unit.keep_match(mapped.model, entity)

    def _new_rows(
        self,
        unit: Unit,
        mapped: Mapped,
        ids: Sequence[Id | None],
        attributes: Sequence[Mapping[str, Any]],
        relationships: Sequence[Mapping[Relationship, Related]],
    ) -> tuple[Sequence[dict[str, Any]], Sequence[Sequence[Link]]] | None:
        """The values and links of plain rows; None for what is more than that."""
        if not mapped.model.is_made_of_values:
            return None
        values = [dict(each) for each in attributes]
        if mapped.foreign_ids and any(relationships):
            for row, related in zip(values, relationships, strict=True):
                row |= foreign_ids(mapped, related)
        if any(id_ is not None for id_ in ids):
            for row, id_ in zip(values, ids, strict=True):
                if id_ is not None:
                    row[mapped.model.key_name] = id_
        if not mapped.keeps(values):
            return None
        links = [own for related in relationships if (own := mapped.links_of(related)) is not None]
        return (values, links) if len(links) == len(values) else None

    def _to_many(self, mapped: Mapped, relationship: Relationship) -> ToMany:
        relation = mapped.relations[relationship]
        if not isinstance(relation, ToMany):
            raise TypeError(f"{relationship.name} is no to-many relationship")
        return relation

    def _will_write(self, unit: Unit, mapped: Mapped, entity: Entity) -> None:
        unit.attach()
        state = state_of(entity)
        if not (state.persistent or state.pending):
            raise NotFound("The resource was removed meanwhile.")  # as an orphan, or by a cascade
        unit.writes(mapped.model)

    def _failing(self, unit: Unit) -> _Failing:
        return _Failing(unit, self._mapped)


class _Failing:
    """Raises what the database or SQLAlchemy refuses as the failure that it is, and a defect as it is."""

    __slots__ = ("_mapped", "_unit")

    def __init__(self, unit: Unit, mapped: Mapping[Resource, Mapped]) -> None:
        self._unit = unit
        self._mapped = mapped

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None or isinstance(error, OperationFailed) or not isinstance(error, Exception):
            return
        concerned = [mapped for mapped in self._mapped.values() if mapped.model in self._unit.writing]
        failure = failure_of(error, concerned)
        if failure is not None:
            raise failure from error


def _made(mapped: Mapped, values: dict[str, Any]) -> Entity:
    with Accepting():
        entity = mapped.make(values)
    set_attributes(entity, values)
    return entity


def _session_factory(sessions: Any, shared: bool) -> Callable[[], Session]:
    scoped = sessions if isinstance(sessions, scoped_session) else getattr(sessions, "session", None)
    if isinstance(scoped, scoped_session):
        return scoped if shared else lambda: scoped.session_factory()
    if isinstance(sessions, sessionmaker) and not shared:
        return sessions
    raise ConfigurationError(
        f"SQLAlchemyLayer cannot take sessions from {sessions!r}. Give it the SQLAlchemy object of Flask-SQLAlchemy or "
        f"a scoped_session, or, unless the session is to be shared, a sessionmaker: sessionmaker(engine)."
    )

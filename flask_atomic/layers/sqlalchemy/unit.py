"""One unit of work: a session, and what has to be remembered of it until it ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, cast

from sqlalchemy import Connection, CursorResult, Executable, Table, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import InstanceState, Mapper, Session
from sqlalchemy.orm.attributes import set_committed_value

from ...errors import Code, ConfigurationError, NotFound, OperationFailed, Unprocessable
from .commit import commit, has_changes, is_over, watch
from .isolation import check, forget_level, set_level
from .model import Model, identity_of, state_of
from .rows import Link, Rows, adds_unnoticed, is_plain, reads_unnoticed

__all__ = ["NotAtomic", "Place", "Unit"]

Place = Model | Table
"""What leads to a database: that of a model, or of a table."""

_OTHER_PARAMETERS = 100
"""How many bind parameters a statement may have besides the ids that it looks for."""


class NotAtomic(OperationFailed):
    """The operations write to several databases, which cannot commit as one."""

    code = Code.NOT_ATOMIC


class Unit:
    """A session for one attempt at one request.

    :param session: one without pending changes and without a transaction.
    :param shared: whether the session is the application's, which goes on using it.
    :param computes: whether what is shown of an entity may be computed from its relationships.
    :param isolation_level: that of every transaction of the unit; None for what the engine is set to.
    :raises ConfigurationError: if a shared session cannot be used now.
    """

    def __init__(self, session: Session, *, shared: bool, isolation_level: str | None, computes: bool = True) -> None:
        self._session = session
        self._rows = Rows(session)
        self._shared = shared
        self._isolation_level = isolation_level
        self._computes = computes
        self._autoflush = session.autoflush
        self._connections: dict[Place, Connection] = {}
        self._written_connections: list[Connection] = []
        self._kept: dict[InstanceState[Any], Any] = {}  # the session itself refers to entities weakly
        self._written: dict[Model, dict[InstanceState[Any], Any]] = {}
        self._removed: dict[Model, list[Any]] = {}
        self._last_unique: dict[Mapper[Any], Any] = {}
        self._linked: set[InstanceState[Any]] = set()
        self._matched: set[InstanceState[Any]] = set()
        self._deletes = False
        self._has_deleted = False
        _prepare(session, shared)
        if isolation_level is not None:
            set_level(session, isolation_level)

    @property
    def session(self) -> Session:
        """The session, in which every entity of the unit is found, and everything that waits."""
        self._leave_to_session()
        return self._session

    def _leave_to_session(self) -> None:
        """Have the session write what waits to be written past it."""
        self._rows.release()
        self._rows.release_changed()
        for model, removed in self._rows.release_removed().items():
            for entity in self.complete(model, list(removed), list(removed.values())):
                self._delete(model, entity)

    @property
    def holds_new_rows(self) -> bool:
        """Whether plain new rows may wait outside the session, which hears of them if it is to insert them."""
        return self._adds_late and not self._session.in_nested_transaction()

    @cached_property
    def _adds_late(self) -> bool:
        return not (self._shared or self._computes) and adds_unnoticed(self._session)

    @property
    def writes_past_session(self) -> bool:
        """Whether nobody notices that plain rows are written without the session."""
        return self.holds_new_rows and self._has_plain_session

    @cached_property
    def _has_plain_session(self) -> bool:
        return is_plain(self._session)

    @cached_property
    def _reads_unnoticed(self) -> bool:
        return reads_unnoticed(self._session)

    def attach(self) -> None:
        """Have the session know what was written past it."""
        self._rows.release()

    def commit(self) -> None:
        """Commit and close.

        :raises UnknownOutcome: if nobody can tell whether it was made.
        """
        try:
            self.flush()
            self._commit()
        except BaseException:
            with suppress(Exception):  # what is being raised says more, and closing ends each transaction
                self._roll_back()
            raise
        finally:
            self._close()

    def _commit(self) -> None:
        commit(self._session, {self._connection(place) for place in tuple(self._connections)})

    def rollback(self) -> None:
        """Roll back and close."""
        try:
            self._roll_back()
        except DBAPIError as error:
            if not is_over(error):
                raise
        finally:
            self._close()

    def _roll_back(self) -> None:
        self._session.rollback()

    def _close(self) -> None:
        if self._shared:
            self._session.autoflush = self._autoflush
        else:
            self._session.close()
        forget_level(self._session)

    # ---------------------------------------------------------------------------------------------------- reading

    def read(self, model: Model, ids: Sequence[Any], *, refresh: bool = False) -> dict[Any, Any]:
        """The entities with these ids that are in the database now, by id; nothing that waits is flushed.

        :param refresh: whether to overwrite what the session knows of them already.
        """
        found: dict[Any, Any] = {}
        for chunk in self.chunks(model, ids):
            statement = select(model.class_).where(model.key_attribute.in_(chunk)).options(*model.options)
            entities = self.session.scalars(statement, execution_options={"populate_existing": refresh}).all()
            self._kept.update((state_of(entity), entity) for entity in entities)
            found.update((identity_of(model, entity), entity) for entity in entities)
        wanted = set(ids)
        return found if found.keys() <= wanted else {id_: each for id_, each in found.items() if id_ in wanted}

    def complete(self, model: Model, ids: Sequence[Any], entities: Sequence[Any | None]) -> Sequence[Any]:
        """The entities with these ids, of which those that are None are read.

        :raises NotFound: unless all of them are in the database.
        """
        unread = [id_ for id_, entity in zip(ids, entities, strict=True) if entity is None]
        found = self.read(model, unread) if unread else {}
        if len(found) < len(unread):
            raise NotFound("There is no such resource.")
        return [found[id_] if entity is None else entity for id_, entity in zip(ids, entities, strict=True)]

    def chunks(self, model: Model, ids: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """The ids that the database can compare, in parts of which each fits into one statement."""
        dialect = self._connection(model).dialect
        fitting = [id_ for id_ in ids if model.key.fits(id_, dialect)]
        size = max(dialect.insertmanyvalues_max_parameters - _OTHER_PARAMETERS, 1)
        return (fitting[start : start + size] for start in range(0, len(fitting), size))

    def load(self, model: Model, entities: Sequence[Any], name: str) -> None:
        """Read what the session no longer knows of an attribute, for all entities at once."""
        self._rows.release_deleted()
        unknown = [entity for entity in entities if name in state_of(entity).expired_attributes]
        if unknown:
            self.read(model, [identity_of(model, entity) for entity in unknown])

    def keep(self, entity: Any) -> Any:
        """Keep an entity until what waits is written."""
        self._kept[state_of(entity)] = entity
        return entity

    # ---------------------------------------------------------------------------------------------------- writing

    def writes(self, model: Model) -> None:
        """Note that rows of the model are about to be written.

        :raises NotAtomic: if other rows of the unit are in another database.
        """
        if model in self._written:
            return
        self._note_written(self._connection(model))
        self._written[model] = {}

    def _note_written(self, connection: Connection) -> None:
        if connection not in self._written_connections:
            if self._written_connections and not self._session.twophase:
                raise NotAtomic("Resources that are kept in different databases cannot be changed by one request.")
            self._written_connections.append(connection)

    @property
    def writing(self) -> Mapping[Model, object]:
        """The models of which rows were written since the last `settle`."""
        return self._written

    def will_show(self, model: Model, entity: Any) -> None:
        """Note that the entity, which is being written, is to show what is stored after the next `settle`."""
        self._written[model][state_of(entity)] = entity

    def _will_show_all(self, model: Model, entities: Sequence[Any]) -> None:
        self._written[model].update((state_of(entity), entity) for entity in entities)

    def remove_unread(self, model: Model, ids: Sequence[Any]) -> bool:
        """Let the deletion of rows wait that need not have been read; False if they must be, or the session deletes.

        :param ids: those of different rows of which nothing but the row itself goes.
        """
        if not self._may_leave_unread(model):
            return False
        self._rows.remove_unread(model, ids)
        return True

    def _may_leave_unread(self, model: Model) -> bool:
        """Whether rows of the model may be written that were not read: nobody notices, and the statements find them."""
        unnoticed = self.writes_past_session and self._reads_unnoticed and model.is_read_unnoticed
        # Who rewrites statements may keep some rows from being read, and so from being written.
        return unnoticed and model.key.is_exact and not self._connection(model).dispatch.before_execute

    def remove(self, model: Model, entity: Any, *, alone: bool) -> None:
        """Delete the row with the next flush; at once where it might refer to the next one to be removed.

        :param alone: whether nothing but the row itself goes.
        """
        self.keep(entity)
        if alone and self.writes_past_session and state_of(entity).key is not None:
            self._rows.remove(model, entity)
            return
        self._part_from_itself(model, entity)
        self._delete(model, entity)
        if model.removal_spreads:
            self.flush()

    def _delete(self, model: Model, entity: Any) -> None:
        self._session.delete(entity)
        self._removed.setdefault(model, []).append(identity_of(model, entity))

    def _part_from_itself(self, model: Model, entity: Any) -> None:
        # A session finds no order to delete a row that refers to itself.
        for name in model.own_references:
            self.load(model, [entity], name)
            if getattr(entity, name) == identity_of(model, entity):
                setattr(entity, name, None)
                self.flush()

    def insert(self, model: Model, entity: Any, links: Sequence[Link] | None) -> bool:
        """Let a new row wait that is written past the session; False if it cannot be.

        :param links: its relationships, None if they are more than values of columns.
        """
        if links is None or not self.holds_new_rows or not self._rows.add(model, entity, links):
            return False
        self.will_show(model, entity)
        return True

    def insert_all(
        self, model: Model, values: Sequence[Mapping[str, Any]], links: Sequence[Sequence[Link]]
    ) -> Sequence[Any] | None:
        """Let new rows of a model that `is_made_of_values` wait that are written past the session.

        :param values: those of each row, by attribute.
        :param links: the relationships of each.
        :return: the entities, None if nothing can be written past the session.
        """
        if not self.holds_new_rows:
            return None
        entities = [model.made_of(each) for each in values]
        self._rows.add_all(model, entities, links)
        self._will_show_all(model, entities)
        return entities

    def update(self, model: Model, entity: Any, values: Mapping[str, Any], links: Sequence[Link] | None) -> bool:
        """Let changes of a row wait that are written past the session; False if they cannot be.

        :param values: what to change, by attribute.
        :param links: the relationships to change, None if they are more than values of columns.
        """
        if links is None or not (self.writes_past_session and state_of(entity).key is not None):
            return False
        if any(link.waits for link in links):
            return False
        self._rows.change(model, entity, values, links)
        return True

    def update_unread(
        self, model: Model, ids: Sequence[Any], values: Sequence[Mapping[str, Any]]
    ) -> Sequence[Any] | None:
        """Let changes of rows wait that need not have been read.

        :param ids: those of different rows.
        :param values: what to change of each, by attribute.
        :return: the entities, None if the rows must be read or are known to the session.
        """
        dialect = self._connection(model).dialect
        counts = dialect.supports_sane_rowcount and dialect.supports_sane_multi_rowcount
        if not (counts and all(values) and self._may_leave_unread(model)) or self._knows_any(model, ids):
            return None  # only a read tells whether a row is there of which nothing changes
        entities = self._rows.change_unread(model, ids, values)
        self._will_show_all(model, entities)
        return entities

    def _knows_any(self, model: Model, ids: Iterable[Any]) -> bool:
        known, key_of = self._session.identity_map, model.mapper.identity_key_from_primary_key
        return bool(known) and any(key_of((id_,)) in known for id_ in ids)

    def update_all(self, model: Model, entities: Sequence[Any], values: Sequence[Mapping[str, Any]]) -> bool:
        """Let changes of rows wait that are written past the session; False if they cannot be.

        :param values: what to change of each, by attribute.
        """
        if not self.writes_past_session or not all(state_of(entity).persistent for entity in entities):
            return False
        self._rows.change_all(model, entities, values)
        self._will_show_all(model, entities)
        return True

    def versions(self, model: Model, entities: Sequence[Any]) -> list[str | None]:
        """The version of each entity, as clients see it."""
        assert model.version is not None
        self.load(model, entities, model.version.name)
        return [model.version.text(entity) for entity in entities]

    def will_match(self, entity: Any) -> None:
        """Note that the operation which follows depends on the version of the entity."""
        self._matched.add(state_of(entity))

    def keep_match(self, model: Model, entity: Any) -> None:
        """Have a row whose version was compared be written, whatever the operation has changed."""
        if state_of(entity) in self._matched:
            self.renew(model, entity)

    def renew(self, model: Model, entity: Any) -> None:
        """Give an entity whose relationships change another version, if it has any."""
        state = state_of(entity)
        self._matched.discard(state)
        if model.version is not None and state.persistent:
            self.load(model, [entity], model.version.name)
            model.version.renew(entity)
            self.will_show(model, entity)

    def may_delete(self) -> None:
        """Note that the next flush may delete rows that nobody removed: orphans."""
        self._deletes = True

    def hand_over(self, model: Model, entity: Any) -> None:
        """Flush if an update of something unique would be written before one that came earlier.

        A flush writes rows in the order of their keys. Otherwise a value could be taken before it is given up, and
        the operations succeed together although they fail one after the other.
        """
        base, key = model.mapper.base_mapper, identity_of(model, entity)
        if base in self._last_unique and not _before(self._last_unique[base], key):
            self.flush()
        self._last_unique[base] = key

    def link(self, *entities: Any) -> None:
        """Note that a one-to-one relationship between entities is about to be set."""
        self._linked.update(map(state_of, entities))

    def is_linked(self, *entities: Any) -> bool:
        """Whether such a relationship of one of the entities waits for a flush."""
        return not self._linked.isdisjoint(map(state_of, entities))

    def flush(self) -> None:
        """Write what waits.

        :raises NotFound: if a row to be deleted is gone.
        """
        if self._rows.wait or has_changes(self._session):
            self._write()
        self._removed.clear()
        self._last_unique.clear()
        self._linked.clear()

    def _write(self) -> None:
        session = self._session
        if has_changes(session) or (self._rows.has_new and not self._has_plain_session):
            self._leave_to_session()
        elif self._rows.wait:
            self._write_plain_rows()
        if has_changes(session):
            self._check_removed()
            self._deletes = self._deletes or bool(session.deleted)
            touched = [*session.new, *session.dirty]
            inserted = list(session.new)
            session.flush()
            self._tell_nulls(inserted)
            self._forget(touched)

    def _tell_nulls(self, inserted: Iterable[Any]) -> None:
        """Have new entities know of the columns that they were given nothing for, as those do that were read.

        They are null. To an entity that does not know it, setting one to null is a change, and makes a version.
        """
        names = {model.mapper: model.columns & model.column.keys() for model in self._written}
        for entity in inserted:
            state = state_of(entity)
            unknown = names.get(state.mapper, frozenset()) - state.dict.keys() - state.expired_attributes
            for name in unknown if state.persistent else ():
                set_committed_value(entity, name, None)

    def _write_plain_rows(self) -> None:
        self._rows.insert(self._connection)
        self._rows.update(self._connection)
        if self._rows.delete(self._connection, self.chunks):
            self._kept.clear()
            self._has_deleted = True

    def settle(self) -> bool:
        """Write what waits, and make what was written show what is stored.

        :return: whether rows were deleted since the last time that nobody may have asked for.
        :raises NotFound: if a row is gone.
        :raises Unprocessable: if a value was stored that cannot be read.
        """
        self.flush()
        for model, entities in self._written.items():
            stale = [entity for state, entity in entities.items() if model.is_stale(state) and _is_stored(state)]
            if self._reread(model, stale) < len(stale):
                raise NotFound("The resource was removed meanwhile.")
        self._written.clear()
        self._kept.clear()  # what is still needed, the core refers to; the rest would make each flush take longer
        has_deleted, self._has_deleted = self._has_deleted, False
        return has_deleted

    def _reread(self, model: Model, stale: Sequence[Any]) -> int:
        if not stale:
            return 0
        try:
            return len(self.read(model, [identity_of(model, entity) for entity in stale], refresh=True))
        except LookupError as error:  # a member that an Enum does not have
            raise Unprocessable("The store cannot hold a value of this kind or size.") from error

    def _check_removed(self) -> None:
        """Lock the rows: the session deletes a row that is gone with no more than a warning."""
        for model, ids in self._removed.items():
            for chunk in self.chunks(model, ids):
                statement = select(model.key_attribute).where(model.key_attribute.in_(chunk)).with_for_update()
                if len(self.session.scalars(statement).all()) < len(chunk):
                    raise NotFound("The resource was removed meanwhile.")

    def _forget(self, touched: Sequence[Any]) -> None:
        """Drop what may no longer be true: relationships, and everything if the database may have cascaded.

        :param touched: the entities that were written. Where something that is shown is computed, relationships of
            others may have been read for it.
        """
        if self._deletes:
            self.session.expire_all()
            self._kept.clear()
            self._deletes = False
            self._has_deleted = True
            return
        names: dict[Mapper[Any], frozenset[str]] = {}
        for entity in self.session.identity_map.values() if self._computes else touched:
            state = state_of(entity)
            if state.mapper not in names:
                names[state.mapper] = frozenset(state.mapper.relationships.keys())
            if state.persistent and not names[state.mapper].isdisjoint(state.dict):
                self.session.expire(entity, names[state.mapper] & state.dict.keys())

    # -------------------------------------------------------------------------------------------------- databases

    def execute(self, place: Place, statement: Executable) -> CursorResult[Any]:
        """Run a statement in the database of a model or a table."""
        self._connection(place)
        return cast("CursorResult[Any]", self._session.execute(statement, bind_arguments=_leading_to(place)))

    def _connection(self, place: Place) -> Connection:
        """The connection of the session to the database of a model or a table."""
        connection = self._connections.get(place)
        if connection is None or connection.closed:  # by somebody who has ended the transaction
            bind = self._session.get_bind(**_leading_to(place))
            check(bind, self._isolation_level)
            connection = self._session.connection(bind_arguments={"bind": bind})
            if connection not in self._connections.values():
                watch(connection)
            self._connections[place] = connection
        return connection


def _leading_to(place: Place) -> Any:
    return {"mapper": place.mapper} if isinstance(place, Model) else {"clause": place}


def _prepare(session: Session, shared: bool) -> None:
    if not shared:
        session.expire_on_commit = False
    elif has_changes(session) or session.in_transaction():
        raise ConfigurationError(
            "The shared session has pending changes or an open transaction, which the operations would commit or roll "
            "back. Commit or roll back before the request reaches the endpoint, or do not share the session."
        )
    else:
        session.expire_all()
    session.autoflush = False
    if not session.in_transaction():
        session.begin()


def _is_stored(state: InstanceState[Any]) -> bool:
    """Whether an entity that was written has a row: not if it was an orphan, or has gone with another one."""
    return state.persistent or state.transient


def _before(earlier: Any, later: Any) -> bool:
    try:
        return bool(earlier < later)
    except TypeError:
        return False

"""One unit of work: a session, and what has to be remembered of it until it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, select
from sqlalchemy.orm import InstanceState, Mapper, Session

from ...errors import Code, ConfigurationError, NotFound, OperationFailed, Unprocessable
from .model import Model, identity_of, state_of

__all__ = ["NotAtomic", "Unit"]

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
        self.session = session
        self._shared = shared
        self._isolation_level = isolation_level
        self._computes = computes
        self._autoflush = session.autoflush
        self._binds: dict[Model, Engine | Connection] = {}
        self._written_binds: list[Engine | Connection] = []
        self._kept: dict[InstanceState[Any], Any] = {}  # the session itself refers to entities weakly
        self._written: dict[Model, dict[InstanceState[Any], Any]] = {}
        self._removed: dict[Model, list[Any]] = {}
        self._last_unique: dict[Mapper[Any], Any] = {}
        self._linked: set[InstanceState[Any]] = set()
        self._deletes = False
        self._has_deleted = False
        _prepare(session, shared)

    def commit(self) -> None:
        """Commit and close."""
        try:
            self.session.commit()
        except BaseException:
            self.session.rollback()
            raise
        finally:
            self._close()

    def rollback(self) -> None:
        """Roll back and close."""
        try:
            self.session.rollback()
        finally:
            self._close()

    def _close(self) -> None:
        if self._shared:
            self.session.autoflush = self._autoflush
        else:
            self.session.close()

    # ---------------------------------------------------------------------------------------------------- reading

    def read(self, model: Model, ids: Sequence[Any], *, refresh: bool = False) -> dict[Any, Any]:
        """The entities with these ids that are in the database now, by id; nothing that waits is flushed.

        :param refresh: whether to overwrite what the session knows of them already.
        """
        found = {}
        for chunk in self.chunks(model, ids):
            statement = select(model.class_).where(model.key_attribute.in_(chunk)).options(*model.options)
            for entity in self.session.scalars(statement, execution_options={"populate_existing": refresh}):
                found[identity_of(model, entity)] = self.keep(entity)
        wanted = set(ids)
        return {id_: entity for id_, entity in found.items() if id_ in wanted}

    def chunks(self, model: Model, ids: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """The ids that the database can compare, in parts of which each fits into one statement."""
        dialect = self._bind(model).dialect
        fitting = [id_ for id_ in ids if model.key.fits(id_, dialect)]
        size = max(dialect.insertmanyvalues_max_parameters - _OTHER_PARAMETERS, 1)
        return (fitting[start : start + size] for start in range(0, len(fitting), size))

    def load(self, model: Model, entities: Sequence[Any], name: str) -> None:
        """Read what the session no longer knows of an attribute, for all entities at once."""
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
        bind = self._bind(model)
        if bind not in self._written_binds:
            if self._written_binds and not self.session.twophase:
                raise NotAtomic("Resources that are kept in different databases cannot be changed by one request.")
            self._written_binds.append(bind)
        self._written.setdefault(model, {})

    @property
    def writing(self) -> Mapping[Model, object]:
        """The models of which rows were written since the last `settle`."""
        return self._written

    def will_show(self, model: Model, entity: Any) -> None:
        """Note that the entity, which is being written, is to show what is stored after the next `settle`."""
        self._written[model][state_of(entity)] = self.keep(entity)

    def remove(self, model: Model, entity: Any) -> None:
        """Delete the row with the next flush; at once where it might refer to the next one to be removed."""
        self.keep(entity)
        self._part_from_itself(model, entity)
        self.session.delete(entity)
        self._removed.setdefault(model, []).append(identity_of(model, entity))
        if model.removal_spreads:
            self.flush()

    def _part_from_itself(self, model: Model, entity: Any) -> None:
        # A session finds no order to delete a row that refers to itself.
        for name in model.own_references:
            self.load(model, [entity], name)
            if getattr(entity, name) == identity_of(model, entity):
                setattr(entity, name, None)
                self.flush()

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
        session = self.session
        if session.new or session.dirty or session.deleted:
            self._check_removed()
            self._deletes = self._deletes or bool(session.deleted)
            touched = [*session.new, *session.dirty]
            session.flush()
            self._forget(touched)
        self._removed.clear()
        self._last_unique.clear()
        self._linked.clear()

    def settle(self) -> bool:
        """Write what waits, and make what was written show what is stored.

        :return: whether rows were deleted since the last time that nobody may have asked for.
        :raises NotFound: if a row is gone.
        :raises Unprocessable: if a value was stored that cannot be read.
        """
        self.flush()
        for model, entities in self._written.items():
            stale = [entity for state, entity in entities.items() if state.persistent and model.is_stale(state)]
            if self._reread(model, stale) < len(stale):
                raise NotFound("The resource was removed meanwhile.")
        self._written.clear()
        self._kept.clear()  # what is still needed, the core refers to; the rest would make each flush take longer
        has_deleted, self._has_deleted = self._has_deleted, False
        return has_deleted

    def _reread(self, model: Model, stale: Sequence[Any]) -> int:
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

    def _bind(self, model: Model) -> Engine | Connection:
        """The database of a model, connected to at the isolation level of the unit."""
        bind = self._binds.get(model)
        if bind is None:
            bind = self.session.get_bind(model.mapper)
            if self._isolation_level is not None and bind not in self._binds.values():
                self.session.connection(
                    bind_arguments={"mapper": model.mapper},
                    execution_options={"isolation_level": self._isolation_level},
                )
            self._binds[model] = bind
        return bind


def _prepare(session: Session, shared: bool) -> None:
    if not shared:
        session.expire_on_commit = False
    elif session.new or session.dirty or session.deleted or session.in_transaction():
        raise ConfigurationError(
            "The shared session has pending changes or an open transaction, which the operations would commit or roll "
            "back. Commit or roll back before the request reaches the endpoint, or do not share the session."
        )
    else:
        session.expire_all()
    session.autoflush = False
    if not session.in_transaction():
        session.begin()


def _before(earlier: Any, later: Any) -> bool:
    try:
        return bool(earlier < later)
    except TypeError:
        return False

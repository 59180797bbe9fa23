"""Plain rows: those of a unit that are written many at a time, past the session's unit of work.

A session does a great deal for every entity that it writes. Where a model asks for none of it, one statement for all
rows comes to the same. What is written like that, `Mapped` decides; as soon as anything else needs
the session, it finds there what it would have found otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain
from operator import attrgetter
from types import NoneType
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ClauseElement, Connection, TypeDecorator, delete, false, func, select, update
from sqlalchemy.orm import InstanceState, Mapper, Session, make_transient_to_detached
from sqlalchemy.orm.attributes import flag_modified, set_committed_value
from sqlalchemy.schema import sort_tables

from ...errors import NotFound
from .changes import write
from .model import Model, identity_of, state_of

__all__ = ["Link", "Rows", "adds_unnoticed", "hold_expression", "is_plain", "reads_unnoticed"]

Connect = Callable[[Model], Connection]

_LARGEST = 2**63 - 1
_ADDING = attrgetter("add", "add_all")
_WRITING = attrgetter("delete", "flush")
_READING = attrgetter("execute", "scalar", "scalars")
_WHEN_READ = attrgetter("do_orm_execute", "loaded_as_persistent")
_WHEN_ADDED = attrgetter("before_attach", "after_attach", "transient_to_pending", "pending_to_transient")
_WHEN_WRITTEN = attrgetter(
    *("before_flush", "after_flush", "after_flush_postexec", "pending_to_persistent", "detached_to_persistent"),
    *("persistent_to_deleted", "persistent_to_detached", "deleted_to_detached", "deleted_to_persistent"),
)


def adds_unnoticed(session: Session) -> bool:
    """Whether nobody notices when an entity is added to the session."""
    return _is_as_made(session, _ADDING, _WHEN_ADDED)


def is_plain(session: Session) -> bool:
    """Whether nobody notices that a row is written past the session."""
    return adds_unnoticed(session) and _is_as_made(session, _WRITING, _WHEN_WRITTEN)


def reads_unnoticed(session: Session) -> bool:
    """Whether nobody notices, or has a say in it, when rows are read."""
    return _is_as_made(session, _READING, _WHEN_READ)


def _is_as_made(session: Session, methods: Callable[[Any], Any], events: Callable[[Any], Any]) -> bool:
    """Whether these methods are those of SQLAlchemy, and nobody listens to these events."""
    return methods(type(session)) == methods(Session) and not any(events(session.dispatch))


class Link(NamedTuple):
    """A to-one relationship of a row.

    :param attribute: what holds the related entity.
    :param local: what holds its key.
    :param target: the model of the related entity.
    :param related: the related entity, None for none.
    """

    attribute: str
    local: str
    target: Model
    related: Any | None

    @property
    def key(self) -> Any | None:
        """The key of the related entity; None also where it has none yet."""
        return None if self.related is None else identity_of(self.target, self.related)

    @property
    def waits(self) -> bool:
        """Whether the related entity has no key yet."""
        return self.related is not None and self.key is None


class _New(NamedTuple):
    """An entity whose row is to be inserted."""

    entity: Any
    links: Sequence[Link]


class Rows:
    """The plain rows of one unit.

    :param session: the session of the unit.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._new: dict[Model, list[_New]] = {}
        self._changed: dict[Model, dict[Any, tuple[Any, Mapping[str, Any]]]] = {}
        self._removed: dict[Model, dict[Any, Any | None]] = {}  # by id, with the entity if it was read
        self._unread: list[Any] = []  # entities of rows that are to be changed, and which the session does not know
        self._stored: list[Any] = []  # those of rows that were inserted or changed, likewise
        self._deleted: list[Any] | None = None  # None if the session knows of all rows that are gone
        self._other_ends: list[Any] = []  # entities whose relationships lead to rows that are written

    # ---------------------------------------------------------------------------------------------------- waiting

    def add(self, model: Model, entity: Any, links: Sequence[Link]) -> bool:
        """Let a new row wait; not if the entity has become more than a row: then False is returned."""
        if not model.relationships.isdisjoint(entity.__dict__):
            return False
        for link in links:
            set_committed_value(entity, link.attribute, link.related)
        self._other_ends += [link.related for link in links if link.related is not None]
        self._new.setdefault(model, []).append(_New(entity, links))
        return True

    def add_all(self, model: Model, entities: Sequence[Any], links: Sequence[Sequence[Link]]) -> None:
        """Let new rows wait: entities that were just made of the values of columns, and the links of each."""
        self._new.setdefault(model, []).extend(map(_New, entities, links))
        for entity, own in zip(entities, links, strict=True):
            for link in own:
                set_committed_value(entity, link.attribute, link.related)
                if link.related is not None:
                    self._other_ends.append(link.related)

    def change_all(self, model: Model, entities: Sequence[Any], values: Sequence[Mapping[str, Any]]) -> None:
        """Let changes of stored rows wait, of values and of no links."""
        for entity, new in zip(entities, values, strict=True):
            self._change(model, entity, state_of(entity), new)

    def change_unread(self, model: Model, ids: Sequence[Any], values: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        """Let changes of rows wait that were not read, and return entities that know no more of them than this."""
        entities = [model.made_of({**new, model.key_name: id_}) for id_, new in zip(ids, values, strict=True)]
        self._changed.setdefault(model, {}).update(zip(ids, zip(entities, values, strict=True), strict=True))
        self._unread += entities
        return entities

    def change(self, model: Model, entity: Any, values: Mapping[str, Any], links: Sequence[Link]) -> None:
        """Let changes of a stored row wait; the entity shows them at once.

        What already has the value is written, too: another request may have changed it since it was read, and then the
        one would be stored in part.
        """
        state = state_of(entity)
        if links:
            values = {**values, **{link.local: link.key for link in links}}
            ends = (end for link in links for end in (link.related, self._known(link, state.dict)))
            self._other_ends += [end for end in ends if end is not None]
        self._change(model, entity, state, values)
        for link in links:
            set_committed_value(entity, link.attribute, link.related)

    def _change(self, model: Model, entity: Any, state: InstanceState[Any], values: Mapping[str, Any]) -> None:
        _show(entity, state, values)
        if values:
            changed, id_ = self._changed.setdefault(model, {}), identity_of(model, entity)
            changed[id_] = (entity, {**changed[id_][1], **values} if id_ in changed else values)

    def remove(self, model: Model, entity: Any) -> None:
        """Let the removal of a stored row wait."""
        self._removed.setdefault(model, {})[identity_of(model, entity)] = entity

    def remove_unread(self, model: Model, ids: Iterable[Any]) -> None:
        """Let the removal of rows wait that may never have been read."""
        self._removed.setdefault(model, {}).update(dict.fromkeys(ids))

    @property
    def wait(self) -> bool:
        """Whether there is anything to write, or to be read again after it."""
        return bool(self._new or self._changed or self._removed or self._other_ends)

    @property
    def has_new(self) -> bool:
        """Whether new rows wait."""
        return bool(self._new)

    # ------------------------------------------------------------------------------------------------- the session

    def release(self) -> None:
        """Have the session know every entity."""
        self.release_deleted()
        self._release_stored()
        if self._new:
            waiting, self._new = self._new, {}
            for entry in chain.from_iterable(waiting.values()):
                self._release_new(entry)

    def _release_stored(self) -> None:
        if self._stored:
            for entity in self._stored:
                make_transient_to_detached(entity)
            self._session.add_all(self._stored)
            self._expire_relationships(self._stored)
            self._stored.clear()

    def release_deleted(self) -> None:
        """Have the session forget the entities whose rows are gone, and all else that it has read."""
        if self._deleted is not None:
            for entity in self._deleted:
                self._session.expunge(entity)
            self._deleted = None
            self._session.expire_all()  # the database may have changed more rows, or removed them

    def _release_new(self, new: _New) -> None:
        held = new.entity.__dict__
        related = {link.attribute: held.pop(link.attribute) for link in new.links}
        self._session.add(new.entity)
        for name, other in related.items():
            setattr(new.entity, name, other)

    def release_changed(self) -> None:
        """Leave to the session the changes of stored rows."""
        self._store_unread()
        self._release_stored()
        changed, self._changed = self._changed, {}
        for entities in changed.values():
            for entity, values in entities.values():
                for name in values:
                    flag_modified(entity, name)

    def _store_unread(self) -> None:
        self._stored += self._unread
        self._unread.clear()

    def release_removed(self) -> Mapping[Model, Mapping[Any, Any | None]]:
        """Forget the removals that wait, and return what is to be removed: by id, the entity if it was read."""
        removed, self._removed = self._removed, {}
        return removed

    def _known(self, link: Link, held: Mapping[str, Any]) -> Any | None:
        """The entity that a row was linked to, if the session knows it."""
        key = held.get(link.local)
        if key is None:
            return None
        return self._session.identity_map.get(link.target.mapper.identity_key_from_primary_key((key,)))

    def _expire_other_ends(self) -> None:
        ends, self._other_ends = self._other_ends, []
        self._expire_relationships(entity for entity in ends if state_of(entity).persistent)

    def _expire_relationships(self, entities: Iterable[Any]) -> None:
        """Have relationships that were read be read again: what was written may be the other end."""
        names: dict[Mapper[Any], frozenset[str]] = {}
        for entity in entities:
            mapper = state_of(entity).mapper
            if mapper not in names:
                names[mapper] = frozenset(mapper.relationships.keys())
            if names[mapper] and not names[mapper].isdisjoint(entity.__dict__):
                self._session.expire(entity, names[mapper] & entity.__dict__.keys())

    # ---------------------------------------------------------------------------------------------------- writing

    # Each is given what gives a connection to the database of a model.

    def insert(self, connect: Connect) -> None:
        """Insert the new rows; those that only the session can insert are left to it."""
        for model in self._in_order():
            entries = self._new[model]
            entities = [entry.entity for entry in entries]
            if not _fill(model, entries) or not _insert(connect(model), model, entities):
                break
            del self._new[model]
            self._stored += entities
        self._expire_other_ends()
        if self._new:
            self.release()

    def update(self, connect: Connect) -> None:
        """Update the rows that were changed.

        :raises NotFound: if one of them is gone.
        """
        changed, self._changed = self._changed, {}
        for model, entities in changed.items():
            changes = [(id_, values) for id_, (_, values) in entities.items()]
            if write(connect(model), model, changes) < len(changes):
                raise NotFound("There is no such resource, or it was removed meanwhile.")
            if model.relationships:
                self._expire_relationships(entity for entity, _ in entities.values())
        self._store_unread()
        self._expire_other_ends()

    def delete(self, connect: Connect, chunks: Callable[[Model, Sequence[Any]], Iterable[Sequence[Any]]]) -> bool:
        """Delete the rows that were removed.

        :param chunks: gives keys in parts that fit into one statement.
        :return: whether there were any.
        :raises NotFound: if one of them is gone.
        """
        removed, self._removed = self._removed, {}
        for model, entities in removed.items():
            connection = connect(model)
            deleted = 0
            for keys in chunks(model, list(entities)):
                deleted += connection.execute(
                    delete(model.table).where(model.column[model.key_name].in_(keys))
                ).rowcount
            if deleted < len(entities):
                raise NotFound("There is no such resource, or it was removed meanwhile.")
            self._deleted = [*(self._deleted or ()), *self._held(model, entities)]
        return bool(removed)

    def _held(self, model: Model, entities: Mapping[Any, Any | None]) -> Iterable[Any]:
        """Those of the entities that the session knows; None stands for one that may never have been read."""
        known = self._session.identity_map
        key_of = model.mapper.identity_key_from_primary_key
        held = [entity for entity in entities.values() if entity is not None]
        if known and len(held) < len(entities):
            unread = [known.get(key_of((id_,))) for id_, entity in entities.items() if entity is None]
            held += [entity for entity in unread if entity is not None]
        return held

    def _in_order(self) -> Sequence[Model]:
        """The models of new rows, those that are referred to first."""
        if len(self._new) < 2:
            return list(self._new)
        order = sort_tables(dict.fromkeys(model.table for model in self._new))
        return sorted(self._new, key=lambda model: order.index(model.table))


def _fill(model: Model, entries: Sequence[_New]) -> bool:
    """Give each entity what its columns will hold; False if one is related to more than keys can tell."""
    names = model.column.keys() - {model.key_name}
    for entity, links in entries:
        if not _has_just(entity, links, model.relationships):
            return False
        for link in links:
            if link.waits:
                return False
            set_committed_value(entity, link.local, link.key)
        held = entity.__dict__
        for name, default in model.defaults.items():
            if held.get(name) is None:
                set_committed_value(entity, name, default())
        for name in names.difference(held):
            set_committed_value(entity, name, None)
    return True


def _has_just(entity: Any, links: Sequence[Link], relationships: frozenset[str]) -> bool:
    """Whether these are the relationships of the entity; code of the application may have set others."""
    held = entity.__dict__
    if not all(held.get(link.attribute, link) is link.related for link in links):
        return False
    return not relationships or len(relationships & held.keys()) == len(links)


def _insert(connection: Connection, model: Model, entities: Sequence[Any]) -> bool:
    """Insert the rows in one go, and give the entities their keys; False if that cannot be done."""
    if not model.is_made_of_values and any(hold_expression(vars(each).values()) for each in entities):
        return False
    without_key = [entity for entity in entities if entity.__dict__.get(model.key_name) is None]
    if not without_key:
        connection.execute(model.insertion, _parameters(model, entities))
    elif len(without_key) < len(entities) or not _makes_keys(connection, model):
        return False
    elif len(entities) == 1:
        (parameters,) = _parameters(model, entities)
        key = connection.execute(model.insertion, parameters).inserted_primary_key
        assert key is not None  # it would be for an executemany
        _number(model, entities, key)
    elif connection.dialect.name == "sqlite":
        return _insert_numbered(connection, model, entities)
    elif connection.dialect.insert_executemany_returning_sort_by_parameter_order:
        statement = model.insertion.returning(model.column[model.key_name], sort_by_parameter_order=True)
        found = connection.execute(statement, _parameters(model, entities))
        _number(model, entities, found.scalars())
    else:
        return False
    return True


_NO_EXPRESSIONS = frozenset({str, int, float, bool, NoneType, bytes, Decimal, UUID, date, time, datetime})


def hold_expression(values: Iterable[Any]) -> bool:
    """Whether one of the values is to be computed by SQL; only the session can write it."""
    others = [value for value in values if type(value) not in _NO_EXPRESSIONS]
    return any(isinstance(value, ClauseElement) or hasattr(value, "__clause_element__") for value in others)


def _makes_keys(connection: Connection, model: Model) -> bool:
    """Whether the database makes the keys of new rows; SQLite only those that are the numbers of its rows."""
    type_ = model.column[model.key_name].type
    numbers = connection.dialect.name != "sqlite" or (
        not isinstance(type_, TypeDecorator) and type_.compile(dialect=connection.dialect) == "INTEGER"
    )
    return model.makes_keys and numbers


def _insert_numbered(connection: Connection, model: Model, entities: Sequence[Any]) -> bool:
    """SQLite tells the keys of new rows one by one only; so they are numbered here, as it would do."""
    column = model.column[model.key_name]
    # From here on nobody else writes, so that the numbers stay free.
    connection.execute(update(model.table).where(false()).values({column: column}))
    last = connection.scalar(select(func.max(column))) or 0
    if last > _LARGEST - len(entities):
        return False
    _number(model, entities, range(last + 1, last + 1 + len(entities)))
    connection.execute(model.insertion, _parameters(model, entities))
    return True


def _show(entity: Any, state: InstanceState[Any], values: Mapping[str, Any]) -> None:
    """Have an entity show values as if they had been read."""
    if state.modified or state.expired_attributes:
        for name, value in values.items():
            set_committed_value(entity, name, value)
    else:  # this is what comes of it, for nothing else is known of any attribute
        entity.__dict__.update(values)


def _number(model: Model, entities: Sequence[Any], keys: Iterable[Any]) -> None:
    for entity, key in zip(entities, keys, strict=True):
        entity.__dict__[model.key_name] = key


def _parameters(model: Model, entities: Sequence[Any]) -> list[dict[str, Any]]:
    names = [(name, column.key) for name, column in model.column.items()]
    if entities[0].__dict__.get(model.key_name) is None:
        names = [(name, key) for name, key in names if name != model.key_name]
    return [{key: shown.get(name) for name, key in names} for shown in map(vars, entities)]

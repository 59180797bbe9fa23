"""What a mapped class says about the rows that it stands for. Nothing here touches a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    CHAR,
    NCHAR,
    Boolean,
    CheckConstraint,
    Column,
    ColumnDefault,
    Date,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Insert,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    insert,
    inspect,
)
from sqlalchemy.orm import (
    ONETOMANY,
    ColumnProperty,
    InstanceState,
    InstrumentedAttribute,
    Load,
    LoaderCallableStatus,
    Mapper,
    lazyload,
    registry,
    undefer,
)
from sqlalchemy.orm.attributes import instance_state
from sqlalchemy.orm.interfaces import ORMOption
from sqlalchemy.types import TypeEngine

from ...errors import ConfigurationError
from .keys import Key, key_of
from .versions import Version

__all__ = ["ROW_EVENTS", "ROW_KEY", "Model", "identity_of", "state_of"]

ROW_EVENTS = ("before_insert", "after_insert", "before_update", "after_update", "before_delete", "after_delete")
"""The events of a mapper that see single rows."""

ROW_KEY = "row_key_"
"""The parameter of a statement that is the key of a row; no column may be called so."""

_EXACT: dict[type[TypeEngine[Any]], type] = {Boolean: bool, Integer: int, Date: date, LargeBinary: bytes, String: str}
"""Types of columns that keep a value of just this type as it is."""
_CONSTRUCTOR = registry().constructor
"""What SQLAlchemy gives to declarative classes: it sets the attributes that it is given."""

_PADDED = (CHAR, NCHAR)
_ON_DEMAND = ("select", True, "raise", "raise_on_sql", "noload", "dynamic", "write_only", None, False)


@dataclass(frozen=True, eq=False)
class Model:
    """A mapped class with a primary key of one column.

    :param key_name: the attribute that is the primary key.
    :param key: how its values are written as ids.
    :param columns: the attributes that are read with a row.
    :param expressions: the attributes that are computed by the database.
    :param exact: the attributes whose stored value is what was given if that has this type. In others fractions are
        rounded, offsets dropped, texts padded.
    :param unique_groups: the sets of columns whose values no two rows share.
    :param unique: the attributes of columns on which it may depend whether two rows are told apart.
    :param may_change_unnamed: whether an update can change columns that it does not name.
    :param has_defaults_of_tables: whether the default of a column may depend on what else is stored.
    :param refers_to_itself: whether a row can refer, perhaps by others, to another row of the same type.
    :param own_references: the attributes whose value may be the key of the row itself.
    :param options: how to read it, without its relationships and with what is shown.
    :param relationships: the attributes that hold other entities.
    :param column: the column of each attribute that is kept in one.
    :param defaults: what makes the values of attributes that a new row is not given.
    :param version: what tells one state of a row from another, if anything does.
    """

    class_: type[Any]
    mapper: Mapper[Any]
    key_name: str
    key: Key
    columns: frozenset[str]
    expressions: frozenset[str]
    exact: Mapping[str, type]
    unique_groups: tuple[frozenset[Column[Any]], ...]
    unique: frozenset[str]
    may_change_unnamed: bool
    has_defaults_of_tables: bool
    refers_to_itself: bool
    own_references: tuple[str, ...]
    options: tuple[ORMOption, ...]
    relationships: frozenset[str]
    column: Mapping[str, Column[Any]]
    defaults: Mapping[str, Callable[[], Any]]
    version: Version | None

    @classmethod
    def of(cls, class_: Any, shown: frozenset[str] = frozenset()) -> Model:
        """Describe a mapped class.

        :param shown: attributes that are to be read together with the row even if the class defers them.
        :raises ConfigurationError: if the class is not mapped or its primary key cannot be an id.
        """
        mapper = _mapper(class_)
        key_name, key = _primary_key(mapper)
        version = Version.of(mapper)
        shown |= set() if version is None else {version.name}
        columns = frozenset(
            property_.key for property_ in mapper.column_attrs if not property_.deferred or property_.key in shown
        )
        groups = tuple(_unique_groups(mapper))
        return cls(
            class_=class_,
            mapper=mapper,
            key_name=key_name,
            key=key,
            columns=columns,
            expressions=frozenset(each.key for each in mapper.column_attrs if not _columns(each)),
            exact=MappingProxyType({name: kept for name in columns if (kept := _exact(mapper.column_attrs[name]))}),
            unique_groups=groups,
            unique=_unique_attributes(mapper, groups),
            may_change_unnamed=_may_change_unnamed(mapper),
            has_defaults_of_tables=any(map(_looks_at_tables, mapper.columns)),
            refers_to_itself=_refers_to_itself(mapper),
            own_references=tuple(_own_references(mapper, key_name)),
            options=tuple(_options(mapper, shown)),
            relationships=frozenset(mapper.relationships.keys()),
            column=MappingProxyType({each.key: held[0] for each in mapper.column_attrs if (held := _columns(each))}),
            defaults=MappingProxyType(dict(_defaults(mapper))),
            version=version,
        )

    @cached_property
    def is_plain(self) -> bool:
        """Whether a row is nothing but the values of its attributes: one table, and nobody who listens.

        This is found out when the first row is written: until then, listeners may come.
        """
        return _is_plain(self.mapper)

    @cached_property
    def is_read_unnoticed(self) -> bool:
        """Whether nobody listens when a row is read. For a `reconstructor`, the mapper does."""
        listeners = self.mapper.class_manager.dispatch
        return not (listeners.load or listeners.refresh)

    @cached_property
    def is_made_of_values(self) -> bool:
        """Whether the class is called for nothing but to set attributes, and nobody listens when it is."""
        manager = self.mapper.class_manager
        has_own_init = manager.original_init not in (object.__init__, _CONSTRUCTOR)
        has_own_call = type(self.class_).__call__ is not type.__call__
        if has_own_init or has_own_call or "__new__" in _named_in(self.class_):
            return False
        return self.is_plain and all(map(_is_of_mapper, (*manager.dispatch.init, *manager.dispatch.init_failure)))

    def made_of(self, values: Mapping[str, Any]) -> Any:
        """A new entity that holds these values, by attribute, as if they had been set; nothing of the class is called.

        It stands for a new row of a class that `is_made_of_values`, or for a plain row that was not read.
        """
        entity = self.mapper.class_manager.new_instance()
        entity.__dict__.update(values)
        state = state_of(entity)
        state.committed_state = dict.fromkeys(values, LoaderCallableStatus.NO_VALUE)
        state.modified = True
        return entity

    @property
    def table(self) -> Table:
        """The one table of a plain model."""
        return cast(Table, self.mapper.local_table)

    @cached_property
    def insertion(self) -> Insert:
        """The statement that inserts rows of a plain model."""
        return insert(self.table)

    @cached_property
    def makes_keys(self) -> bool:
        """Whether the database numbers new rows one after the other."""
        column = self.column[self.key_name]
        options = self.table.dialect_options["sqlite"]
        return self.table.autoincrement_column is column and not options["autoincrement"] and options["with_rowid"]

    @property
    def key_attribute(self) -> InstrumentedAttribute[Any]:
        """The attribute of the class that is the primary key, for use in statements."""
        return self.attribute(self.key_name)

    def attribute(self, name: str) -> InstrumentedAttribute[Any]:
        """An attribute of the class, for use in statements."""
        attribute: InstrumentedAttribute[Any] = getattr(self.class_, name)
        return attribute

    @cached_property
    def removal_spreads(self) -> bool:
        """Whether the removal of one row may remove, or be refused for, what the next one to be removed refers to."""
        return self.refers_to_itself or any(
            each.cascade.delete and each.direction is not ONETOMANY for each in self.mapper.relationships
        )

    def columns_of(self, name: str) -> Sequence[Column[Any]]:
        """The columns that an attribute is kept in, none for an expression."""
        return _columns(self.mapper.column_attrs[name])

    def names_in(self, key: str) -> frozenset[str]:
        """The names of the columns in the constraint or index of that name."""
        keys: list[Any] = [each for table in _tables(self.mapper) for each in (*table.constraints, *table.indexes)]
        return frozenset(column.name for each in keys if each.name == key for column in getattr(each, "columns", ()))

    def is_stale(self, state: InstanceState[Any]) -> bool:
        """Whether an entity that was just written may differ from its row."""
        expired, held = state.expired_attributes, state.dict
        if expired and not self.columns.isdisjoint(expired):
            return True
        for name, kept in self._kept:
            value = held.get(name)
            if type(value) is not kept and value is not None:
                return True
        return False

    @cached_property
    def _kept(self) -> tuple[tuple[str, type | None], ...]:
        """Each attribute that is read with a row, and the type of the values that are stored as they are."""
        return tuple((name, self.exact.get(name)) for name in self.columns)

    def is_unique(self, columns: frozenset[Column[Any]]) -> bool:
        """Whether no two rows have the same values in these columns."""
        return any(group <= columns for group in self.unique_groups)

    def is_in_unique(self, columns: frozenset[Column[Any]]) -> bool:
        """Whether it may depend on one of these columns whether two rows are told apart."""
        return any(not columns.isdisjoint(self.columns_of(name)) for name in self.unique)


state_of: Callable[[Any], InstanceState[Any]] = instance_state
"""What SQLAlchemy keeps of an entity. Unlike the entity, it can always be hashed."""


def identity_of(model: Model, entity: Any) -> Any | None:
    """The primary key of an entity as far as it is known without asking the database."""
    state = state_of(entity)
    return state.dict.get(model.key_name) if state.key is None else state.key[1][0]


def _mapper(class_: Any) -> Mapper[Any]:
    mapper = inspect(class_, raiseerr=False) if isinstance(class_, type) else None
    if not isinstance(mapper, Mapper):
        raise ConfigurationError(
            f"model={class_!r} is not a mapped class. Give atomic.resource(...) a class that SQLAlchemy maps."
        )
    return mapper


def _primary_key(mapper: Mapper[Any]) -> tuple[str, Key]:
    name = mapper.class_.__name__
    if len(mapper.primary_key) != 1:
        raise ConfigurationError(
            f"The primary key of {name} has {len(mapper.primary_key)} columns, but an id is one value. Give the model "
            f"a surrogate key of one column, and a unique constraint over the others."
        )
    column = mapper.primary_key[0]
    key = key_of(column.type)
    if key is None:
        raise ConfigurationError(
            f"The primary key of {name} has the type {column.type!r}; ids can be read for integers, strings and UUIDs. "
            f"Use one of those, or give the TypeDecorator a python_type that is int, str or uuid.UUID."
        )
    return mapper.get_property_by_column(column).key, key


def _options(mapper: Mapper[Any], shown: frozenset[str]) -> Iterator[ORMOption]:
    """Leave all relationships alone: an eager to-many would bring all of its members along."""
    for each in mapper.self_and_descendants:
        for property_ in each.relationships:
            if property_.parent is each and property_.lazy not in _ON_DEMAND:
                attribute = getattr(each.class_, property_.key)
                yield lazyload(attribute) if each is mapper else Load(each.class_).lazyload(attribute)
    for column in mapper.column_attrs:
        if column.deferred and column.key in shown:
            yield undefer(getattr(mapper.class_, column.key))


def _columns(property_: ColumnProperty[Any]) -> Sequence[Column[Any]]:
    return [column for column in property_.columns if isinstance(column, Column)]


def _exact(property_: ColumnProperty[Any]) -> type | None:
    """The type of the values that are stored as they are; None if there is none."""
    for column in _columns(property_):
        type_ = column.type
        if isinstance(type_, Uuid):
            return UUID if type_.as_uuid else None
        if isinstance(type_, Enum):
            return type_.enum_class  # of texts, SQLAlchemy lets those pass that it cannot read back
        if not isinstance(type_, _PADDED):
            return next((kept for kind, kept in _EXACT.items() if isinstance(type_, kind)), None)
    return None


def _may_change_unnamed(mapper: Mapper[Any]) -> bool:
    """Whether columns change by themselves: by the database, or by validators and listeners for other attributes."""
    columns = (column for column in mapper.columns if isinstance(column, Column))
    if any(column.computed is not None or column.onupdate is not None for column in columns):
        return True
    return any(mapper.class_manager[each.key].dispatch.set for each in mapper.column_attrs)


def _looks_at_tables(column: Any) -> bool:
    """Whether a default is an expression of SQL, or a function that is given the context of the statement."""
    defaults = (getattr(column, "default", None), getattr(column, "onupdate", None))
    return any(
        default is not None and (default.is_clause_element or (default.is_callable and _takes_context(default.arg)))
        for default in defaults
    )


def _takes_context(function: Any) -> bool:
    """Whether it is the application's own; one that takes nothing, SQLAlchemy has put into one of its own."""
    return getattr(function, "__globals__", {}).get("__name__") != ColumnDefault.__module__


def _defaults(mapper: Mapper[Any]) -> Iterator[tuple[str, Callable[[], Any]]]:
    for property_ in mapper.column_attrs:
        for column in _columns(property_)[:1]:
            if isinstance(column.default, ColumnDefault) and not column.default.is_clause_element:
                yield property_.key, partial(_default, column.default)


def _default(default: ColumnDefault) -> Any:
    return default.arg(None) if default.is_callable else default.arg


def _is_plain(mapper: Mapper[Any]) -> bool:
    alone = list(mapper.base_mapper.self_and_descendants) == [mapper] and mapper.polymorphic_on is None
    listens = (
        any(getattr(mapper.dispatch, event) for event in ROW_EVENTS) or mapper.class_manager.dispatch.refresh_flush
    )
    return (
        alone
        and not listens
        and mapper.version_id_col is None
        and "__setattr__" not in _named_in(mapper.class_)
        and isinstance(mapper.local_table, Table)
        and list(mapper.tables) == [mapper.local_table]
        and not _may_change_unnamed(mapper)
        and all(map(_is_plain_column, mapper.local_table.columns))
        and all(len(property_.columns) == len(_columns(property_)) == 1 for property_ in mapper.column_attrs)
    )


def _is_of_mapper(listener: Any) -> bool:
    """Whether it is the mapper that listens: it only looks whether it is set up."""
    return getattr(listener, "__module__", None) == Mapper.__module__


def _named_in(class_: type) -> set[str]:
    """What a class and its bases define, but for what every object has."""
    return {name for each in class_.__mro__ if each is not object for name in vars(each)}


def _is_plain_column(column: Column[Any]) -> bool:
    """Whether what is stored is the value that is given, or that a function makes."""
    made_by_server = column.server_default is not None and not (column.identity and column.primary_key)
    if column.key == ROW_KEY or made_by_server or column.type.should_evaluate_none:
        return False
    return column.default is None or (
        isinstance(column.default, ColumnDefault) and not column.default.is_clause_element
    )


def _tables(mapper: Mapper[Any]) -> Iterator[Table]:
    return (table for table in mapper.tables if isinstance(table, Table))


def _unique_groups(mapper: Mapper[Any]) -> Iterator[frozenset[Column[Any]]]:
    """The columns of each unique constraint and index, except for indexes that hold for some rows only."""
    for table in _tables(mapper):
        for constraint in table.constraints:
            if isinstance(constraint, UniqueConstraint | PrimaryKeyConstraint):
                yield frozenset(constraint.columns)
        for index in table.indexes:
            if index.unique and index.columns and not _is_partial(index):
                yield frozenset(index.columns)


def _unique_attributes(mapper: Mapper[Any], groups: Iterable[frozenset[Column[Any]]]) -> frozenset[str]:
    columns = set[Column[Any]]().union(*groups)
    for table in _tables(mapper):
        for constraint in table.constraints:
            if isinstance(constraint, UniqueConstraint | PrimaryKeyConstraint):
                columns.update(constraint.columns)
            elif not isinstance(constraint, ForeignKeyConstraint | CheckConstraint):
                columns.update(_excluding(constraint, table))
        if any(index.unique and (_is_partial(index) or not index.columns) for index in table.indexes):
            columns.update(table.columns)  # its condition may speak of any column
    return frozenset(property_.key for property_ in mapper.column_attrs if not columns.isdisjoint(property_.columns))


def _excluding(constraint: Any, table: Table) -> Iterable[Column[Any]]:
    """The columns of an exclusion; all, if it is of expressions, of columns without a table, or of some rows only."""
    columns = getattr(constraint, "columns", None)
    if columns is None:
        return ()
    is_told = columns and getattr(constraint, "where", None) is None
    return columns if is_told and all(map(table.columns.contains_column, columns)) else table.columns


def _is_partial(index: Index) -> bool:
    return any(name.endswith("_where") for name in index.dialect_kwargs)


def _refers_to_itself(mapper: Mapper[Any]) -> bool:
    if any(each.mapper.common_parent(mapper) for each in mapper.relationships):
        return True
    own = {table for each in mapper.base_mapper.self_and_descendants for table in _tables(each)}
    seen: set[Any] = set()
    waiting = [foreign for table in own for foreign in table.foreign_keys if not _continues_parent(foreign)]
    while waiting:
        referred = waiting.pop().column.table
        if referred in own:
            return True
        if referred not in seen:
            seen.add(referred)
            waiting.extend(referred.foreign_keys)
    return False


def _continues_parent(foreign: ForeignKey) -> bool:
    """Whether it is the foreign key by which the table of a subclass continues that of its parent."""
    return foreign.parent.primary_key and foreign.parent.table is not foreign.column.table


def _own_references(mapper: Mapper[Any], key_name: str) -> Iterator[str]:
    key_columns = set(mapper.column_attrs[key_name].columns)
    for property_ in mapper.column_attrs:
        columns = [column for column in _columns(property_) if column.nullable]
        if any(foreign.column in key_columns for column in columns for foreign in column.foreign_keys):
            yield property_.key

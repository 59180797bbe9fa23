"""How a resource type is kept by its mapped class: checked at start-up, frozen for all requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import Parameter, getattr_static, signature
from itertools import chain
from types import MappingProxyType
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import MANYTOONE, Mapper, RelationshipProperty

from ...errors import ConfigurationError
from ...hookspecs import Related, Relationship, Resource
from .model import ROW_EVENTS, Model
from .relations import Relation
from .rows import Link, hold_expression
from .to_many import ToMany
from .to_one import ForeignId, ToOne, to_one

__all__ = ["Mapped"]


@dataclass(frozen=True, eq=False)
class Mapped:
    """A resource type and the class that keeps it.

    :param model: what the class says of its rows.
    :param relations: the relationships that a relationship() of the class keeps.
    :param foreign_ids: those that a column keeps, as an id.
    :param required: the arguments that the class cannot be called without.
    :param blame: for the table and the name of a column, what is to blame if the column is.
    """

    resource: Resource
    model: Model
    relations: Mapping[Relationship, ToOne | ToMany]
    foreign_ids: Mapping[Relationship, ForeignId]
    required: tuple[str, ...]
    blame: Mapping[tuple[str, str], Mapping[str, str]]

    @classmethod
    def of(cls, resource: Resource) -> Mapped:
        """Describe a resource type that has a `model`.

        :raises ConfigurationError: if the class cannot keep resources of the type.
        """
        try:
            return _Description(resource).mapped()
        except SQLAlchemyError as error:
            raise ConfigurationError(f"The model of '{resource.type}' cannot be used: {error}") from error

    @property
    def independent(self) -> bool:
        """Whether nothing that is written or shown depends on other rows, or on a listener that sees single rows."""
        mapper = self.model.mapper
        return (
            self.is_plain
            and not self.model.has_defaults_of_tables
            and not any(self._refers(name) for name in self.resource.codec.loaded_attributes)
            and not any(getattr(each.dispatch, event) for each in mapper.self_and_descendants for event in ROW_EVENTS)
        )

    @cached_property
    def keeps_plain_rows(self) -> bool:
        """Whether many rows may be written by one statement, without the session: nobody would notice."""
        loaded = self.resource.codec.loaded_attributes
        model = self.model
        alone = model.is_plain and not model.refers_to_itself and not self.required
        return self.independent and alone and loaded <= model.column.keys()

    @cached_property
    def removes_rows_alone(self) -> bool:
        """Whether the removal of a row is that of the row, as far as the session has a say in it."""
        relationships = self.model.mapper.relationships
        leads_away = all(each.direction is MANYTOONE and not each.cascade.delete for each in relationships)
        return self.keeps_plain_rows and leads_away

    @property
    def models(self) -> Iterator[Model]:
        """The models of the rows that a write may touch: those of the type, and those it is related to."""
        yield self.model
        yield from (relation.target for relation in self.relations.values())

    def keeps(self, values: Sequence[Mapping[str, Any]]) -> bool:
        """Whether plain rows hold all of these values, and not less than they say.

        :param values: of each row, by attribute. A schema may give others than those it declares, and they need not be
            columns; and for any, it may give an expression of SQL.
        """
        if not self.keeps_plain_rows or not self.model.column.keys() >= set().union(*values):
            return False
        return not hold_expression(chain.from_iterable(each.values() for each in values))

    def links(self, values: Mapping[str, Any], relationships: Mapping[Relationship, Related]) -> list[Link] | None:
        """The relationships as what a plain row holds of them; None if there is more to a write than a plain row.

        :param values: as for `keeps`.
        """
        return self.links_of(relationships) if self.keeps([values]) else None

    def links_of(self, relationships: Mapping[Relationship, Related]) -> list[Link] | None:
        """The relationships as what a plain row holds of them; None if that is not all of them."""
        links = []
        for relationship, related in relationships.items():
            relation = self.relations.get(relationship)
            if isinstance(relation, ToOne) and relation.is_plain:
                links.append(relation.link(related))
            elif relation is not None:
                return None
        return links

    def show_all(self, values: Sequence[Mapping[str, Any]]) -> bool:
        """Whether each of these, by attribute, has everything that is shown of a row."""
        return self._shown is not None and all(self._shown <= each.keys() for each in values)

    @cached_property
    def _shown(self) -> frozenset[str] | None:
        """The attributes that are shown of a row, apart from its key; None if that is not all."""
        if not (self.is_plain and self.resource.codec.dumps_attributes_alone):
            return None
        names = set(self.resource.codec.attributes)
        for relationship in self.resource.relationships.values():
            relation = self.relations.get(relationship)
            if relationship.shown and relation is not None:
                if not isinstance(relation, ToOne) or relation.local is None:
                    return None
                names.add(relation.local)
            elif relationship.shown:
                names.add(relationship.attribute)
        return frozenset(names - {self.model.key_name})

    @property
    def is_plain(self) -> bool:
        """Whether all that is shown is in columns."""
        plain = {each.key for each in self.model.mapper.column_attrs} - self.model.expressions
        return plain >= self.resource.codec.attributes.keys()

    def _refers(self, name: str) -> bool:
        """Whether the attribute is a foreign key: the row that it refers to may be one that waits."""
        return name in self.model.mapper.column_attrs and any(
            column.foreign_keys for column in self.model.columns_of(name)
        )

    def shares_rows(self, other: Mapped) -> bool:
        """Whether a row can be a resource of both types."""
        return self.model.mapper.common_parent(other.model.mapper)

    def hands_over(self, attributes: Iterable[str], relationships: Mapping[Relationship, Any]) -> bool:
        """Whether an update may touch a value that no two rows may share."""
        if self._never_unique is None or not self._never_unique.issuperset(attributes):
            return True
        if not relationships:
            return False
        relations = [self.relations[each] for each in relationships if each in self.relations]
        return any(self.model.is_in_unique(relation.columns) for relation in relations)

    @cached_property
    def _never_unique(self) -> frozenset[str] | None:
        """The attributes whose values rows may share; None if any update may change one that they may not."""
        model = self.model
        if model.may_change_unnamed and model.unique - {model.key_name}:
            return None
        return frozenset(model.mapper.column_attrs.keys()) - model.unique

    def make(self, values: dict[str, Any]) -> Any:
        """Call the class with the arguments that it must have; those that are not known are empty.

        :param values: by attribute; those that the class was called with are taken out.
        """
        if not self.required:
            return self.model.class_()
        relationships = self.model.mapper.relationships
        empty: dict[str, list[Any] | None] = {
            name: [] if name in relationships and relationships[name].uselist else None for name in self.required
        }
        return self.model.class_(**{name: values.pop(name, empty[name]) for name in self.required})


class _Description:
    """The making of a `Mapped`."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._model = Model.of(resource.options["model"], frozenset(resource.codec.attributes))
        self._mapper: Mapper[Any] = self._model.mapper
        self._class_name = self._model.class_.__name__

    def mapped(self) -> Mapped:
        self._check_id()
        for name in self._resource.codec.loaded_attributes:
            self._check_attribute(name)
        relations: dict[Relationship, ToOne | ToMany] = {}
        foreign_ids: dict[Relationship, ForeignId] = {}
        for relationship in self._resource.relationships.values():
            if relationship.attribute in self._mapper.column_attrs and not relationship.many:
                foreign_ids[relationship] = ForeignId(self._model, relationship.attribute)
            else:
                relations[relationship] = self._relation(relationship)
        return Mapped(
            resource=self._resource,
            model=self._model,
            relations=MappingProxyType(relations),
            foreign_ids=MappingProxyType(foreign_ids),
            required=tuple(self._required()),
            blame=MappingProxyType(dict(self._blame({**relations, **foreign_ids}))),
        )

    def _check_id(self) -> None:
        name = self._resource.codec.id_attribute
        if name not in ("id", self._model.key_name):
            raise ConfigurationError(
                f"The id of '{self._resource.type}' is declared to be the attribute '{name}', but the primary key of "
                f"{self._class_name} is '{self._model.key_name}'. Declare that, or nothing."
            )

    def _check_attribute(self, name: str) -> None:
        attribute = getattr_static(self._model.class_, name, None)
        if attribute is None and not hasattr(self._model.class_, name):
            raise ConfigurationError(
                f"'{self._resource.type}' has the attribute '{name}', which {self._class_name} lacks. Add it to the "
                f"model, name another one by attribute=, or make it dump_only."
            )
        read_only = isinstance(attribute, property | hybrid_property) and attribute.fset is None
        if read_only or name in self._model.expressions:
            raise ConfigurationError(
                f"The attribute '{name}' of {self._class_name} cannot be set, but clients of '{self._resource.type}' "
                f"may send it. Give it a setter, or make the field dump_only."
            )

    def _relation(self, relationship: Relationship) -> ToOne | ToMany:
        found = self._mapper.relationships.get(relationship.attribute)
        where = f"The relationship '{relationship.name}' of '{self._resource.type}'"
        if found is None:
            raise ConfigurationError(
                f"{where} is kept in the attribute '{relationship.attribute}', which is no relationship() of "
                f"{self._class_name}. Add one, or name another one by attribute=."
            )
        if bool(found.uselist) != relationship.many:
            raise ConfigurationError(
                f"{where} is declared with many={relationship.many}, but the relationship() of {self._class_name} "
                f"{'holds many' if found.uselist else 'holds one'}. Make them agree, by many= or by uselist=."
            )
        if found.viewonly and relationship.writable:
            raise ConfigurationError(
                f"{where} can be written by clients, but the relationship() of {self._class_name} is viewonly. Make "
                f"the field dump_only, or the relationship() writable."
            )
        return self._kind(relationship, found)

    def _kind(self, relationship: Relationship, found: RelationshipProperty[Any]) -> ToOne | ToMany:
        arguments = self._model, Model.of(found.mapper.class_), relationship.attribute, found
        return ToMany(*arguments) if relationship.many else to_one(Relation(*arguments))

    def _required(self) -> Iterator[str]:
        for name, parameter in signature(self._model.class_).parameters.items():
            if parameter.default is not Parameter.empty or parameter.kind in (
                Parameter.VAR_KEYWORD,
                Parameter.VAR_POSITIONAL,
            ):
                continue
            if name not in self._mapper.attrs and name not in self._resource.codec.loaded_attributes:
                raise ConfigurationError(
                    f"{self._class_name} cannot be made without the argument '{name}', which is none of its mapped "
                    f"attributes. Give it a default."
                )
            yield name

    def _blame(
        self, relations: Mapping[Relationship, ToOne | ToMany | ForeignId]
    ) -> Iterator[tuple[tuple[str, str], Mapping[str, str]]]:
        for relationship, relation in relations.items():
            for column in relation.columns:
                yield (column.table.name, column.name), {"relationship": relationship.attribute}
        for property_ in self._mapper.column_attrs:
            if property_.key in self._resource.codec.loaded_attributes:
                for column in self._model.columns_of(property_.key):
                    yield (column.table.name, column.name), {"attribute": property_.key}

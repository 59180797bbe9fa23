"""To-one relationships: their linkage, and how they are set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from sqlalchemy import Column, select
from sqlalchemy.orm import MANYTOONE, ONETOMANY, with_parent
from sqlalchemy.orm.attributes import get_history, set_committed_value
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression

from ...errors import Conflict, Refused
from ...hookspecs import Reference, Related
from .keys import alike, key_of
from .model import Model, identity_of, state_of
from .relations import Relation, has_listeners, inverses
from .rows import Link
from .unit import Unit

__all__ = ["ForeignId", "ToOne", "to_one"]


@dataclass(frozen=True, eq=False)
class ForeignId:
    """A relationship to a resource that is kept anywhere: a column that holds its id."""

    model: Model
    attribute: str

    def linkage(self, unit: Unit, entities: Sequence[Any]) -> Sequence[Any]:
        """For each entity the related id or None."""
        unit.load(self.model, entities, self.attribute)
        return [getattr(entity, self.attribute) for entity in entities]

    @property
    def columns(self) -> frozenset[Column[Any]]:
        """The columns of the model itself that say what is related."""
        return frozenset(self.model.columns_of(self.attribute))


@dataclass(frozen=True, eq=False)
class ToOne(Relation):
    """A to-one relationship.

    :param local: the attribute whose value is the related id, None if another table has to be asked.
    """

    local: str | None

    @cached_property
    def is_plain(self) -> bool:
        """Whether the relationship is the key in `local` and nothing else: nobody hears of it when it is set."""
        ends = (self.mapped, *inverses(self.mapped))
        alone = not (self.exclusive or self.makes_orphans or self.refers_to_itself)
        return self.local is not None and alone and not any(map(has_listeners, ends))

    def link(self, related: Related) -> Link:
        """What a plain row holds of the relationship."""
        assert self.local is not None
        return Link(self.attribute, self.local, self.target, _entity(related))

    def set(self, unit: Unit, entity: Any, related: Related) -> None:
        """Relate the entity to one other, or to none."""
        other = _entity(related)
        if other is None and self.makes_orphans and self.columns and state_of(entity).persistent:
            detail = "A resource of this type cannot be without the relationship; remove it instead."
            raise Refused(detail, relationship=self.attribute)
        self._assign(unit, entity, other)

    def _assign(self, unit: Unit, entity: Any, other: Any | None) -> None:
        if other is entity:
            self.relate_to_itself(entity, True)
            unit.session.expire(entity, [self.attribute])
        else:
            if self._is_own(unit, entity):
                self.relate_to_itself(entity, False)
                set_committed_value(entity, self.attribute, None)
            setattr(entity, self.attribute, other)
            if self.model.version and not self.columns and get_history(entity, self.attribute).has_changes():
                unit.renew(self.model, entity)
        if self.makes_orphans:
            unit.may_delete()

    def _is_own(self, unit: Unit, entity: Any) -> bool:
        """Whether the entity is related to itself at the moment."""
        if self.local is None or not self.refers_to_itself:
            return False
        unit.load(self.model, [entity], self.local)
        key = state_of(entity).dict.get(self.local)
        return key is not None and key == identity_of(self.model, entity)

    def linkage(self, unit: Unit, entities: Sequence[Any]) -> Sequence[Any]:
        """For each entity the related id or None."""
        if self.local is None:
            return [next(iter(ids), None) for ids in self.related_ids(unit, entities)]
        unit.load(self.model, entities, self.local)
        return [getattr(entity, self.local) for entity in entities]


@dataclass(frozen=True, eq=False)
class OneToOne(ToOne):
    """A one-to-one relationship: who is related already is set free first.

    That takes a flush of its own: under a unique constraint, the order in which one flush writes rows decides whether
    a partner can change hands.
    """

    @property
    def exclusive(self) -> bool:
        """Whether setting the relationship can take the related resource from another one."""
        return True

    def _assign(self, unit: Unit, entity: Any, other: Any | None) -> None:
        unit.link(entity, *([] if other is None else [other]))
        super()._assign(unit, entity, other)

    def _free(self, unit: Unit, owner: Any, partner: Any) -> None:
        if not self.clearable:
            detail = "A resource that cannot be without the relationship would lose it to another one."
            raise Conflict(detail, relationship=self.attribute)
        set_committed_value(owner, self.attribute, partner)
        self._know(partner, owner)
        self._assign(unit, owner, None)

    def _know(self, partner: Any, owner: Any | None) -> None:
        """Save the session the question what is at the other end."""
        if state_of(partner).persistent:
            for inverse in inverses(self.mapped):
                set_committed_value(partner, inverse.key, owner)


@dataclass(frozen=True, eq=False)
class OneToOneHere(OneToOne):
    """A one-to-one relationship whose foreign key is in the table of the model."""

    def prepare(self, unit: Unit, entity: Any | None, related: Related) -> None:
        """Take the related resource from the one that has it."""
        partner = _entity(related)
        if partner is None:
            return
        if unit.is_linked(partner):
            unit.flush()
        owner = self._owner(unit, partner)
        if owner is not None and unit.is_linked(owner):
            unit.flush()
            owner = self._owner(unit, partner)
        if owner is None:
            self._know(partner, None)
        elif owner is not entity:
            self._free(unit, owner, partner)
            unit.flush()

    def _owner(self, unit: Unit, partner: Any) -> Any | None:
        if not state_of(partner).persistent:
            return None
        found = select(self.model.class_).where(self.model.attribute(self.attribute) == partner)
        owner = unit.session.scalars(found.options(*self.model.options).limit(1)).first()
        return None if owner is None else unit.keep(owner)


@dataclass(frozen=True, eq=False)
class OneToOneThere(OneToOne):
    """A one-to-one relationship whose foreign key is in the table of the target."""

    def prepare(self, unit: Unit, entity: Any | None, related: Related) -> None:
        """Part the entity from the resource that it has."""
        if unit.is_linked(*(each for each in (entity, _entity(related)) if each is not None)):
            unit.flush()
        if entity is None:
            return
        partner = self._partner(unit, entity)
        if partner is not None and unit.is_linked(partner):
            unit.flush()
            partner = self._partner(unit, entity)
        if partner is None and state_of(entity).persistent:
            set_committed_value(entity, self.attribute, None)
        elif partner is not None and partner is not _entity(related):
            self._free(unit, entity, partner)
            unit.flush()

    def _partner(self, unit: Unit, entity: Any) -> Any | None:
        if not state_of(entity).persistent:
            return None
        found = select(self.target.class_).where(with_parent(entity, self.model.attribute(self.attribute)))
        partner = unit.session.scalars(found.options(*self.target.options).limit(1)).first()
        return None if partner is None else unit.keep(partner)


def to_one(relation: Relation) -> ToOne:
    """The kind of to-one relationship that `relation` is."""
    arguments = relation.model, relation.target, relation.attribute, relation.mapped, _local(relation)
    if relation.mapped.direction is ONETOMANY:
        return OneToOneThere(*arguments)
    scalar_inverse = any(not inverse.uselist for inverse in inverses(relation.mapped))
    if relation.mapped.direction is MANYTOONE and (scalar_inverse or relation.model.is_unique(relation.columns)):
        return OneToOneHere(*arguments)
    return ToOne(*arguments)


def _local(relation: Relation) -> str | None:
    mapped, target = relation.mapped, relation.target
    join = mapped.primaryjoin
    if mapped.direction is not MANYTOONE or not isinstance(join, BinaryExpression) or join.operator is not operators.eq:
        return None
    (local, remote), *others = mapped.local_remote_pairs or ()
    if others or remote not in target.mapper.column_attrs[target.key_name].columns:
        return None
    names = [each.key for each in relation.model.mapper.column_attrs if local in each.columns]
    return names[0] if names and alike(key_of(local.type), target.key) else None


def _entity(related: Related) -> Any | None:
    return cast("Reference", related).entity if related is not None else None

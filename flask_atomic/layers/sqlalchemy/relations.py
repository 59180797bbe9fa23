"""What all relationships of mapped classes have in common: what the mapping says of them, and how linkage is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Column, select
from sqlalchemy.orm import MANYTOMANY, MANYTOONE, RelationshipProperty, aliased

from ...hookspecs import Related
from .model import Model, identity_of
from .unit import Unit

__all__ = ["Relation", "has_listeners", "inverses"]


@dataclass(frozen=True, eq=False)
class Relation:
    """A relationship() of a model, as far as it makes no difference how many it holds.

    :param model: the class that has it.
    :param target: the class that it leads to.
    :param attribute: the attribute that holds it.
    :param mapped: what SQLAlchemy knows of it.
    """

    model: Model
    target: Model
    attribute: str
    mapped: RelationshipProperty[Any]

    @property
    def exclusive(self) -> bool:
        """Whether setting the relationship can take the related resource from another one."""
        return False

    @cached_property
    def columns(self) -> frozenset[Column[Any]]:
        """The columns of the model itself that say what is related."""
        return frozenset(_foreign_columns(self.mapped)) if self.mapped.direction is MANYTOONE else frozenset()

    @cached_property
    def refers_to_itself(self) -> bool:
        """Whether rows of the model refer to each other, in either direction."""
        return self.mapped.direction is not MANYTOMANY and self.mapped.mapper.common_parent(self.model.mapper)

    @cached_property
    def makes_orphans(self) -> bool:
        """Whether a row that is no longer related is deleted."""
        return any(each.cascade.delete_orphan for each in (self.mapped, *inverses(self.mapped)))

    @cached_property
    def clearable(self) -> bool:
        """Whether rows that are related can be left unrelated."""
        if self.mapped.direction is MANYTOMANY or self.makes_orphans:
            return True
        return all(column.nullable for column in _foreign_columns(self.mapped))

    def relate_to_itself(self, entity: Any, related: bool) -> None:
        """Write the foreign key of an entity that is, or was, at both ends; a session cannot find an order for that."""
        here = self.mapped.direction is MANYTOONE
        for local, remote in self.mapped.local_remote_pairs or ():
            foreign, own = (local, remote) if here else (remote, local)
            name, own_name = (self.model.mapper.get_property_by_column(each).key for each in (foreign, own))
            setattr(entity, name, getattr(entity, own_name) if related else None)

    def prepare(self, unit: Unit, entity: Any | None, related: Related) -> None:
        """Make way for `set` where that needs a flush, before anything of the operation waits itself.

        :param entity: None for one that is about to be added.
        """

    @cached_property
    def _target(self) -> Any:
        """What the target is called in statements that may be about two of one class: costly to make."""
        return aliased(self.target.class_)

    def related_ids(self, unit: Unit, entities: Sequence[Any]) -> list[list[Any]]:
        """The related ids of each entity, as they are in the database."""
        ids = [identity_of(self.model, entity) for entity in entities]
        related: dict[Any, list[Any]] = {id_: [] for id_ in ids}
        target = self._target
        target_key = getattr(target, self.target.key_name)
        for chunk in unit.chunks(self.model, list(related)):
            statement = (
                select(self.model.key_attribute, target_key)
                .join(self.model.attribute(self.attribute).of_type(target))
                .where(self.model.key_attribute.in_(chunk))
                .order_by(target_key)
            )
            for id_, related_id in unit.session.execute(statement):
                related[id_].append(related_id)
        return [related[id_] for id_ in ids]


def inverses(mapped: RelationshipProperty[Any]) -> list[RelationshipProperty[Any]]:
    """The relationships that are the other end of this one."""
    return [
        other
        for other in mapped.mapper.relationships
        if mapped.key == other.back_populates or other.key == mapped.back_populates
        if other.mapper.common_parent(mapped.parent) and not other.viewonly
    ]


_OF_SQLALCHEMY = ("sqlalchemy.orm.attributes", "sqlalchemy.orm.unitofwork")
"""Where the listeners are that SQLAlchemy itself puts on every relationship."""


def has_listeners(mapped: RelationshipProperty[Any]) -> bool:
    """Whether the application hears of it when the relationship is set."""
    dispatch = mapped.class_attribute.dispatch
    listeners = (*dispatch.set, *dispatch.append, *dispatch.remove, *dispatch.bulk_replace)
    return any(listener.__module__ not in _OF_SQLALCHEMY for listener in listeners)


def _foreign_columns(mapped: RelationshipProperty[Any]) -> list[Column[Any]]:
    """The columns that refer to the other side, in whichever of the two tables they are."""
    here = mapped.direction is MANYTOONE
    return [local if here else remote for local, remote in mapped.local_remote_pairs or ()]  # type: ignore[misc]

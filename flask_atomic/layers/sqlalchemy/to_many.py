"""To-many relationships: members come and go without the others being loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Select, select
from sqlalchemy.orm import ONETOMANY, with_parent
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.collections import collection_adapter

from ...errors import Refused
from ...hookspecs import Reference, Related
from .model import identity_of, state_of
from .relations import Relation, inverses
from .unit import Unit

__all__ = ["ToMany"]

_UNORDERED = (None, list, set)
"""Classes of collection in which a member does not depend on the others; a list gets its order from the database."""


@dataclass(frozen=True, eq=False)
class ToMany(Relation):
    """A one-to-many or many-to-many relationship."""

    @property
    def exclusive(self) -> bool:
        """Whether a member of one is a member of no other."""
        return self.mapped.direction is ONETOMANY

    def prepare(self, unit: Unit, entity: Any | None, related: Related) -> None:
        """See to it that the database knows who the members are."""
        if entity is not None:
            unit.flush()

    def set(self, unit: Unit, entity: Any, related: Related) -> None:
        """Make these the members."""
        wanted = _entities(related)
        present = self._members(unit, entity) if state_of(entity).persistent else []
        self._show(entity, present)
        self._change(unit, entity, joining=_without(wanted, present), leaving=_without(present, wanted))

    def add(self, unit: Unit, entity: Any, related: Related) -> None:
        """Add those that are no members yet."""
        unit.flush()
        wanted = _entities(related)
        joining = _without(wanted, self._members(unit, entity, among=wanted))
        if joining:
            self._show(entity, [] if self.mapped.collection_class in _UNORDERED else self._members(unit, entity))
            self._change(unit, entity, joining=joining)
            unit.flush()  # nobody is to see the part of the members that was shown to the session

    def remove(self, unit: Unit, entity: Any, related: Related) -> None:
        """Remove those that are members."""
        unit.flush()
        leaving = self._members(unit, entity, among=_entities(related))
        if leaving:
            plain = self.mapped.collection_class in _UNORDERED
            self._show(entity, leaving if plain else self._members(unit, entity))
            self._change(unit, entity, leaving=leaving)
            unit.flush()

    def linkage(self, unit: Unit, entities: Sequence[Any]) -> Sequence[Any]:
        """For each entity the ids of its members."""
        return self.related_ids(unit, entities)

    def _members(self, unit: Unit, entity: Any, *, among: Sequence[Any] | None = None) -> list[Any]:
        """The members, or those of some entities that are members, as the database has it."""
        target = self.target
        members = select(target.class_).where(with_parent(entity, self.model.attribute(self.attribute)))
        if among is None:
            return self._read(unit, members)
        ids = [identity_of(target, each) for each in among]
        chunks = unit.chunks(target, ids)
        return [each for chunk in chunks for each in self._read(unit, members.where(target.key_attribute.in_(chunk)))]

    def _read(self, unit: Unit, members: Select[Any]) -> list[Any]:
        found = unit.session.scalars(members.options(*self.target.options))
        return [unit.keep(member) for member in found.unique()]

    @property
    def _is_streamed(self) -> bool:
        """Whether the attribute never holds members, but has methods that add and remove them."""
        return self.mapped.lazy in ("dynamic", "write_only")

    def _show(self, entity: Any, members: Sequence[Any]) -> None:
        """Make the session believe that these are all members: changes of them are all that it will write."""
        if state_of(entity).persistent and not self._is_streamed:
            set_committed_value(entity, self.attribute, self._without_itself(entity, members))

    def _change(self, unit: Unit, entity: Any, *, joining: Sequence[Any] = (), leaving: Sequence[Any] = ()) -> None:
        if leaving and not self.clearable:
            detail = "A member cannot be without the relationship; relate it to another resource, or remove it."
            raise Refused(detail, relationship=self.attribute)
        if self.makes_orphans:
            unit.may_delete()
        if len(self._without_itself(entity, [*joining, *leaving])) < len(joining) + len(leaving):
            self.relate_to_itself(entity, any(member is entity for member in joining))
        self._write(entity, self._without_itself(entity, joining), self._without_itself(entity, leaving))
        if joining or leaving:
            unit.renew(self.model, entity)

    def _without_itself(self, entity: Any, members: Sequence[Any]) -> Sequence[Any]:
        return _without(members, [entity]) if self.mapped.direction is ONETOMANY else members

    def _write(self, entity: Any, joining: Sequence[Any], leaving: Sequence[Any]) -> None:
        collection = getattr(entity, self.attribute)
        adapter = None if self._is_streamed else collection_adapter(collection)
        for member in leaving:
            adapter.remove_with_event(member) if adapter else collection.remove(member)
        for member in joining:
            if self.refers_to_itself and state_of(member).persistent:
                _hide_owner(self, member)
            adapter.append_with_event(member) if adapter else collection.add(member)


def _hide_owner(relation: Relation, member: Any) -> None:
    """Keep the session from asking who had a member before: it finds no order for one that had itself."""
    for inverse in inverses(relation.mapped):
        set_committed_value(member, inverse.key, None)


def _entities(related: Related) -> list[Any]:
    """The entities of the references; one that exists nowhere has none."""
    references = cast("Sequence[Reference]", related)
    return [reference.entity for reference in references if reference.entity is not None]


def _without(entities: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    left_out = {id(other) for other in others}
    return [entity for entity in entities if id(entity) not in left_out]

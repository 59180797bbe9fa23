"""Faults in units of work: how they begin and end, and what they do to each other."""

from __future__ import annotations

from threading import get_ident
from typing import Any

from flask_atomic import Conflict, MemoryLayer, Transient, hookimpl
from flask_atomic.layers.memory import Unit
from tests.contract.layers import DeferredLayer
from tests.contract.planted import breaks

# --------------------------------------------------------------------------------------------------------------- begin


@breaks(("atomic_begin", "may be anything but None"))
class BeginsNothing(MemoryLayer):
    @hookimpl
    def atomic_begin(self) -> Any:
        return None


@breaks(("atomic_begin", "A unit sees what was committed before it began"))
class KeepsASnapshot(MemoryLayer):
    snapshot: Any = None

    @hookimpl
    def atomic_begin(self) -> Any:
        if self.snapshot is None or not self.snapshot:
            self.snapshot = dict(self._entities)
        return Unit(self.snapshot)

    @hookimpl
    def atomic_prepare(self) -> None:
        pass


@breaks(("atomic_begin", "never what other units have not committed"))
class SharesWhatIsNotCommitted(MemoryLayer):
    def __init__(self) -> None:
        super().__init__()
        self.shared: Any = {}

    @hookimpl
    def atomic_begin(self) -> Any:
        unit = Unit(self._entities)
        unit.entities = self.shared
        return unit


@breaks(("atomic_begin", "All state of the request is in the object that is returned"))
class HasOneUnit(MemoryLayer):
    @hookimpl
    def atomic_begin(self) -> Any:
        self.unit = Unit(self._entities)
        return self.unit

    @hookimpl
    def atomic_add(self, resource: Any, id: Any, attributes: Any, relationships: Any) -> Any:
        return super().atomic_add(self.unit, resource, id, attributes, relationships)

    @hookimpl
    def atomic_prepare(self) -> None:
        super().atomic_prepare(self.unit)

    @hookimpl
    def atomic_commit(self) -> None:
        super().atomic_commit(self.unit)

    @hookimpl
    def atomic_rollback(self) -> None:
        self._release(self.unit)
        self._entities.clear()


@breaks(("atomic_begin", "or refuse one of the two"))
class WantsToBeAlone(MemoryLayer):
    def __init__(self) -> None:
        super().__init__()
        self.open: Any = []

    @hookimpl
    def atomic_begin(self) -> Any:
        unit: Any = Unit(self._entities)
        self.open.append(unit)
        unit.others = self.open.copy()
        for other in self.open:
            other.others.append(unit)
        return unit

    @hookimpl
    def atomic_prepare(self, unit: Any) -> None:
        if any(other is not unit for other in unit.others):
            raise Transient("Another request is served.")

    @hookimpl
    def atomic_commit(self, unit: Any) -> None:
        self.open.remove(unit)
        super().atomic_commit(unit)

    @hookimpl
    def atomic_rollback(self, unit: Any) -> None:
        self.open.remove(unit)
        super().atomic_rollback(unit)


@breaks(("atomic_begin", "one layer serves many requests at once"))
class BelongsToAThread(MemoryLayer):
    thread: Any = None

    @hookimpl
    def atomic_begin(self) -> Any:
        self.thread = self.thread or get_ident()
        assert self.thread == get_ident()
        return super().atomic_begin()


@breaks(("atomic_begin", "After a `Transient` the same operations are performed in a new unit"))
class NeverForgetsAnId(MemoryLayer):
    def __init__(self) -> None:
        super().__init__()
        self.taken: Any = set()

    @hookimpl
    def atomic_add(self, unit: Unit, resource: Any, id: Any, attributes: Any, relationships: Any) -> Any:
        if id in self.taken:
            raise Conflict("The id is taken.")
        self.taken |= {id} - {None}
        return super().atomic_add(unit, resource, id, attributes, relationships)


# ------------------------------------------------------------------------------------------------------------- prepare


@breaks(("atomic_prepare", "After a return, `atomic_commit` must not fail."))
class DecidesInTheCommit(MemoryLayer):
    @hookimpl
    def atomic_prepare(self) -> None:
        pass

    @hookimpl
    def atomic_commit(self, unit: Any) -> None:
        super().atomic_prepare(unit)
        super().atomic_commit(unit)


@breaks(("atomic_prepare", "A vote makes nothing lasting"))
class CommitsByTheVote(MemoryLayer):
    @hookimpl
    def atomic_prepare(self, unit: Any) -> None:
        super().atomic_prepare(unit)
        super().atomic_commit(unit)


@breaks(
    ("atomic_prepare", "to veto"),
    ("atomic_commit", "if the store refuses; `atomic_rollback` is called then"),
)
class VetoesByADefect(MemoryLayer):
    @hookimpl
    def atomic_prepare(self, unit: Any) -> None:
        try:
            super().atomic_prepare(unit)
        except Transient as veto:
            raise RuntimeError from veto


# -------------------------------------------------------------------------------------------------------------- commit


@breaks(("atomic_commit", "Make everything that was done in the unit lasting"))
class CommitsWhatIsNew(MemoryLayer):
    @hookimpl
    def atomic_commit(self, unit: Any) -> None:
        unit.changed -= self._entities.keys()
        super().atomic_commit(unit)


@breaks(("atomic_commit", "and close it"))
class StaysLockedAfterACommit(MemoryLayer):
    @hookimpl
    def atomic_commit(self, unit: Any) -> None:
        unit.holds_lock = False
        super().atomic_commit(unit)


@breaks(("atomic_commit", "What others have committed meanwhile is not undone"))
class UndoesWhatOthersDid(MemoryLayer):
    @hookimpl
    def atomic_prepare(self) -> None:
        pass


# ------------------------------------------------------------------------------------------------------------ rollback


@breaks(("atomic_rollback", "Undo everything that was done in the unit"))
class CommitsByTheRollback(MemoryLayer):
    @hookimpl
    def atomic_rollback(self, unit: Any) -> None:
        super().atomic_commit(unit)


@breaks(("atomic_rollback", "Nothing of the unit is left open"))
class StaysLockedAfterARollback(MemoryLayer):
    @hookimpl
    def atomic_rollback(self, unit: Any) -> None:
        pass


@breaks(("atomic_rollback", "Nothing of the unit is left open"))
class HasFewConnections(MemoryLayer):
    """Reading takes one that is given back by a write only."""

    taken = 0

    @hookimpl
    def atomic_begin(self) -> Any:
        self.taken += 1
        if self.taken > 5:
            raise Transient("There is no connection.")
        return super().atomic_begin()

    @hookimpl
    def atomic_rollback(self, unit: Any) -> None:
        self.taken -= bool(unit.changed)
        super().atomic_rollback(unit)

    @hookimpl
    def atomic_commit(self, unit: Any) -> None:
        self.taken -= 1
        super().atomic_commit(unit)


@breaks(("atomic_rollback", "at any point after `atomic_begin`"))
class RollsBackChangesOnly(MemoryLayer):
    @hookimpl
    def atomic_rollback(self, unit: Any) -> None:
        next(iter(unit.changed))
        super().atomic_rollback(unit)


@breaks(("atomic_rollback", "at any point after `atomic_begin`"))
class ForgetsToForget(DeferredLayer):
    def __init__(self) -> None:
        super().__init__()
        self.waiting: Any = []

    @hookimpl
    def atomic_begin(self) -> Any:
        unit = super().atomic_begin()
        unit.waiting = self.waiting
        return unit

    @hookimpl
    def atomic_flush(self, unit: Any) -> None:
        for write in self.waiting:
            write()
        self.waiting.clear()

    def insert(self, unit: Any, resource: Any, entity: Any, related: Any) -> None:
        super().insert(unit, resource, entity, related)
        self._entities[resource.type, entity.id] = entity


@breaks(("atomic_rollback", "also after a failed commit"))
class StaysLockedAfterAVeto(MemoryLayer):
    @hookimpl
    def atomic_prepare(self, unit: Any) -> None:
        super().atomic_prepare(unit)
        unit.holds_lock = True

    @hookimpl
    def atomic_rollback(self, unit: Any) -> None:
        pass

"""The contract between flask_atomic and its plugins: every hook, and the types that the signatures name.

`DataLayer` has the hooks that a data layer owes; each is *routed*, that is called only on the layer that serves the
resource type (and on everybody's wrappers of it). `Observer` has those that every plugin may use; they are broadcast.
The module runs nothing.

A hook marked with * must be there in every data layer. Without a hook of an operation, the operation is not
supported: the client gets a 403.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pluggy

from .idempotency import Remembered
from .operations import Operation
from .resources import Record, Reference, Relationship, Resource

__all__ = [
    "HOOKS_VERSION",
    "OLDEST_HOOKS_VERSION",
    "PROJECT",
    "DataLayer",
    "Entity",
    "Id",
    "InDoubt",
    "Observer",
    "Operation",
    "Record",
    "Reference",
    "Related",
    "Relationship",
    "Remembered",
    "Resource",
    "Unit",
    "hookimpl",
    "hookspec",
]

PROJECT = "flask_atomic"

HOOKS_VERSION = 1
"""The version of these specifications. A plugin says in its `hooks_version` which one it was written for."""

OLDEST_HOOKS_VERSION = 1
"""The oldest version that a plugin may have been written for."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Id = Any
"""The canonical id of a resource: hashable, equal for equal ids, its `str()` is the `id` in documents."""

Entity = Any
"""What a layer keeps a resource in. Its attributes answer by name: the schema reads them to show the resource."""

Unit = Any
"""What `atomic_begin` returned: everything that a layer keeps for one attempt at one request."""

Related = Reference | None | Sequence[Reference]
"""The value of a relationship: a reference or None for a to-one, a sequence without duplicates for a to-many."""


class InDoubt(NamedTuple):
    """What a store keeps of a transaction that it has promised to commit, and of whose end it has not heard.

    :param store: what people call the store.
    :param id: what the store calls the transaction.
    :param age: how many seconds ago it was begun.
    :param decision: "commit" or "abort", None as long as nothing is decided.
    """

    store: str
    id: str
    age: float
    decision: str | None


class DataLayer:
    """The hooks of a data layer."""

    # ------------------------------------------------------------------------------------------------ at start-up

    @hookspec(firstresult=True)
    def atomic_claim(self, resource: Resource) -> object | None:
        """* Say whether this layer stores the resource type.

        Asked once for each type while the application starts, layer by layer in the order of their registration.

        :return: the layer itself to serve the type, None to leave it to others.
        :raises ConfigurationError: if the type is meant for this layer, but is declared in a way it cannot serve.
        """

    @hookspec(firstresult=True)
    def atomic_independent(self, resource: Resource) -> bool | None:
        """Say whether writes of this type may wait and be flushed and shown together with others.

        Asked once at start-up. Answer False where the representation can change without a write of the resource (a
        value computed from other rows), or where writing it has side effects of its own. Without the hook: True.
        """

    @hookspec(firstresult=True)
    def atomic_exclusive(self, resource: Resource, relationship: Relationship) -> bool | None:
        """Say whether setting the relationship can take related resources from others of the same type.

        Asked once at start-up. True for one-to-one and one-to-many relationships. Without the hook: True, which only
        costs time.
        """

    @hookspec(firstresult=True)
    def atomic_remembers(self, resource: Resource) -> bool | None:
        """Say whether the answer to a request that writes the type can be remembered.

        Asked once at start-up if the layer has `atomic_recall`. Answer False where there is no place for it; then the
        client hears so. Without the hook: True.
        """

    @hookspec(firstresult=True)
    def atomic_versioned(self, resource: Resource) -> bool | None:
        """Say whether resources of the type have versions, which results show and operations may name.

        Asked once at start-up. A layer that answers True has the next two hooks about versions as well. Without the
        hook: False.
        """

    @hookspec
    def atomic_check(self) -> None:
        """Look whether the stores are what the layer needs.

        Called once at start-up, when all types are claimed, and by the command `flask atomic check`; both times in an
        application context. Nothing need be stored yet.

        :raises ConfigurationError: if a store is not; the message says what to do.
        :raises Transient: if a store cannot be reached. At start-up that is passed over.
        """

    # ------------------------------------------------------------------------------------------- the unit of work

    @hookspec(firstresult=True)
    def atomic_begin(self) -> Unit:
        """* Open a unit of work.

        Called when a request first needs the layer. All state of the request is in the object that is returned, which
        may be anything but None: one layer serves many requests at once.

        A unit sees what was committed before it began, and never what other units have not committed. Where two units
        are in each other's way, the store may let one wait for the end of the other, or refuse one of the two: any hook
        may raise `Transient` or `Conflict` then. After a `Transient` the same operations are performed in a new unit.
        """

    @hookspec
    def atomic_prepare(self, unit: Unit) -> None:
        """Vote on the commit: raise to veto. After a return, `atomic_commit` must not fail.

        Only a layer that can keep this promise has the hook. A vote makes nothing lasting: `atomic_rollback` may still
        follow.

        :raises OperationFailed: to veto.
        """

    @hookspec
    def atomic_commit(self, unit: Unit) -> None:
        """* Make everything that was done in the unit lasting, and close it.

        A unit that was only read from is rolled back instead. What others have committed meanwhile is not undone: the
        commit is refused, unless an operation was before.

        :raises OperationFailed: if the store refuses; `atomic_rollback` is called then.
        :raises UnknownOutcome: if the store was lost and nobody can tell; `atomic_rollback` is called then, too.
        """

    @hookspec
    def atomic_rollback(self, unit: Unit) -> None:
        """* Undo everything that was done in the unit, and close it.

        Called at most once, at any point after `atomic_begin`, also after a failed commit. Nothing of the unit is left
        open: no lock, no connection.
        """

    # --------------------------------------------------------------------------------------- identity and reading

    @hookspec(firstresult=True)
    def atomic_parse_id(self, resource: Resource, text: str) -> Id | None:
        """* Return the canonical id that `text` stands for, None if no resource of the type can have it.

        Needs no unit, and raises nothing, whatever the text. The id can be hashed. Texts for the same id give equal ids
        ("007" and "7" for integers); the `str()` of the id is one of them.
        """

    @hookspec(firstresult=True)
    def atomic_get(self, unit: Unit, resource: Resource, ids: Sequence[Id]) -> Mapping[Id, Entity]:
        """* Return the entities that exist, by id; ids without an entity are left out.

        There may be thousands of ids. The attributes of an entity have the values that are stored. One that was set to
        None is None. A nullable one that was never sent is there, too: as None, or with a default of the store. Sees
        what the unit has flushed. Must not flush what waits. To have read makes no difference to what is written later.
        """

    @hookspec(firstresult=True)
    def atomic_identify(self, unit: Unit, resource: Resource, entity: Entity) -> Id | None:
        """* Return the id of the entity, None if only `atomic_flush` can tell."""

    @hookspec(firstresult=True)
    def atomic_linkage(
        self, unit: Unit, resource: Resource, entities: Sequence[Entity], relationship: Relationship
    ) -> Sequence[Id | Sequence[Id] | None]:
        """Return what each entity is related to, in the order of `entities`, where the same may be twice.

        Called after a flush, once for each relationship that is shown. Owed by a layer that serves a type with a shown
        relationship. Sees what the unit has flushed.

        :return: for each entity the related id or None (to-one), or the related ids (to-many).
        """

    @hookspec(firstresult=True)
    def atomic_version(self, unit: Unit, resource: Resource, entities: Sequence[Entity]) -> Sequence[str | None]:
        """Return the version of each entity, in the order of `entities`, where the same may be twice.

        Called after a flush, for a type with versions. Whatever an operation on a resource changes, the resource has
        another version then. It stays the same as long as the resource does.

        :return: for each entity a text of one or more characters, None for one without a version.
        """

    @hookspec(firstresult=True)
    def atomic_match_version(self, unit: Unit, resource: Resource, entity: Entity, version: str) -> bool:
        """Say whether the resource has the version that an operation names, and see to it that this stays true.

        Called right before the hook of the operation. After a True, the unit is committed only if nobody else has
        changed the resource in the meantime: a later hook raises `Stale` or `Transient` otherwise.

        :param version: what the client sent, a text of one or more characters.
        """

    # ------------------------------------------------------------------------------------------------- operations

    @hookspec(firstresult=True)
    def atomic_add(
        self,
        unit: Unit,
        resource: Resource,
        id: Id | None,
        attributes: Mapping[str, Any],
        relationships: Mapping[Relationship, Related],
    ) -> Entity:
        """Add a resource; the write may wait for `atomic_flush`.

        Related resources may be waiting, too. To find the `id` of such a reference flushes: ask for it before anything
        half-made of the layer's own waits.

        :param id: the client's id, None if the layer is to make one.
        :param attributes: loaded values, by the attribute of the entity that they belong to.
        :param relationships: those that were sent, with None or an empty sequence for one that is to hold nothing.
        :return: the new entity.
        :raises OperationFailed: if the store refuses.
        """

    @hookspec(firstresult=True)
    def atomic_update(
        self,
        unit: Unit,
        resource: Resource,
        entity: Entity,
        attributes: Mapping[str, Any],
        relationships: Mapping[Relationship, Related],
    ) -> Entity:
        """Change the attributes and relationships that are given, and no others; the write may wait.

        It may be that none are given. A new resource is related to itself by an update, after a flush.

        :return: the entity, or its successor where entities are immutable.
        :raises OperationFailed: if the store refuses.
        """

    @hookspec
    def atomic_remove(self, unit: Unit, resource: Resource, entity: Entity) -> None:
        """Remove the resource; the write may wait.

        What refers to the resource in the layer refers to nothing then or goes with it, or the store refuses. Its id is
        free for a new resource.

        :raises OperationFailed: if the store refuses.
        """

    @hookspec(firstresult=True)
    def atomic_add_all(
        self,
        unit: Unit,
        resource: Resource,
        ids: Sequence[Id | None],
        attributes: Sequence[Mapping[str, Any]],
        relationships: Sequence[Mapping[Relationship, Related]],
    ) -> Sequence[Entity] | None:
        """Add resources as by `atomic_add`, one after the other; the writes may wait.

        Called for operations in a row whose writes may wait for each other, unless somebody wraps `atomic_add`. None of
        the resources is related to another one of them, and no id is given twice. If it raises, the operations are
        performed again in a new unit, at last by `atomic_add`, which tells the one that is to blame. Without the hook:
        `atomic_add` for each.

        :param ids: the client's id of each, None where the layer is to make one.
        :param attributes: the loaded values of each.
        :param relationships: those that were sent for each.
        :return: the new entities, in the same order; None, if nothing was done, to have `atomic_add` called for each.
        :raises OperationFailed: if the store refuses.
        """

    @hookspec(firstresult=True)
    def atomic_update_all(
        self,
        unit: Unit,
        resource: Resource,
        ids: Sequence[Id],
        entities: Sequence[Entity | None],
        attributes: Sequence[Mapping[str, Any]],
        relationships: Sequence[Mapping[Relationship, Related]],
    ) -> Sequence[Entity] | None:
        """Update different resources as by `atomic_update`, one after the other; the writes may wait.

        Called instead of `atomic_update`, and for many also of `atomic_get`, when and as `atomic_add_all` is instead of
        `atomic_add`, and not if somebody wraps one of the two.

        :param entities: those that were read; None for each other, which need not exist.
        :param attributes: the loaded values of each.
        :param relationships: those that are given for each.
        :return: the entities, or their successors, in the same order; None, as for `atomic_add_all`.
        :raises NotFound: if one of the resources does not exist; at the latest, `atomic_flush` does.
        :raises OperationFailed: if the store refuses.
        """

    @hookspec(firstresult=True)
    def atomic_remove_all(self, unit: Unit, resource: Resource, ids: Sequence[Id]) -> bool:
        """Remove different resources as by `atomic_remove`, one after the other; the writes may wait.

        Called instead of `atomic_get` and `atomic_remove` when and as `atomic_add_all` is instead of `atomic_add`, and
        not if somebody wraps one of the two. The resources need not have been read, nor exist.

        :return: True; False, if nothing was done, to have the two called instead.
        :raises NotFound: if one of them does not exist; at the latest, `atomic_flush` does.
        :raises OperationFailed: if the store refuses.
        """

    @hookspec
    def atomic_add_to_relationship(
        self,
        unit: Unit,
        resource: Resource,
        entity: Entity,
        relationship: Relationship,
        related: Sequence[Reference],
    ) -> None:
        """Add members to a to-many relationship; those that are members already stay so, once.

        `related` may be empty.
        """

    @hookspec
    def atomic_set_relationship(
        self, unit: Unit, resource: Resource, entity: Entity, relationship: Relationship, related: Related
    ) -> None:
        """Set a to-one relationship (None clears it), or replace all members of a to-many."""

    @hookspec
    def atomic_remove_from_relationship(
        self,
        unit: Unit,
        resource: Resource,
        entity: Entity,
        relationship: Relationship,
        related: Sequence[Reference],
    ) -> None:
        """Remove members from a to-many relationship; those that are no members are passed over.

        A reference to a resource that exists nowhere has no `entity`, only an `id`. `related` may be empty.
        """

    @hookspec
    def atomic_flush(self, unit: Unit) -> bool | None:
        """Write what waits. Afterwards `atomic_identify` knows every entity, and entities show what is stored.

        There may be nothing to write. A layer without the hook writes at once.

        :return: True if resources may be gone that nobody removed, orphans for instance: the core reads again then.
        :raises OperationFailed: if the store refuses.
        """

    # ------------------------------------------------------------------------------------ requests that are sent again

    @hookspec(firstresult=True)
    def atomic_recall(self, unit: Unit, resources: Sequence[Resource], key: str, now: int) -> Remembered | None:
        """Return what a unit that was committed has remembered under the key, None if none has or if it has expired.

        Called before anything else in the unit, if the layer is to remember the answer to a request; again, in a unit
        of its own, if the request fails. Returned is what was remembered, whole. It has expired if `expires` is not
        above `now`. A layer that has the hook has `atomic_remember`, too.

        :param resources: the types of the layer that the request writes, in the order of their names.
        :param key: 64 hexadecimal digits, different for different keys and scopes.
        :param now: seconds since 1970.
        :raises Conflict: if another unit has the key, and is not waited for.
        """

    @hookspec
    def atomic_remember(self, unit: Unit, resources: Sequence[Resource], key: str, remembered: Remembered) -> None:
        """Remember an answer, lasting as everything else in the unit: with the commit, and not after a rollback.

        Called when all operations are performed, in a unit whose `atomic_recall` returned None. What has expired is
        replaced. Of several units that remember something under the same key at the same time, one at most commits:
        for the others this hook, `atomic_prepare` or `atomic_commit` fails.

        :param resources: as for `atomic_recall`.
        :param remembered: its `body` may be megabytes.
        :raises Conflict: if another unit has remembered something under the key.
        """

    @hookspec(firstresult=True)
    def atomic_forget(self, unit: Unit, now: int) -> int | None:
        """Forget what has expired, and nothing else.

        Called by the command `flask atomic purge`, in a unit of its own that is then committed. A layer whose store
        forgets by itself needs no such hook.

        :param now: seconds since 1970.
        :return: how much was forgotten; None if that is not known.
        """

    # ------------------------------------------------------------------------------------------- what is left behind

    @hookspec(firstresult=True)
    def atomic_in_doubt(self) -> Sequence[InDoubt]:
        """List what the stores keep of transactions whose end they have not heard of, those under way among them.

        Called by the command `flask atomic recover`. A layer that has the hook has the next one, too.

        :raises Transient: if a store cannot be reached.
        """

    @hookspec(firstresult=True)
    def atomic_recover(self, older_than: float) -> Sequence[InDoubt]:
        """Tell the stores the end of such transactions, and see to it that what is undecided never commits.

        Called by the command `flask atomic recover`, also while requests are served, and by several at a time. What a
        store cannot end now is left to the next call.

        :param older_than: transactions that were begun less than so many seconds ago are left alone.
        :return: what was ended, with the decision.
        :raises Transient: if a store cannot be reached. What can be ended in the others is.
        """


class Observer:
    """The hooks that every plugin may have, data layer or not."""

    @hookspec
    def atomic_authorize(self, operation: Operation, resource: Resource) -> None:
        """Refuse an operation, before any unit of work is open.

        Called once for each operation that is well-formed and whose type and relationship exist, before anything else
        of it is looked at: a client whose operation is refused hears nothing else about it. `resource` is the type that
        the operation writes: for an operation on a relationship, the type that declares it.

        :raises Refused: to refuse.
        """

    @hookspec
    def atomic_result_meta(self, operation: Operation, resource: Resource, id: Id) -> Mapping[str, Any] | None:
        """Give the result of an operation a `meta` (extension, "Result Objects").

        Called once for each operation when all are performed, before the commit. Where several plugins give the same
        member, the one that was registered last prevails.

        :param id: the canonical id of the resource that was targeted or added.
        :return: the members, with values as attributes may have them; None for none.
        """

    @hookspec
    def atomic_committed(self, records: Sequence[Record]) -> None:
        """Hear what was committed, once for each request that succeeded.

        An exception is logged and changes nothing; it keeps no other plugin from hearing.
        """

"""The layer under test: what it serves, what it lacks, and how to work with it from several threads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar
from uuid import NAMESPACE_OID, uuid5

import pytest
from flask import Flask

from ...codec import InvalidResource
from ...errors import OperationFailed
from ...extension import Atomic
from ...hookspecs import Id, Relationship, Resource
from ...plugins import Binding, Layer
from .meanwhile import Meanwhile
from .work import Shown, Work

__all__ = ["CAPABILITIES", "OPTIONAL_HOOKS", "Relation", "TestedLayer"]

OPTIONAL_HOOKS = (
    "prepare",
    "linkage",
    "add",
    "update",
    "remove",
    "add_to_relationship",
    "set_relationship",
    "remove_from_relationship",
    "flush",
    "forget",
)
"""The hooks, without their prefix, that a layer may do without: an application can tell that they are not there."""

CAPABILITIES: Mapping[str, str] = {
    "client_ids": 'a type that is declared with client_ids="allowed"',
    "to_one": "a to-one relationship that is shown, writable and nullable",
    "to_many": "a to-many relationship that is shown and writable",
    "to_own_type": "a relationship to the own type that is shown and writable",
    "versions": "a type with versions",
    "repeats": "a type for which the layer remembers the answers to requests",
    "null": "an attribute that may be null and need not be sent, and give it in `samples`",
}
"""What else a layer may do without, and what a type that needs it declares."""

Outcome = TypeVar("Outcome")

_GRACE = 0.1
"""How many seconds the test goes on waiting for a unit that may be waiting for the test itself."""


class Relation(NamedTuple):
    """A relationship and the type that declares it."""

    resource: Resource
    relationship: Relationship


class TestedLayer:
    """The one data layer of an application, and the resource types that it serves.

    :param lacks: what the author says that it lacks.
    :param samples: by type, attributes as documents have them.
    :param ids: by type, texts that can be ids.
    :param patience: how many seconds something may take before it counts as blocked.
    """

    __test__ = False  # for pytest it looks like a test

    def __init__(
        self,
        application: Flask,
        lacks: Collection[str],
        samples: Mapping[str, Sequence[Mapping[str, Any]]],
        ids: Mapping[str, Sequence[str]],
        patience: float,
    ) -> None:
        services: Mapping[Atomic, Any] = application.extensions.get("atomic", {})
        layers = {layer for service in services.values() for layer in service.plugins.layers}
        if len(services) != 1 or len(layers) != 1:
            pytest.fail(
                f"The application has {len(services)} Atomic with {len(layers)} data layers. The fixture `application` "
                f"must have one, with the layer that is tested and no other.",
                pytrace=False,
            )
        if isinstance(lacks, str):
            pytest.fail(f"`lacks` is the text {lacks!r}. It must be a set of names: {{{lacks!r}}}.", pytrace=False)
        self.application = application
        self.lacks = frozenset(lacks)
        self._samples = samples
        self._texts = ids
        self.patience = patience
        ((self.atomic, service),) = services.items()
        self.layer: Layer = layers.pop()
        self.name = self.layer.name
        self.bindings: Mapping[str, Binding] = service.plugins.bindings
        self.ids: dict[tuple[str, int], Id] = {}
        """The ids of the resources that were added, by type and the number of the sample."""
        unknown = self.lacks.difference(OPTIONAL_HOOKS, CAPABILITIES)
        if unknown:
            known = ", ".join((*OPTIONAL_HOOKS, *CAPABILITIES))
            pytest.fail(f"`lacks` names {', '.join(sorted(unknown))}. It may name: {known}.", pytrace=False)

    # ------------------------------------------------------------------------------------------- what the layer has

    def has(self, need: str) -> bool:
        """Whether the layer has a hook (without its prefix), or serves a type that shows a capability."""
        return self.find(need) is not None if need in CAPABILITIES else self.layer.supports(need)

    def require(self, *needs: str) -> None:
        """Go on if the layer has all that is needed; skip the test if the author says that it has not."""
        for need in needs:
            if need in self.lacks:
                pytest.skip(f"'{need}' is in `lacks`.")
            if need in (*OPTIONAL_HOOKS, *CAPABILITIES) and not self.has(need):
                pytest.fail(self.missing(need), pytrace=False)

    def missing(self, need: str) -> str:
        """What to tell the author about something that is neither there nor in `lacks`."""
        if need in OPTIONAL_HOOKS:
            return f"The layer '{self.name}' has no atomic_{need}. If that is meant, put '{need}' into `lacks`."
        return (
            f"No type of the application has what it takes to prove the layer '{self.name}': declare "
            f"{CAPABILITIES[need]}. If the layer cannot serve such a type, put '{need}' into `lacks`."
        )

    @property
    def resources(self) -> list[Resource]:
        """The types of which resources can be added, updated and removed as far as the layer can do it."""
        operations = [op for op in ("add", "update", "remove") if self.layer.supports(op)]
        served = (binding.resource for binding in self.bindings.values())
        return [resource for resource in served if all(map(resource.permits, operations))]

    @property
    def relations(self) -> list[Relation]:
        """The relationships that can be written and are shown, those to other types first."""
        found = [
            Relation(resource, relationship)
            for resource in self.resources
            for relationship in resource.relationships.values()
            if relationship.shown and relationship.writable
        ]
        return sorted(found, key=lambda relation: relation.relationship.type == relation.resource.type)

    @property
    def resource(self) -> Resource:
        """A type with attributes."""
        for resource in self.resources:
            if any(self.samples(resource)):
                return resource
        pytest.fail("There is no type with attributes. Give `samples` of one.", pytrace=False)

    @property
    def with_client_ids(self) -> Resource:
        """A type whose ids clients may choose."""
        found: Resource = self._found("client_ids")
        return found

    @property
    def to_one(self) -> Relation:
        """A to-one relationship, if possible to another type."""
        found: Relation = self._found("to_one")
        return found

    @property
    def to_many(self) -> Relation:
        """A to-many relationship, if possible to another type."""
        found: Relation = self._found("to_many")
        return found

    @property
    def to_own_type(self) -> Relation:
        """A relationship to the type that declares it."""
        found: Relation = self._found("to_own_type")
        return found

    @property
    def versioned(self) -> Resource:
        """A type with versions."""
        found: Resource = self._found("versions")
        return found

    @property
    def remembering(self) -> Resource:
        """A type for which the layer remembers answers."""
        found: Resource = self._found("repeats")
        return found

    @property
    def with_null(self) -> list[tuple[Resource, list[str]]]:
        """The types with attributes that may be null and need not be sent, and the names of these."""
        return list(_null(self))

    def _found(self, capability: str) -> Any:
        found = self.find(capability)
        assert found is not None, self.missing(capability)
        return found

    def find(self, capability: str) -> Any:
        """The first type, or relationship of a type, that shows a capability; None if there is none."""
        return next(iter(_FINDERS[capability](self)), None)

    def other(self, relation: Relation) -> Resource:
        """The type that a relationship holds."""
        return self.bindings[relation.relationship.type].resource

    def number_of_member(self, relation: Relation, number: int) -> int:
        """The number of the sample that a resource has which the relationship is to hold: not that of the owner."""
        return number + 1 if self.other(relation) is relation.resource else number

    def free_ids(self, resource: Resource, count: int = 1) -> list[Id]:
        """Ids that no resource has, so many if there are so many."""
        texts = self._texts.get(resource.type) or _texts(count)
        ids = dict.fromkeys(id_ for text in texts if (id_ := self.parse_id(resource, text)) is not None)
        if not ids:
            pytest.fail(f"No id for a '{resource.type}' is known. Give texts that can be ids in `ids`.", pytrace=False)
        return list(ids)[:count]

    def new_id(self, resource: Resource, number: int) -> Id:
        """The id for the resource with the attributes of that sample, where clients must choose it."""
        ids = self.free_ids(resource, 12)
        return ids[(-1 - number) % len(ids)]

    def parse_id(self, resource: Resource, text: str) -> Id | None:
        """The canonical id."""
        return self.layer.parse_id(resource=resource, text=text)

    def samples(self, resource: Resource) -> Sequence[Mapping[str, Any]]:
        """All samples of a type."""
        return self._samples.get(resource.type, ())

    def sample(self, resource: Resource, number: int) -> Mapping[str, Any]:
        """Attributes as a document has them. For one number they are always the same."""
        samples = self.samples(resource)
        if not samples and not resource.codec.loaded_attributes:
            return {}
        if len(samples) < 2 or samples[0].keys() != samples[1].keys() or samples[0] == samples[1]:
            pytest.fail(
                f"Give `samples` of '{resource.type}': at least two objects with the same attributes, of different "
                f"values.",
                pytrace=False,
            )
        return samples[number % len(samples)]

    def values(self, resource: Resource, attributes: Mapping[str, Any], *, partial: bool = False) -> dict[str, Any]:
        """The attributes as layers are given them."""
        try:
            return resource.codec.load(attributes, partial=partial)
        except InvalidResource as invalid:
            wrong = ", ".join(f"{'/'.join(map(str, problem.tokens))}: {problem.detail}" for problem in invalid.problems)
            pytest.fail(f"The schema of '{resource.type}' does not accept {attributes} of `samples`. {wrong}")

    # ------------------------------------------------------------------------------------------------- units of work

    def work(self) -> Work:
        """A new unit of work."""
        return Work(self)

    def look(self, resource: Resource, id_: Id) -> Shown | None:
        """What a fresh unit shows of a resource, None if it is not there."""
        with self.work() as work:
            return work.look(resource, id_)

    def attempt(self, do: Callable[[Work], Outcome]) -> Outcome | OperationFailed:
        """Do something in a unit of its own and commit it; return the failure if the store refuses."""
        with self.work() as work:
            try:
                outcome = do(work)
                work.commit()
            except OperationFailed as failure:
                return failure
            return outcome

    def glance(self, resource: Resource, id_: Id) -> Shown | OperationFailed | None:
        """What a fresh unit shows of a resource, or the failure if the store cannot say."""
        try:
            return self.look(resource, id_)
        except OperationFailed as failure:
            return failure

    def done(self, do: Callable[[Work], Outcome]) -> Outcome:
        """Do something in a unit of its own, and commit it."""
        with self.work() as work:
            outcome = do(work)
            work.commit()
            return outcome

    # ------------------------------------------------------------------------------------------------------- threads

    def meanwhile(self, do: Callable[[], Outcome]) -> Meanwhile[Outcome]:
        """Do something in another thread, while the unit of the test is open.

        It may have to wait for the end of that unit: this returns after a moment all the same. What is asserted must
        therefore hold whether it was done before that end or after it.
        """
        meanwhile = self.thread(do)
        meanwhile.wait(_GRACE)
        return meanwhile

    def in_time(self, do: Callable[[], Outcome]) -> Outcome:
        """Do something in another thread, and give up if it never comes to an end."""
        __tracebackhide__ = True
        return self.thread(do).end()

    def thread(self, do: Callable[[], Outcome]) -> Meanwhile[Outcome]:
        """Begin something in another thread."""
        return Meanwhile(self.application, self.patience, do)


def _texts(count: int) -> Iterator[str]:
    for number in range(count):
        yield from (str(1_000_000_001 + number), str(uuid5(NAMESPACE_OID, str(number))), f"x{number}")


def _client_ids(tested: TestedLayer) -> Iterator[Resource]:
    return (resource for resource in tested.resources if resource.client_ids != "forbidden")


def _to_one(tested: TestedLayer) -> Iterator[Relation]:
    return (each for each in tested.relations if not each.relationship.many and each.relationship.nullable)


def _to_many(tested: TestedLayer) -> Iterator[Relation]:
    return (each for each in tested.relations if each.relationship.many)


def _to_own_type(tested: TestedLayer) -> Iterator[Relation]:
    return (each for each in tested.relations if each.relationship.type == each.resource.type)


def _versions(tested: TestedLayer) -> Iterator[Resource]:
    return (each for each in tested.resources if tested.bindings[each.type].versioned)


def _repeats(tested: TestedLayer) -> Iterator[Resource]:
    return (binding.resource for binding in tested.bindings.values() if binding.remembers)


def _null(tested: TestedLayer) -> Iterator[tuple[Resource, list[str]]]:
    for resource in tested.resources:
        sample = next(iter(tested.samples(resource)), {})
        names = [name for name in sample if name in resource.codec.fields and _may_be_null(resource, sample, name)]
        if names:
            yield resource, names


def _may_be_null(resource: Resource, sample: Mapping[str, Any], name: str) -> bool:
    """Whether the schema takes null for an attribute, and does without it."""
    try:
        resource.codec.load({**sample, name: None})
        resource.codec.load({other: value for other, value in sample.items() if other != name})
    except InvalidResource:
        return False
    return True


_FINDERS: Mapping[str, Callable[[TestedLayer], Iterator[Any]]] = {
    "client_ids": _client_ids,
    "to_one": _to_one,
    "to_many": _to_many,
    "to_own_type": _to_own_type,
    "versions": _versions,
    "repeats": _repeats,
    "null": _null,
}

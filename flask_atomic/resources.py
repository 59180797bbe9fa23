"""One declared resource type, and the catalogue of all that an `Atomic` serves.

Nothing here changes after the application has started, but for `Reference`, which lives as long as one attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from .codec import Codec, Relationship
from .errors import ConfigurationError
from .operations import Operation

__all__ = ["Catalog", "ClientIds", "Record", "Reference", "Relationship", "Resource"]

ClientIds = Literal["forbidden", "allowed", "required"]
"""Whether a client may, must not or must give a new resource its `id` (JSON:API 1.1, "Client-Generated IDs")."""


@dataclass(frozen=True, eq=False)
class Resource:
    """A resource type as the application declares it by `Atomic.resource`.

    :param codec: what the schema says of attributes and relationships.
    :param collection: the last segment of the collection's URL, which a `href` names; the type by default.
    :param client_ids: whose choice the id of a new resource is.
    :param operations: what may be done, None for everything; see `permits`.
    :param layer: the name of the data layer that is to serve the type, None for the first that claims it.
    :param endpoint: the Flask endpoint that answers a GET of a resource, for `links.self`; None if there is none.
    :param independent: whether the representation depends on nothing but the resource's own attributes and shown
        relationships, so that it may be made later together with others; None to find out.
    :param options: what data layers need to know about the type, `model` for instance.
    """

    codec: Codec
    collection: str
    client_ids: ClientIds = "forbidden"
    operations: frozenset[str] | None = None
    layer: str | None = None
    endpoint: str | None = None
    independent: bool | None = None
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @cached_property
    def type(self) -> str:
        """The `type` of the resources."""
        return self.codec.type

    @cached_property
    def relationships(self) -> Mapping[str, Relationship]:
        """The relationships by their names in documents."""
        return self.codec.relationships

    @cached_property
    def owed_relationships(self) -> tuple[str, ...]:
        """The names of those that a new resource must be given."""
        return tuple(name for name, each in self.relationships.items() if each.required and each.writable)

    def permits(self, op: str, relationship: Relationship | None = None) -> bool:
        """Whether `operations` allows `op` on resources of the type, or on one of their relationships.

        A relationship follows the permission to update its resource, unless `operations` names it: of
        `{"update", "tracks.add"}`, the members of `tracks` may be added to, but not be replaced or removed.
        """
        if self.operations is None:
            return True
        if relationship is None:
            return op in self.operations
        if any(permitted.partition(".")[0] == relationship.name for permitted in self.operations if "." in permitted):
            return f"{relationship.name}.{op}" in self.operations
        return "update" in self.operations

    def __repr__(self) -> str:
        return f"<Resource {self.type}>"


class Reference:
    """A resource that an operation is about or is related to, known by its entity, by its id, or by both.

    A data layer gets references for related resources and never sees a local id. It should use `entity` where the
    resource is its own, and `id` where another layer keeps it: asking for the `id` of a resource that was just added
    may write it to its store first.
    """

    __slots__ = ("_find_id", "_id", "entity", "resource")

    def __init__(self, resource: Resource, entity: Any, id: Any, find_id: Callable[[Reference], Any]) -> None:
        self.resource = resource
        self.entity = entity
        """What the layer of the resource returned for it; None in a removal of members that exist nowhere."""
        self._id = id
        self._find_id = find_id

    @property
    def type(self) -> str:
        """The `type` of the resource."""
        return self.resource.type

    @property
    def id(self) -> Any:
        """The canonical id, as `atomic_parse_id` of the resource's layer makes it."""
        if self._id is None:
            self._id = self._find_id(self)
        return self._id

    def __repr__(self) -> str:
        return f"<Reference {self.type} {self._id!r}>"


class Record(NamedTuple):
    """One operation that was performed and committed, as `atomic_committed` tells it to observers.

    :param id: the canonical id of the resource that was targeted or added.
    :param result: the whole result object, whatever fields the client asked for.
    """

    operation: Operation
    resource: Resource
    id: Any
    result: Mapping[str, Any]


class Catalog:
    """The resource types of one `Atomic`, by type and by collection.

    :raises ConfigurationError: for two types or collections of one name and for a relationship to a type that is not
        declared.
    """

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._by_type: dict[str, Resource] = {}
        self._by_collection: dict[str, Resource] = {}
        for resource in resources:
            _enter(self._by_type, resource.type, resource, "type")
            _enter(self._by_collection, resource.collection, resource, "collection")
        for resource in self:
            self._check(resource)
        self.by_endpoint = {each.endpoint: each for each in self if each.endpoint is not None}
        """Those that the application serves itself, by the Flask endpoint that does so."""

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._by_type.values())

    def __getitem__(self, type_: str) -> Resource:
        return self._by_type[type_]

    def get(self, type_: str) -> Resource | None:
        """The resource of that type, None if it is not declared."""
        return self._by_type.get(type_)

    def of_collection(self, collection: str) -> Resource | None:
        """The resource whose collection has that name, None if there is none."""
        return self._by_collection.get(collection)

    def _check(self, resource: Resource) -> None:
        if not resource.collection or "/" in resource.collection:
            raise ConfigurationError(
                f"collection={resource.collection!r} of '{resource.type}' cannot be one segment of a URL's path."
            )
        for relationship in resource.relationships.values():
            if relationship.type not in self._by_type:
                raise ConfigurationError(
                    f"The relationship '{relationship.name}' of '{resource.type}' holds '{relationship.type}', which "
                    f"is not declared. Call atomic.resource(...) for it too, or mend the relationship's type_."
                )
        _check_operations(resource)


def _enter(table: dict[str, Resource], name: str, resource: Resource, kind: str) -> None:
    if name in table:
        raise ConfigurationError(
            f"Two resources have the {kind} '{name}': the schemas {table[name].codec.schema_name} and "
            f"{resource.codec.schema_name}. Every {kind} of one Atomic has a name of its own."
        )
    table[name] = resource


def _check_operations(resource: Resource) -> None:
    known = {"add", "update", "remove"} | {
        f"{relationship.name}.{op}"
        for relationship in resource.relationships.values()
        for op in (("add", "update", "remove") if relationship.many else ("update",))
    }
    unknown = sorted((resource.operations or frozenset()) - known)
    if unknown:
        raise ConfigurationError(
            f"operations= of '{resource.type}' names {', '.join(map(repr, unknown))}. It may name: "
            f"{', '.join(sorted(known))}."
        )

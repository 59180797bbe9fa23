"""A resource as the schema reads it, and as what others refer to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID, uuid4

from flask_atomic import Unprocessable
from flask_atomic.hookspecs import Reference, Related, Relationship, Resource

from .unit import Hash
from .values import NULL, Enums, decode, encode

__all__ = ["Entity", "Link", "fields_of", "links_of", "new_entity", "stored_entity", "text_of", "texts_of"]


class Entity:
    """A resource: its attributes answer by name, and are null where nothing is stored.

    What the layer itself knows of it has names that no schema has.
    """

    def __init__(self, id: Any, fields: Hash, enums: Enums) -> None:
        self._id = id
        self._hash = fields
        self._enums = enums

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return decode(self._hash.fields.get(name, NULL), self._enums)


Link = Entity | str
"""A related resource: an entity where it is kept here, since only the flush may know its id, or the text of its id."""


def stored_entity(resource: Resource, id_: Any, stored: Hash) -> Entity:
    """The entity of a resource that is there."""
    return Entity(id_, stored, _enums(resource))


def new_entity(resource: Resource, id_: Any, fields: Mapping[str, str]) -> Entity:
    """The entity of a new resource. Without an id it gets a random one, or if it is to be an integer, none yet."""
    id_type = resource.options.get("id_type", int)
    if id_ is None and id_type is not int:
        id_ = uuid4() if id_type is UUID else str(uuid4())
    written = Hash({})
    written.write(fields)
    return Entity(id_, written, _enums(resource))


# <fields>
def fields_of(resource: Resource, attributes: Mapping[str, Any]) -> dict[str, str]:
    """The text of each attribute.

    :raises Unprocessable: for a value that cannot be stored.
    """
    enums = _enums(resource)
    fields = {}
    for name, value in attributes.items():
        try:
            fields[name] = encode(value, enums)
        except (TypeError, ValueError) as error:
            raise Unprocessable("A value of this kind or size cannot be stored.", attribute=name) from error
    return fields


# </fields>


def _enums(resource: Resource) -> Enums:
    return {kind.__name__: kind for kind in resource.options.get("enums", ())}


# <links>
def links_of(relationships: Mapping[Relationship, Related]) -> dict[Relationship, Any]:
    """For each relationship a link, None, or a list of links.

    :raises Unprocessable: for a resource of another layer that has an id which cannot be stored.
    """
    return {relationship: _links(relationship, related) for relationship, related in relationships.items()}


def _links(relationship: Relationship, related: Related) -> Link | list[Link] | None:
    if related is None:
        return None
    if isinstance(related, Reference):
        return _link(relationship, related)
    return [_link(relationship, reference) for reference in related]


def _link(relationship: Relationship, reference: Reference) -> Link:
    if isinstance(reference.entity, Entity):
        return reference.entity
    try:
        return encode(reference.id)
    except (TypeError, ValueError) as error:
        detail = "A resource with an id of this kind cannot be referred to."
        raise Unprocessable(detail, relationship=relationship.attribute) from error


# </links>


def text_of(link: Link | None) -> str:
    """The text of the id; it must be known by now."""
    return NULL if link is None else encode(link._id) if isinstance(link, Entity) else link


def texts_of(links: Iterable[Link]) -> list[str]:
    """The texts of the ids; they must be known by now."""
    return [text_of(link) for link in links]

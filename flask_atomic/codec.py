"""What a schema of marshmallow-jsonapi declares, and the way of attributes into and out of entities.

A user's schema declares a resource type; the rest of the package knows it as a `Codec`. Only this module and those
that it is made of, `schemas`, `fieldtables`, `nestedtables` and `problems`, know marshmallow. Nothing is kept from one
request to the next.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from marshmallow import INCLUDE
from marshmallow.exceptions import RegistryError
from marshmallow.fields import Field
from marshmallow_jsonapi.fields import BaseRelationship, DocumentMeta, ResourceMeta

from .errors import Code, ConfigurationError
from .fieldtables import DumpTable, LoadTable, accepts_any_text
from .nestedtables import use_tables
from .problems import InvalidResource, Problem
from .schemas import SchemaClass, count_refusals, derive, is_computed, nested_fields, own_hooks

__all__ = ["Codec", "InvalidResource", "Problem", "Relationship"]


@dataclass(frozen=True, eq=False, slots=True)
class Relationship:
    """A relationship as a schema declares it.

    :param name: its name in documents.
    :param attribute: the attribute of the entity that holds it.
    :param type: the resource type that it holds.
    :param many: whether it is a to-many relationship.
    :param required: whether a new resource must have it.
    :param nullable: whether a to-one relationship may be null.
    :param shown: whether the resource shows its linkage.
    :param writable: whether clients may set it.
    """

    name: str
    attribute: str
    type: str
    many: bool
    required: bool
    nullable: bool
    shown: bool
    writable: bool


class Codec:
    """The attributes and relationships of a resource type, from its schema.

    :raises ConfigurationError: if the schema cannot declare a resource type.
    """

    schema_name: str
    """The name of the user's class, for messages."""

    type: str
    """The `type` of the resources."""

    id_attribute: str
    """The attribute of the entity that is its id."""

    relationships: Mapping[str, Relationship]
    """The relationships by their names in documents."""

    attributes: Mapping[str, str]
    """The names of all attributes in documents, by the attribute of the entity."""

    fields: frozenset[str]
    """What a client may ask for by `fields[TYPE]`: the attributes that are shown, and the relationships."""

    loaded_attributes: frozenset[str]
    """The attributes of the entity that `load` may give values for; none where a `post_load` hook decides on that."""

    def __init__(self, schema: SchemaClass) -> None:
        declared = derive(schema)
        held = {name: field for name, field in declared.fields.items() if isinstance(field, BaseRelationship)}
        meta = {
            name: field for name, field in declared.fields.items() if isinstance(field, ResourceMeta | DocumentMeta)
        }
        attributes = {name: field for name, field in declared.fields.items() if name not in {"id", *held, *meta}}
        loaded = {name: field for name, field in attributes.items() if not field.dump_only}

        self.schema_name = schema.__name__
        self.type = declared.opts.type_
        _check_names(self.schema_name, self.type, attributes, held)
        self.id_attribute = _attribute("id", declared.fields["id"])
        relationships = [_relationship(self.schema_name, name, field) for name, field in held.items()]
        self.relationships = MappingProxyType({relationship.name: relationship for relationship in relationships})
        self.attributes = MappingProxyType(
            {_attribute(name, field): _name(field) for name, field in (attributes | loaded).items()}
        )
        self.fields = frozenset(_name(field) for field in attributes.values() if not field.load_only).union(
            self.relationships
        )

        document_meta = {name for name, field in meta.items() if isinstance(field, DocumentMeta)}  # it would be kept
        self._schema = type(declared)(exclude={*held, *document_meta}, dump_only=declared.dump_only | meta.keys())
        self._loads_id = not declared.fields["id"].dump_only
        self._checks_id = self._loads_id and not accepts_any_text(declared.fields["id"])
        self._loaded_names = frozenset(map(_name, loaded.values()))
        self._refusals = self._find_refusals(attributes)
        # An attribute is replaced as a whole: an update may leave out attributes, but no part of one.
        self._all_optional = tuple(loaded) if any(map(nested_fields, loaded.values())) else True
        for field in self._schema.fields.values():
            use_tables(field)
        self._load_table = LoadTable.of(self._schema)
        self._dump_table = DumpTable.of(self._schema)
        changes_values = bool(own_hooks(type(self._schema), "post_load"))
        self.loaded_attributes = frozenset(
            () if changes_values else (_attribute(name, field).partition(".")[0] for name, field in loaded.items())
        )

    @property
    def dumps_attributes_alone(self) -> bool:
        """Whether `dump` looks at nothing of an entity but the values of `attributes`."""
        return self._dump_table is not None

    @cached_property
    def computed(self) -> bool:
        """Whether a value that is shown may come from elsewhere than the entity's attribute of that name.

        That is the case for methods, functions, paths (`attribute="author.name"`), dump hooks and `get_attribute`.

        :raises ConfigurationError: if a nested schema cannot be found.
        """
        try:
            return is_computed(self._schema)
        except (RegistryError, NameError, ValueError) as error:
            raise ConfigurationError(f"A schema nested in {self.schema_name} cannot be used: {error}") from error

    def load(
        self,
        attributes: Mapping[str, Any],
        *,
        relationships: Collection[str] = (),
        id: str | None = None,
        partial: bool = False,
    ) -> dict[str, Any]:
        """Return the values of `attributes`, by the attribute of the entity; never one for the id.

        :param attributes: the attributes as a document has them.
        :param relationships: the names of the relationships that were sent with them, for what a hook says of them.
        :param id: the client's id for a new resource, to be validated with them if the schema loads ids.
        :param partial: whether only what was sent is checked and returned, as in an update.
        :raises InvalidResource: with everything that the schema finds wrong.
        :raises TypeError: if a `post_load` hook of the schema returns no mapping.
        """
        if self._loaded_names.issuperset(attributes):
            if self._load_table is not None and (id is None or not self._checks_id):
                return self._load_table.load(attributes, partial=partial)
            return self._load(attributes, relationships, id, partial)
        refused = {name: self._refusals.get(name) for name in attributes if self._refuses(name)}
        problems = [
            Problem(("attributes", name), detail or "There is no such attribute.", Code.INVALID_ATTRIBUTE)
            for name, detail in refused.items()
        ]
        accepted = {name: value for name, value in attributes.items() if name not in refused}
        try:
            values = self._load(accepted, relationships, id, partial)
        except InvalidResource as invalid:
            problems.extend(invalid.problems)
        if problems:
            raise InvalidResource(problems)
        return values

    def dump(self, entities: Sequence[object]) -> list[dict[str, Any]]:
        """Return, for each entity, the members of its resource object apart from type, id and relationships.

        That is `attributes` (left out if there are none), `meta` and `links`. Every value can be written as JSON: a
        `Decimal` becomes a number unless its field makes strings (`as_string=True`), and infinity and NaN, for which
        JSON has no number, become the strings that their fields also load.

        :raises TypeError: if a value cannot be written as JSON, or a `post_dump` hook loses or adds items.
        """
        if not entities:
            return []
        if self._dump_table is not None and (shown := self._dump_table.dump(entities)) is not None:
            return shown
        members: list[dict[str, Any]] = self._schema.dump(entities, many=True)["data"]
        if len(members) != len(entities):
            raise TypeError(f"The post_dump hooks of {self.schema_name} must return as many items as they are given.")
        return members

    def _load(
        self, attributes: Mapping[str, Any], relationships: Collection[str], id: str | None, partial: bool
    ) -> dict[str, Any]:
        count_refusals()
        resource: dict[str, Any] = {"type": self.type, "attributes": dict(attributes)}
        if id is not None and self._loads_id:
            resource["id"] = id
        try:
            values = self._schema.load({"data": resource}, many=False, partial=partial and self._all_optional)
        except InvalidResource as invalid:
            raise InvalidResource(
                problem.about_what_was_sent(relationships) for problem in invalid.problems
            ) from invalid
        if not isinstance(values, Mapping):
            raise TypeError(
                f"The post_load hooks of {self.schema_name} returned a {type(values).__name__}. They must return the "
                f"mapping of values: it is the data layer that makes the entity."
            )
        return {name: value for name, value in values.items() if name != self.id_attribute}

    def _refuses(self, name: str) -> bool:
        return name in self._refusals or name[:1] in ("", "_")  # no name begins so; some of marshmallow-jsonapi's do

    def _find_refusals(self, attributes: Mapping[str, Field]) -> Mapping[str, str]:
        """What is not loaded as an attribute, whatever `Meta.unknown` says, and why."""
        refusals: dict[str, str] = {}
        if self._schema.unknown == INCLUDE:  # unknown names become attributes of the entity: not those that are taken
            held = (relationship.attribute for relationship in self.relationships.values())
            refusals |= dict.fromkeys((*self.attributes, *held, self.id_attribute), "The name is taken.")
        refusals |= dict.fromkeys(map(_name, attributes.values()), "The attribute is read-only.")
        refusals |= dict.fromkeys(self.relationships, "It is a relationship, not an attribute.")
        refusals |= dict.fromkeys(("id", "type"), "It is a member of the resource itself, not an attribute.")
        return {name: detail for name, detail in refusals.items() if name not in self._loaded_names}


def _name(field: Field) -> str:
    return str(field.data_key)  # marshmallow-jsonapi sets it for every field that it binds


def _attribute(name: str, field: Field) -> str:
    return field.attribute or name


def _relationship(schema_name: str, name: str, field: Any) -> Relationship:
    type_ = getattr(field, "type_", None)
    if not type_:
        raise ConfigurationError(
            f"The relationship '{name}' of the schema {schema_name} does not say what it holds. Give it type_=."
        )
    return Relationship(
        name=_name(field),
        attribute=_attribute(name, field),
        type=type_,
        many=field.many,
        required=field.required,
        nullable=field.allow_none,
        shown=field.include_resource_linkage and not field.load_only,
        writable=not field.dump_only,
    )


_MEMBER_NAME = re.compile(r"[^\W_]([-\w ]*[^\W_])?")


def _check_names(
    schema_name: str, type_: object, attributes: Mapping[str, Field], relationships: Mapping[str, Field]
) -> None:
    """See that the names are such as JSON:API has and share one namespace (JSON:API 1.1, "Member Names", "Fields")."""
    if not isinstance(type_, str):
        raise ConfigurationError(f"Meta.type_ of the schema {schema_name} is not a string.")
    names = [*{_name(field) for field in attributes.values()}, *map(_name, relationships.values())]
    for name in (type_, *names):
        if not _MEMBER_NAME.fullmatch(name):
            raise ConfigurationError(
                f"The schema {schema_name} has the name {name!r}, which JSON:API does not allow: it must begin and end "
                f"with a letter or digit, and '-', '_' and ' ' may stand between. Set data_key= or Meta.type_."
            )
    for name, count in Counter([*names, "id", "type"]).items():
        if count > 1:
            raise ConfigurationError(
                f"The schema {schema_name} has a second {name!r} in its documents: attributes and relationships share "
                f"one namespace, and 'id' and 'type' are taken. Set another data_key=."
            )

"""Hypothesis strategies of request documents: valid ones, and valid ones that were tampered with.

The resource types are an argument, so that the same strategies serve a test of the reader and one over HTTP.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Lid = tuple[str, str]
"""A local id that an earlier operation declared: the type and the `lid`."""


@dataclass(frozen=True)
class TypeOfResource:
    """A resource type, as far as one must know it to write requests for it.

    :param ids: ids that resources of the type may have.
    :param attributes: values that each attribute may have; every one of them stands in each `add`.
    :param to_one: the related type of each to-one relationship.
    :param to_many: the related type of each to-many relationship.
    :param client_ids: whether an `add` carries an id.
    """

    type: str
    ids: SearchStrategy[str]
    attributes: Mapping[str, SearchStrategy[Any]] = field(default_factory=dict)
    to_one: Mapping[str, str] = field(default_factory=dict)
    to_many: Mapping[str, str] = field(default_factory=dict)
    client_ids: bool = False

    @property
    def related(self) -> Mapping[str, str]:
        return {**self.to_one, **self.to_many}


# --------------------------------------------------------------------------------------------------- any JSON at all

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
"""Strings that can be stored, among them those that a pointer must escape."""

names = st.sampled_from(["", "a", "b", "~", "/", "~1", "a/b", "@a", "data", "0"]) | texts

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts

json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=12
)
"""Any JSON value that can be stored."""


# ------------------------------------------------------------------------------------------------ valid operations


def identifiers(type_: TypeOfResource, lids: Sequence[Lid] = ()) -> SearchStrategy[dict[str, Any]]:
    """Resource identifiers of a type, by id or by one of the `lids` of that type."""
    by_id = st.fixed_dictionaries({"type": st.just(type_.type), "id": type_.ids})
    known = [lid for declared, lid in lids if declared == type_.type]
    if not known:
        return by_id
    return by_id | st.fixed_dictionaries({"type": st.just(type_.type), "lid": st.sampled_from(known)})


@st.composite
def operations(
    draw: st.DrawFn, types: Sequence[TypeOfResource], lids: Sequence[Lid] = (), new_lid: str | None = None
) -> dict[str, Any]:
    """Operations of the right shape on `types`, related ones included, that refer to no other lids than `lids`.

    :param new_lid: the lid that an `add` may declare.
    """
    by_name = {type_.type: type_ for type_ in types}
    type_ = draw(st.sampled_from(types))
    kinds: list[Callable[..., dict[str, Any]]] = [_add, _update, _remove]
    if type_.related:
        kinds.append(_write_relationship)
    operation: dict[str, Any] = draw(st.sampled_from(kinds))(draw, type_, by_name, lids, new_lid)
    return operation | ({"meta": {"note": "kept"}} if draw(st.booleans()) else {})


@st.composite
def documents(draw: st.DrawFn, types: Sequence[TypeOfResource], max_operations: int = 4) -> dict[str, Any]:
    """Request documents of the right shape in which every lid is declared before it is used."""
    lids: list[Lid] = []
    drawn = []
    for number in range(draw(st.integers(1, max_operations))):
        operation = draw(operations(types, tuple(lids), f"new-{number}"))
        drawn.append(operation)
        match operation:
            case {"op": "add", "data": {"type": type_, "lid": lid}}:
                lids.append((type_, lid))
    return {"atomic:operations": drawn}


Types = Mapping[str, TypeOfResource]


def _add(
    draw: st.DrawFn, type_: TypeOfResource, types: Types, lids: Sequence[Lid], new_lid: str | None
) -> dict[str, Any]:
    data: dict[str, Any] = {"type": type_.type}
    if type_.client_ids:
        data["id"] = draw(type_.ids)
    elif new_lid is not None and draw(st.booleans()):
        data["lid"] = new_lid
        lids = [*lids, (type_.type, new_lid)]  # it may refer to itself
    data |= _members(draw, type_, types, lids, required=True)
    target = {"href": type_.type} if draw(st.booleans()) else {}
    return {"op": "add", **target, "data": data}


def _update(draw: st.DrawFn, type_: TypeOfResource, types: Types, lids: Sequence[Lid], _: str | None) -> dict[str, Any]:
    identifier = draw(identifiers(type_, lids))
    target: dict[str, Any] = _target(draw, identifier) if draw(st.booleans()) else {}
    return {"op": "update", **target, "data": identifier | _members(draw, type_, types, lids, required=False)}


def _remove(draw: st.DrawFn, type_: TypeOfResource, types: Types, lids: Sequence[Lid], _: str | None) -> dict[str, Any]:
    return {"op": "remove", **_target(draw, draw(identifiers(type_, lids)))}


def _write_relationship(
    draw: st.DrawFn, type_: TypeOfResource, types: Types, lids: Sequence[Lid], _: str | None
) -> dict[str, Any]:
    name = draw(st.sampled_from(sorted(type_.related)))
    op = draw(st.sampled_from(["add", "update", "remove"] if name in type_.to_many else ["update"]))
    target = _target(draw, draw(identifiers(type_, lids)), name)
    return {"op": op, **target, "data": draw(_linkage(type_, name, types, lids))}


def _target(draw: st.DrawFn, identifier: dict[str, Any], relationship: str | None = None) -> dict[str, Any]:
    if "id" in identifier and draw(st.booleans()):
        tail = "" if relationship is None else f"/relationships/{quote(relationship, safe='')}"
        return {"href": f"{identifier['type']}/{quote(identifier['id'], safe='')}{tail}"}
    return {"ref": identifier | ({} if relationship is None else {"relationship": relationship})}


def _members(
    draw: st.DrawFn, type_: TypeOfResource, types: Types, lids: Sequence[Lid], *, required: bool
) -> dict[str, Any]:
    values = dict(type_.attributes)
    attributes = st.fixed_dictionaries(values) if required else st.fixed_dictionaries({}, optional=values)
    linkage = {
        name: st.fixed_dictionaries({"data": _linkage(type_, name, types, lids)}) for name in sorted(type_.related)
    }
    relationships = st.fixed_dictionaries({}, optional=linkage)
    members: dict[str, Any] = {"attributes": draw(attributes), "relationships": draw(relationships)}
    return {name: member for name, member in members.items() if member or draw(st.booleans())}


def _linkage(type_: TypeOfResource, name: str, types: Types, lids: Sequence[Lid]) -> SearchStrategy[Any]:
    identifier = identifiers(types[type_.related[name]], lids)
    return st.lists(identifier, max_size=3) if name in type_.to_many else st.none() | identifier


# ---------------------------------------------------------------------------------------------- tampered documents

MEMBERS = (
    *("atomic:operations", "atomic:results", "errors", "included", "jsonapi", "links", "meta"),
    *("op", "ref", "href", "data", "type", "id", "lid", "relationship", "attributes", "relationships"),
)
"""Names that mean something somewhere in a request, and so make the best misplaced members."""

_words = st.sampled_from((*MEMBERS, "add", "update", "remove", "unknown", "@note", "", "a/b~c"))


@st.composite
def mutated(draw: st.DrawFn, documents: SearchStrategy[Any], max_mutations: int = 3) -> Any:
    """What `documents` yields, after a few random changes: members lost, misnamed, misplaced, of the wrong type."""
    holder = [copy.deepcopy(draw(documents))]
    for _ in range(draw(st.integers(1, max_mutations))):
        inside = list(_places_in_operations(holder))
        anywhere = not inside or draw(st.integers(0, 9)) == 9
        container, token = draw(st.sampled_from(list(_places(holder)) if anywhere else inside))
        _mutate(draw, holder, container, token)
    return holder[0]


Place = tuple[Any, Any]
"""An object or array, and the name or index of one of its members."""


def _places_in_operations(holder: list[Any]) -> Iterator[Place]:
    """The places where a change leaves the other operations, and most of this one, as they are."""
    match holder:
        case [{"atomic:operations": [*objects]}]:
            for value in objects:
                yield from _places(value)


def _places(value: Any) -> Iterator[Place]:
    """Every object and array inside `value`, itself included, with each of its members in turn."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for token, inner in members:
        yield value, token
        yield from _places(inner)


def _mutate(draw: st.DrawFn, holder: list[Any], container: Any, token: Any) -> None:
    change = draw(st.sampled_from(["replace", "replace", "wrap", "remove", "rename", "insert"]))
    if change == "wrap":
        container[token] = draw(st.sampled_from([[container[token]], {"data": container[token]}]))
    elif change == "remove" and container is not holder:
        del container[token]
    elif change == "rename" and isinstance(container, dict):
        container[draw(_words)] = container.pop(token)
    elif change == "insert" and isinstance(container, dict):
        container[draw(_words)] = _material(draw, holder)
    else:
        container[token] = _material(draw, holder)


def _material(draw: st.DrawFn, holder: list[Any]) -> Any:
    """Something to put in a wrong place: any value, a word of the protocol, or a part of the document itself."""
    parts = st.sampled_from([container[token] for container, token in _places(holder)])
    return copy.deepcopy(draw(json_values | _words | parts))

"""Operations to a plan: names, local ids, linkage, attributes and permissions of all of them, before data is touched.

Everything that can be known without the store is found here and told in one answer. The module opens no transaction
and calls no hook but `atomic_parse_id` and `atomic_authorize`. A plan never changes: an attempt at it can be thrown
away and made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from .codec import InvalidResource
from .context import Performing
from .errors import MOST_ERRORS, Code, ErrorObject, OperationFailed, RequestFailed, Token, Transient
from .operations import NOTHING, Identifier, Linkage, Operation, Ref, ResourceObject
from .plugins import Binding, Plugins
from .promises import CheckedHook
from .resources import Relationship
from .steps import Key, Plan, PlannedLinkage, Step, Verb, blame, target_path

__all__ = ["plan"]


def plan(
    operations: Sequence[Operation],
    plugins: Plugins,
    *,
    max_members: int | None = None,
    max_answer: int | None = None,
) -> Plan:
    """Return the plan of `operations`.

    :param max_members: how many members a linkage may have; None for any number.
    :param max_answer: goes into the plan as it is.
    :raises RequestFailed: 400, 403, 404, 409 or 422 with everything that is wrong with any of them.
    """
    planner = _Planner(plugins, max_members)
    steps = []
    with Performing() as perform_now:
        for operation in operations:
            perform_now(operation)
            step = planner.step(operation)
            if step is not None:
                steps.append(step)
            if len(planner.errors) >= MOST_ERRORS:
                break
    if planner.errors:
        raise RequestFailed(*planner.errors)
    return Plan(tuple(steps), frozenset({step.binding.layer for step in steps}), max_answer)


_MOST_ALIKE = 20
"""How many ids may have the same hash; of those that are not made for it, two have."""


_FEW_ALIKE = 64
"""The bits of an integer: the hash is the remainder of a division by `sys.hash_info.modulus`, which has 61."""


_Named = Identifier | Ref | ResourceObject
"""What names a resource by `type` and `id` or `lid`."""


class _Unplannable(Exception):
    """The rest of the operation cannot be looked at; why is among the planner's errors."""


class _Planner:
    """Goes through the operations of one request in order and keeps what is wrong with them."""

    def __init__(self, plugins: Plugins, max_members: int | None) -> None:
        self._max_members = max_members
        self._bindings = plugins.bindings
        self._authorize = plugins.authorize
        self._declared: set[Key] = set()
        self._removed: set[Key] = set()
        self._ids: dict[int, Any] = {}  # by their hash
        self._alike: dict[int, list[Any]] = {}  # those that share one
        self.errors: list[ErrorObject] = []

    def step(self, operation: Operation) -> Step | None:
        ref = operation.ref
        try:
            if ref is not None and ref.relationship is not None:
                return self._relationship_step(operation, ref, ref.relationship)
            if ref is None and operation.href is not None:
                raise self._stop(operation, Code.UNKNOWN_HREF, "No resource lives there.", "href")
            return _STEPS[operation.op](self, operation)
        except _Unplannable:
            return None
        except Transient as failure:
            raise RequestFailed.because_of(failure) from failure
        except OperationFailed as failure:  # what a schema or a wrapper of `atomic_parse_id` raised
            self.errors.append(ErrorObject.of(failure.code, failure.detail, pointer=operation.pointer()))
            return None

    # ------------------------------------------------------------------------------------------------- resources

    def _add(self, operation: Operation) -> Step:
        data = operation.data
        assert isinstance(data, ResourceObject)
        binding = self._bindings.get(data.type) or self._refuse_type(operation, data.type, "data", "type")
        # Before anything else is looked at: the resource may refer to itself, and others to it, whatever is wrong.
        declared = None if data.lid is None else self._declare(operation, Key(data.type, None, data.lid))
        if self._authorize is not None:
            self._ask_plugins(operation, binding, self._authorize)
        if operation.ref is not None:
            self._agree_on_add(operation, binding, operation.ref, data)
        target = self._identity_of_new(operation, binding, data) or declared
        if "add" not in binding.supported:
            raise self._unsupported(operation, binding)
        linkage = self._relationships(operation, binding, data) if data.relationships else NOTHING
        if binding.resource.owed_relationships:
            self._require_relationships(operation, binding, data)
        attributes = self._attributes(operation, binding, data, id=data.id, partial=False)
        return Step(operation, "add", binding, target, None, attributes, linkage, NOTHING)  # what is new has no version

    def _update(self, operation: Operation) -> Step:
        data, ref = operation.data, operation.ref
        assert isinstance(data, ResourceObject)
        binding = self._bindings.get(data.type) or self._refuse_type(operation, data.type, "data", "type")
        if self._authorize is not None:
            self._ask_plugins(operation, binding, self._authorize)
        if ref is None:
            target = self._target(operation, binding, data, ("data",))
        else:
            target = self._target(operation, self._target_binding(operation, ref), ref, target_path(operation))
            self._agree(operation, binding, target, data)
        if "update" not in binding.supported:
            raise self._unsupported(operation, binding)
        linkage: Mapping[Relationship, PlannedLinkage] = NOTHING
        if data.relationships:
            linkage = self._relationships(operation, binding, data)
            self._permit_each(operation, binding, linkage)
        attributes = self._attributes(operation, binding, data, id=None, partial=True)
        versions = self._versions(operation) if binding.versioned else NOTHING
        return Step(operation, "update", binding, target, None, attributes, linkage, versions)

    def _remove(self, operation: Operation) -> Step:
        ref = operation.ref
        assert ref is not None
        binding = self._target_binding(operation, ref)
        if self._authorize is not None:
            self._ask_plugins(operation, binding, self._authorize)
        target = self._target(operation, binding, ref, target_path(operation))
        if "remove" not in binding.supported:
            raise self._unsupported(operation, binding)
        if target.lid is not None:
            self._removed.add(target)
        versions = self._versions(operation) if binding.versioned else NOTHING
        return Step(operation, "remove", binding, target, None, NOTHING, NOTHING, versions)

    def _identity_of_new(self, operation: Operation, binding: Binding, data: ResourceObject) -> Key | None:
        """The key that the client's id makes, None where it gives none."""
        policy = binding.resource.client_ids
        if data.id is None:
            if policy == "required":
                detail = f"A new resource of type '{data.type}' needs an 'id' that the client makes."
                self._fail(operation, Code.CLIENT_ID_REQUIRED, detail, "data")
            return None
        if policy == "forbidden":
            detail = f"The ids of '{data.type}' are made by the server."
            raise self._stop(operation, Code.CLIENT_ID_FORBIDDEN, detail, "data", "id")
        id_ = binding.layer.parse_id(resource=binding.resource, text=data.id)
        if id_ is None:
            detail = f"The id cannot be one of '{data.type}'."
            raise self._stop(operation, Code.INVALID_ID, detail, "data", "id")
        self._admit(operation, id_, ("data", "id"))
        return Key(data.type, id_, None)

    def _declare(self, operation: Operation, key: Key) -> Key:
        if key in self._declared:
            detail = "The local id is declared by an earlier operation already."
            self._fail(operation, Code.DUPLICATE_LID, detail, "data", "lid")
        self._declared.add(key)
        return key

    def _agree_on_add(self, operation: Operation, binding: Binding, ref: Ref, data: ResourceObject) -> None:
        """A target of an `add` is optional; where it is there, it says the same as the data."""
        if ref.type != data.type:
            detail = f"The target holds resources of type '{ref.type}'."
            raise self._stop(operation, Code.TARGET_MISMATCH, detail, "data", "type")
        if (ref.id, ref.lid) in ((None, None), (data.id, data.lid)):
            return
        parsed = [
            None if text is None else binding.layer.parse_id(resource=binding.resource, text=text)
            for text in (ref.id, data.id)
        ]
        if ref.lid != data.lid or parsed[0] is None or parsed[0] != parsed[1]:
            raise self._mismatch(operation, data.id, data.lid)

    def _agree(self, operation: Operation, binding: Binding, target: Key, data: ResourceObject) -> None:
        """The data of an `update` names the resource that the target names (JSON:API 1.1, "Updating Resources")."""
        if data.type != target.type:
            detail = f"The target is a resource of type '{target.type}'."
            raise self._stop(operation, Code.TARGET_MISMATCH, detail, "data", "type")
        id_ = None if data.id is None else binding.layer.parse_id(resource=binding.resource, text=data.id)
        if (id_, data.lid) != (target.id, target.lid):
            raise self._mismatch(operation, data.id, data.lid)

    def _mismatch(self, operation: Operation, id_: str | None, lid: str | None) -> _Unplannable:
        member = ["id"] if id_ is not None else ["lid"] if lid is not None else []
        return self._stop(
            operation, Code.TARGET_MISMATCH, "The target names another resource than the data.", "data", *member
        )

    def _attributes(
        self, operation: Operation, binding: Binding, data: ResourceObject, *, id: str | None, partial: bool
    ) -> Mapping[str, Any]:
        try:
            return binding.resource.codec.load(
                data.attributes, relationships=data.relationships, id=id, partial=partial
            )
        except InvalidResource as invalid:
            for problem in invalid.problems:
                tokens = problem.tokens if set(problem.tokens[:1]) <= set(data.members) else ()
                self._fail(operation, problem.code, problem.detail, "data", *tokens)
            raise _Unplannable from None

    # --------------------------------------------------------------------------------------------- relationships

    def _relationship_step(self, operation: Operation, ref: Ref, name: str) -> Step:
        binding = self._target_binding(operation, ref)
        path = target_path(operation, "relationship")
        relationship = binding.resource.relationships.get(name)
        if relationship is None:
            detail = f"'{ref.type}' has no relationship '{_shortened(name)}'."
            raise self._stop(operation, Code.UNKNOWN_RELATIONSHIP, detail, *path)
        if self._authorize is not None:
            self._ask_plugins(operation, binding, self._authorize)
        target = self._target(operation, binding, ref, target_path(operation))
        if not relationship.many and operation.op != "update":
            detail = f"'{name}' is a to-one relationship: it can be updated, not added to or removed from."
            raise self._stop(operation, Code.OPERATION_NOT_SUPPORTED, detail, "op")
        if not relationship.writable:
            raise self._stop(operation, Code.OPERATION_NOT_SUPPORTED, f"'{name}' is read-only.", *path)
        verb = _VERBS_ON_RELATIONSHIPS[operation.op]
        self._permit_on(operation, binding, operation.op, relationship, verb, "op")
        assert not isinstance(operation.data, ResourceObject)
        missing_allowed = operation.op == "remove"
        linkage = self._linkage(operation, relationship, operation.data, ("data",), missing_allowed=missing_allowed)
        versions = self._versions(operation) if binding.versioned else NOTHING
        return Step(operation, verb, binding, target, relationship, NOTHING, {relationship: linkage}, versions)

    def _relationships(
        self, operation: Operation, binding: Binding, data: ResourceObject
    ) -> Mapping[Relationship, PlannedLinkage]:
        linkage: dict[Relationship, PlannedLinkage] = {}
        for name, value in data.relationships.items():
            relationship = binding.resource.relationships.get(name)
            try:
                if relationship is None or not relationship.writable:
                    detail = "Unknown relationship." if relationship is None else "The relationship is read-only."
                    raise self._stop(operation, Code.INVALID_RELATIONSHIP, detail, "data", "relationships", name)
                path = ("data", "relationships", name, "data")
                linkage[relationship] = self._linkage(operation, relationship, value, path)
            except _Unplannable:
                continue
        return linkage

    def _require_relationships(self, operation: Operation, binding: Binding, data: ResourceObject) -> None:
        for name in binding.resource.owed_relationships:
            if name not in data.relationships:
                path = ("data", "relationships") if "relationships" in data.members else ("data",)
                self._fail(operation, Code.INVALID_RELATIONSHIP, f"The relationship '{name}' is required.", *path)

    def _linkage(
        self,
        operation: Operation,
        relationship: Relationship,
        linkage: Linkage,
        path: tuple[Token, ...],
        *,
        missing_allowed: bool = False,
    ) -> PlannedLinkage:
        if relationship.many:
            if not isinstance(linkage, tuple) or isinstance(linkage, Identifier):
                detail = f"'{relationship.name}' is a to-many relationship: its data is an array of identifiers."
                raise self._stop(operation, Code.INVALID_OPERATION, detail, *path)
            if self._max_members is not None and len(linkage) > self._max_members:
                detail = f"{len(linkage)} members were sent; at most {self._max_members} are accepted."
                raise self._stop(operation, Code.TOO_MANY_MEMBERS, detail, *path)
            members = [(identifier, (*path, index)) for index, identifier in enumerate(linkage)]
        elif isinstance(linkage, Identifier):
            members = [(linkage, path)]
        elif linkage is not None:
            detail = f"'{relationship.name}' is a to-one relationship: its data is one identifier or null."
            raise self._stop(operation, Code.INVALID_OPERATION, detail, *path)
        elif not relationship.nullable:
            detail = f"'{relationship.name}' cannot be null."
            raise self._stop(operation, Code.INVALID_RELATIONSHIP, detail, *path)
        else:
            return {}
        return self._keys(operation, relationship, members, missing_allowed)

    def _keys(
        self,
        operation: Operation,
        relationship: Relationship,
        members: Sequence[tuple[Identifier, tuple[Token, ...]]],
        missing_allowed: bool,
    ) -> PlannedLinkage:
        found: dict[Key, tuple[Token, ...]] = {}
        binding = self._bindings[relationship.type]
        for identifier, path in members:
            if identifier.type != relationship.type:
                detail = f"'{relationship.name}' holds resources of type '{relationship.type}'."
                self._fail(operation, Code.TYPE_MISMATCH, detail, *path, "type")
                continue
            key = self._key(operation, binding, identifier, path)
            if key is not None:
                found.setdefault(key, path)
            elif identifier.lid is None and not missing_allowed:
                self._fail(operation, Code.RELATED_RESOURCE_NOT_FOUND, _not_found(identifier), *path)
        return found

    # ---------------------------------------------------------------------------------------------------- shared

    def _target(self, operation: Operation, binding: Binding, named: _Named, path: tuple[Token, ...]) -> Key:
        key = self._key(operation, binding, named, path)
        if key is None:
            if named.lid is None:
                self._fail(operation, Code.RESOURCE_NOT_FOUND, _not_found(named), *target_path(operation, "id"))
            raise _Unplannable
        return key

    def _versions(self, operation: Operation) -> Mapping[str, tuple[Token, ...]]:
        """The versions that the operation names, each with where; the `meta` of types without may say anything."""
        versions: dict[str, tuple[Token, ...]] = {}
        for member, meta in _metas(operation):
            path = (member, "meta", "version")
            version = meta.get("version", _NOT_NAMED)
            if isinstance(version, str) and version:
                versions.setdefault(version, path)
            elif version is not _NOT_NAMED:
                detail = "A version is a string of one or more characters, as results show it."
                self._fail(operation, Code.INVALID_OPERATION, detail, *path)
        return versions

    def _key(self, operation: Operation, binding: Binding, identifier: _Named, path: tuple[Token, ...]) -> Key | None:
        """The key of a resource that must be there; None for an id that none can have, and for a wrong local id.

        Only the wrong local id is told to the client from here.
        """
        if identifier.lid is None:
            id_ = binding.layer.parse_id(resource=binding.resource, text=identifier.id)
            if id_ is None:
                return None
            self._admit(operation, id_, path)
            return Key(identifier.type, id_, None)
        key = Key(identifier.type, None, identifier.lid)
        if key not in self._declared:
            detail = "No earlier operation adds a resource with this type and local id."
            self._fail(operation, Code.UNDECLARED_LID, detail, *path, "lid")
            return None
        if key in self._removed:
            detail = "The resource with this local id is removed by an earlier operation."
            self._fail(operation, Code.RESOURCE_NOT_FOUND, detail, *path, "lid")
            return None
        return key

    def _admit(self, operation: Operation, id_: Any, path: tuple[Token, ...]) -> None:
        """Refuse ids that were chosen to share a hash, as UUIDs can be: to look them up takes quadratic time."""
        if type(id_) is str or (type(id_) is int and id_.bit_length() < _FEW_ALIKE):
            return  # nobody knows the hash of a text, and no more than ten such numbers share one
        hashed = hash(id_)
        first = self._ids.setdefault(hashed, id_)
        if first is id_ or first == id_:
            return
        alike = self._alike.setdefault(hashed, [first])
        if id_ not in alike:
            alike.append(id_)
            if len(alike) > _MOST_ALIKE:
                detail = "Too many ids of the request have the same hash."
                raise RequestFailed(ErrorObject.of(Code.INVALID_ID, detail, pointer=operation.pointer(*path)))

    def _target_binding(self, operation: Operation, ref: Ref) -> Binding:
        binding = self._bindings.get(ref.type)
        return binding or self._refuse_type(operation, ref.type, *target_path(operation, "type"))

    def _refuse_type(self, operation: Operation, type_: str, *path: Token) -> NoReturn:
        raise self._stop(operation, Code.UNKNOWN_TYPE, f"The type '{_shortened(type_)}' is not served here.", *path)

    def _ask_plugins(self, operation: Operation, binding: Binding, authorize: CheckedHook) -> None:
        """Let plugins refuse the operation, before the client hears what else is wrong with it."""
        try:
            authorize(operation=operation, resource=binding.resource)
        except Transient:
            raise
        except OperationFailed as refusal:
            self.errors.append(blame(operation, binding.resource, refusal))
            raise _Unplannable from refusal

    def _unsupported(self, operation: Operation, binding: Binding) -> _Unplannable:
        detail = f"'{operation.op}' is not supported for '{binding.resource.type}'."
        return self._stop(operation, Code.OPERATION_NOT_SUPPORTED, detail, "op")

    def _permit_each(self, operation: Operation, binding: Binding, relationships: Iterable[Relationship]) -> None:
        for relationship in relationships:
            with suppress(_Unplannable):
                path = ("data", "relationships", relationship.name)
                self._permit_on(operation, binding, "update", relationship, "update", *path)

    def _permit_on(
        self,
        operation: Operation,
        binding: Binding,
        op: str,
        relationship: Relationship,
        hook: Verb,
        *path: Token,
    ) -> None:
        resource = binding.resource
        if not resource.permits(op, relationship) or not binding.layer.supports(hook):
            detail = f"'{op}' is not supported for '{relationship.name}' of '{resource.type}'."
            raise self._stop(operation, Code.OPERATION_NOT_SUPPORTED, detail, *path)

    def _fail(self, operation: Operation, code: Code, detail: str, *path: Token) -> None:
        self.errors.append(ErrorObject.of(code, detail, pointer=operation.pointer(*path)))

    def _stop(self, operation: Operation, code: Code, detail: str, *path: Token) -> _Unplannable:
        self._fail(operation, code, detail, *path)
        return _Unplannable()


_STEPS: Mapping[str, Callable[[_Planner, Operation], Step]] = {
    "add": _Planner._add,
    "update": _Planner._update,
    "remove": _Planner._remove,
}

_VERBS_ON_RELATIONSHIPS: Mapping[str, Verb] = {
    "add": "add_to_relationship",
    "update": "set_relationship",
    "remove": "remove_from_relationship",
}


_NOT_NAMED = object()


def _metas(operation: Operation) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The members of an operation that name its target, each with its `meta`."""
    if isinstance(operation.data, ResourceObject):
        yield "data", operation.data.meta
    if operation.ref is not None:
        yield "ref", operation.ref.meta


def _not_found(identifier: _Named) -> str:
    return f"There is no '{identifier.type}' with the id '{_shortened(identifier.id or '')}'."


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}..."

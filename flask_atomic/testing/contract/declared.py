"""What the author says that the layer lacks: no more and no less."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ...errors import Code, RequestFailed
from .tested import CAPABILITIES, OPTIONAL_HOOKS, TestedLayer

__all__ = ["Declared"]


class Declared:
    """Tests of `lacks`."""

    @pytest.mark.parametrize("need", [*OPTIONAL_HOOKS, *CAPABILITIES])
    def test_the_layer_has_what_it_does_not_lack(self, tested: TestedLayer, need: str) -> None:
        """Everything is there, or in `lacks`."""
        if need in tested.lacks and tested.has(need):
            what = f"the hook atomic_{need}" if need in OPTIONAL_HOOKS else CAPABILITIES[need]
            raise AssertionError(f"'{need}' is in `lacks`, but the layer '{tested.name}' has {what}.")
        if need not in tested.lacks and not tested.has(need):
            raise AssertionError(tested.missing(need))

    def test_what_the_layer_lacks_is_refused(self, tested: TestedLayer) -> None:
        """Operations without a hook are a 403 for clients."""
        for hook, operation in _operations(tested):
            if hook in tested.lacks:
                tested.in_time(lambda operation=operation: _expect_refusal(tested, operation))  # type: ignore[misc]


def _operations(tested: TestedLayer) -> Iterator[tuple[str, dict[str, Any]]]:
    """Operations on what does not exist, each with the hook that it needs."""
    for binding in tested.bindings.values():
        resource = binding.resource
        if resource.operations is not None:
            continue
        target = {"type": resource.type, "id": str(tested.free_ids(resource)[0])}
        yield "add", {"op": "add", "data": {"type": resource.type}}
        yield "update", {"op": "update", "data": target}
        yield "remove", {"op": "remove", "ref": target}
        for relationship in resource.relationships.values():
            if relationship.writable:
                on = {"ref": {**target, "relationship": relationship.name}}
                yield "set_relationship", {"op": "update", **on, "data": [] if relationship.many else None}
                if relationship.many:
                    yield "add_to_relationship", {"op": "add", **on, "data": []}
                    yield "remove_from_relationship", {"op": "remove", **on, "data": []}


def _expect_refusal(tested: TestedLayer, operation: dict[str, Any]) -> None:
    try:
        results = tested.atomic.perform({"atomic:operations": [operation]})
    except RequestFailed as failure:
        codes = [error.code for error in failure.errors]
        assert Code.OPERATION_NOT_SUPPORTED.code in codes, f"{operation} is refused as {codes}."
    else:
        raise AssertionError(f"{operation} is performed, although the hook is in `lacks`: {results}.")

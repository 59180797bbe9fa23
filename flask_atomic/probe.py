"""Whether stores can be reached and have what their types need: each is asked a question, and nothing is changed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from .idempotency import digest
from .plugins import Binding, Layer, Plugins
from .transaction import Transaction

__all__ = ["probe"]

_TEXTS = ("1", "00000000-0000-4000-8000-000000000000", "a")
"""Ids to ask for: one of them can be an id of any type."""


def probe(plugins: Plugins) -> None:
    """Look a resource of each type up, and a key where answers are remembered; both are most likely not there.

    :raises OperationFailed: if a store cannot be used now.
    :raises PluginDefect: if one lacks what is looked for, a table for instance.
    """
    for layer in plugins.layers:
        with Transaction([layer], ()) as transaction:
            _ask(layer, transaction.unit(layer), (each for each in plugins.bindings.values() if each.layer is layer))


def _ask(layer: Layer, unit: Any, bindings: Iterable[Binding]) -> None:
    key = digest("probe", None)
    for binding in bindings:
        resource = binding.resource
        ids = (layer.parse_id(resource=resource, text=text) for text in _TEXTS)
        layer.get(unit=unit, resource=resource, ids=[id_ for id_ in ids if id_ is not None][:1])
        if binding.remembers:
            layer.recall(unit=unit, resources=[resource], key=key, now=int(time.time()))

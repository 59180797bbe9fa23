"""The class that the author of a data layer inherits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest
from flask import Flask

from ..schemas import SAMPLES
from .concurrency import Concurrency
from .declared import Declared
from .identity import Identity
from .operations import Operations
from .reading import Reading
from .relationships import Relationships
from .repeats import Repeats
from .runs import Runs
from .tested import TestedLayer
from .units import Units
from .versions import Versions
from .waiting import Waiting

__all__ = ["LayerContract"]


class LayerContract(
    Concurrency, Units, Repeats, Versions, Waiting, Relationships, Runs, Operations, Reading, Identity, Declared
):
    """Every promise that a data layer makes, as tests for pytest.

    Inherit it in a class `Test...` whose fixture `application` gives a Flask application with one `Atomic` that has
    the layer, and no other. Each test asks for a new one, with an empty store. Several threads will use it.

    The resource types are yours, or `PersonSchema` and `ArticleSchema`. From those that are declared, each test takes
    the first that will do.
    """

    lacks: Collection[str] = frozenset()
    """What the layer does without: of the hooks `prepare`, `linkage`, `add`, `update`, `remove`, `add_to_relationship`,
    `set_relationship`, `remove_from_relationship`, `flush` and `forget`; and `client_ids`, `to_one`, `to_many`,
    `to_own_type`, `versions`, `repeats`, `null` if no type can be declared with client-generated ids, with such a
    relationship, with versions, with answers that are remembered, or with an attribute that may be null. That it is not
    there is tested, too.
    """

    samples: Mapping[str, Sequence[Mapping[str, Any]]] = SAMPLES
    """By type, at least two objects with the same attributes of different values, as documents have them and as results
    show them. If values are unique in the store, give three. There are as many threads at once as there are samples.
    The tests know no other values: put one attribute of each kind that the layer is meant for into types of your own.
    """

    ids: Mapping[str, Sequence[str]] = {}
    """By type, at least six texts that can be ids, where numbers, UUIDs and "x1" cannot."""

    patience: float = 60
    """How many seconds a test may take before it counts as blocked for ever."""

    @pytest.fixture
    def application(self) -> Flask:
        """The application; each author defines it."""
        pytest.fail(
            f"Define the fixture `application` in {type(self).__name__}: a Flask application with one Atomic, whose "
            f"one data layer is the one to test.",
            pytrace=False,
        )

    @pytest.fixture
    def tested(self, application: Flask) -> TestedLayer:
        """The layer of the application; it is for the tests of the contract."""
        return TestedLayer(application, self.lacks, self.samples, self.ids, self.patience)

"""Fixtures of pytest for applications that use flask_atomic: pytest finds them by itself where it is installed.

The module stands outside of the package, and imports it where a fixture is used: pytest imports its plugins before it
measures coverage, and in every run, whether it is about flask_atomic or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flask import Flask

    from flask_atomic import Atomic
    from flask_atomic.testing import AtomicClient

pytest.register_assert_rewrite("flask_atomic.testing")


@pytest.fixture
def atomic_application(atomic: Atomic) -> Flask:
    """An application that keeps the resources of the fixture `atomic` in memory, which is yours to define.

    Define a fixture of this name to test an application of your own.
    """
    from flask_atomic.testing import in_memory

    return in_memory(atomic)


@pytest.fixture
def atomic_client(atomic_application: Flask) -> AtomicClient:
    """Sends documents to the endpoint of the fixture `atomic_application`."""
    from flask_atomic.testing import AtomicClient

    return AtomicClient(atomic_application)

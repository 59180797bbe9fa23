"""Any request whatever: an answer of the protocol, never a 5xx, and nothing is changed by what is refused.

The bounded run is the same every time. `--fuzz-seconds=600` sends other requests, for ten minutes.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests import fuzzing
from tests.library import Library, MemoryLibrary, SQLiteLibrary

CONFIGURATIONS: Sequence[Mapping[str, Any]] = [
    {},
    {"ATOMIC_BATCH": False},
    {"ATOMIC_NO_CONTENT": False, "ATOMIC_STRICT_MEDIA_TYPE": True, "ATOMIC_MAX_OPERATIONS": 3, "ATOMIC_MAX_ERRORS": 2},
]
EXAMPLES = 80
"""How many in the bounded run."""
REQUESTS = 3
"""How many there may be in one example, each on what the one before has left."""


Counts = Mapping[str, Counter[str]]
"""How many answers of each status there were, by the name of the library."""


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Library]]:
    on_sqlite = SQLiteLibrary(tmp_path_factory.mktemp("library") / "library.sqlite", *CONFIGURATIONS)
    yield {"memory": MemoryLibrary(*CONFIGURATIONS), "sqlite": on_sqlite}
    on_sqlite.close()


@pytest.fixture
def counts(libraries: Mapping[str, Library]) -> Counts:
    return {name: Counter() for name in libraries}


def fuzz(libraries: Mapping[str, Library], counts: Counts, **options: Any) -> Callable[[], None]:
    """A function that sends random requests to each library; if an answer is wrong, it raises with a minimal one."""

    @settings(deadline=None, database=None, suppress_health_check=list(HealthCheck), **options)
    @given(sent=st.lists(fuzzing.requests(list(libraries.values())), min_size=1, max_size=REQUESTS))
    def run(sent: list[fuzzing.Request]) -> None:
        for name, library in libraries.items():
            library.restore()
            for request in sent:
                fuzzing.check(library, request, counts[name])

    return run


def test_the_same_requests_as_always(libraries: Mapping[str, Library], counts: Counts) -> None:
    fuzz(libraries, counts, max_examples=EXAMPLES, derandomize=True)()

    for counted in counts.values():
        assert {"200", "204", "400", "404", "409", "422"} <= counted.keys()  # else it would show little
        assert counted["2xx"] > EXAMPLES / 10


def test_other_requests(
    libraries: Mapping[str, Library], counts: Counts, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    """As long as `--fuzz-seconds` says; the requests are counted, by status, at the end."""
    deadline = monotonic() + pytestconfig.getoption("--fuzz-seconds")
    phases = [Phase.generate, Phase.shrink]
    try:
        while monotonic() < deadline:
            run = fuzz(libraries, counts, max_examples=100, phases=phases)
            seed(random.getrandbits(64))(run)()
    finally:
        with capsys.disabled():
            for name, counted in counts.items():
                print(f"\n{name}: {dict(sorted(counted.items()))}", end="")

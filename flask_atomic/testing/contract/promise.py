"""A test of the contract is about one promise: a sentence of the documentation of a hook."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial, wraps
from typing import Any, NamedTuple

from ...errors import PluginDefect
from .tested import TestedLayer

__all__ = ["BrokenPromise", "Promise", "promise", "promises"]

Test = Callable[[Any, TestedLayer], None]


class Promise(NamedTuple):
    """What a hook promises.

    :param hook: the name of the hook.
    :param sentence: words of its docstring.
    """

    hook: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.hook}: “{self.sentence}”"


class BrokenPromise(AssertionError):
    """The layer does not do what a hook promises."""


def promise(hook: str, sentence: str, *, needs: Collection[str] = ()) -> Callable[[Test], Test]:
    """Mark a test of the contract with the promise that it is about.

    The test runs in a thread of its own, in the context of the application: a layer that blocks for ever fails.

    :param needs: what else the layer must have for the test, hooks without their prefix and capabilities. Whoever lacks
        it and says so is not tested.
    """
    about = Promise(hook, sentence)

    def decorate(test: Test) -> Test:
        @wraps(test)
        def run(self: Any, tested: TestedLayer) -> None:
            __tracebackhide__ = True
            tested.require(hook.removeprefix("atomic_"), *needs)
            try:
                tested.in_time(partial(test, self, tested))
            except Exception as error:
                broken = BrokenPromise(f"The layer '{tested.name}' broke a promise of {_told(about, error)}")
                raise broken.with_traceback(error.__traceback__) from error.__cause__

        run.promise = about  # type: ignore[attr-defined]
        return run

    return decorate


def promises(contract: type) -> dict[str, Promise]:
    """The promise of each test of a contract, by the name of the test."""
    tests = {name: getattr(contract, name) for name in dir(contract) if name.startswith("test_")}
    return {name: test.promise for name, test in tests.items() if hasattr(test, "promise")}


def _told(about: Promise, error: Exception) -> str:
    if not isinstance(error, PluginDefect):
        return f"{about}.\n{error if isinstance(error, AssertionError) else _told_shortly(error)}"
    where = "" if error.hook == about.hook else f"{error.hook}, in the test of "
    cause = "" if error.__cause__ is None else f"\n{_told_shortly(error.__cause__)}"
    return f"{where}{about}.\n{error}{cause}"


def _told_shortly(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"

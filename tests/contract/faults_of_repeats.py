"""Faults in what is remembered for requests that are sent again."""

from __future__ import annotations

from typing import Any

from flask_atomic import MemoryLayer, hookimpl
from tests.contract.planted import breaks


@breaks(("atomic_remembers", "Say whether the answer to a request that writes the type"))
class RemembersArticlesOnly(MemoryLayer):
    @hookimpl
    def atomic_remember(self, unit: Any, resources: Any, key: Any, remembered: Any) -> None:
        if resources[0].type == "articles":
            super().atomic_remember(unit, key, remembered)


@breaks(("atomic_recall", "Returned is what was remembered, whole."))
class CutsOff(MemoryLayer):
    @hookimpl
    def atomic_remember(self, unit: Any, key: Any, remembered: Any) -> None:
        super().atomic_remember(unit, key, remembered._replace(body=remembered.body[:65_535]))


@breaks(("atomic_recall", "under the key, None if none has"))
class LooksAtTheLength(MemoryLayer):
    @hookimpl
    def atomic_recall(self, unit: Any, key: Any, now: Any) -> Any:
        return super().atomic_recall(unit, str(len(key)), now)

    @hookimpl
    def atomic_remember(self, unit: Any, key: Any, remembered: Any) -> None:
        super().atomic_remember(unit, str(len(key)), remembered)


@breaks(("atomic_recall", "It has expired if `expires` is not above `now`."))
class NeverExpires(MemoryLayer):
    @hookimpl
    def atomic_recall(self, unit: Any, key: Any) -> Any:
        return super().atomic_recall(unit, key, 0)


@breaks(("atomic_remember", "not after a rollback"))
class RemembersAtOnce(MemoryLayer):
    @hookimpl
    def atomic_remember(self, key: Any, remembered: Any) -> None:
        self._remembered[key] = remembered


@breaks(("atomic_remember", "What has expired is replaced."))
class KeepsWhatHasExpired(MemoryLayer):
    @hookimpl
    def atomic_remember(self, unit: Any, key: Any, remembered: Any) -> None:
        super().atomic_remember(unit, key, self._remembered.get(key, remembered))


@breaks(("atomic_remember", "one at most commits"))
class LetsBothCommit(MemoryLayer):
    @hookimpl
    def atomic_prepare(self, unit: Any) -> None:
        unit.recalled = dict(self._remembered)
        super().atomic_prepare(unit)


@breaks(("atomic_forget", "Forget what has expired, and nothing else."))
class ForgetsAll(MemoryLayer):
    @hookimpl
    def atomic_forget(self, unit: Any) -> Any:
        return super().atomic_forget(unit, float("inf"))


@breaks(("atomic_forget", "Forget what has expired, and nothing else."))
class ForgetsNothing(MemoryLayer):
    @hookimpl
    def atomic_forget(self, unit: Any, now: Any) -> Any:
        forgotten = super().atomic_forget(unit, now)
        unit.forgotten.clear()
        return forgotten

"""One unit of work: the hashes and sets that it has read, and what it has written over them.

Nothing is written to the server before the commit. It is refused there if a key that was read has changed by then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from .connection import Command, Connection

__all__ = ["Change", "Hash", "Unit"]


class Hash:
    """A hash as the unit sees it. It is there if it has fields.

    :param stored: the fields that the server has.
    """

    def __init__(self, stored: Mapping[str, str]) -> None:
        self.fields = dict(stored)
        """What may be read here; to be written by the methods only."""
        self._written: set[str] = set()
        self._was_deleted = False

    def __bool__(self) -> bool:
        return bool(self.fields)

    def write(self, fields: Mapping[str, str]) -> None:
        """Write these fields, and leave the others as they are."""
        self.fields.update(fields)
        self._written.update(fields)

    def delete(self) -> None:
        """Delete the hash."""
        self.fields.clear()
        self._written.clear()
        self._was_deleted = True

    def commands(self, key: str) -> Iterator[Command]:
        """What the server is to do."""
        if self._was_deleted:
            yield "DEL", key
        if self._written:
            yield "HSET", key, *(text for name in self._written for text in (name, self.fields[name]))


class Set:
    """A set as the unit sees it; what the server has of it need not be known."""

    def __init__(self) -> None:
        self._stored: Collection[str] | None = None
        self._added: dict[str, None] = {}
        self._removed: dict[str, None] = {}

    @property
    def is_read(self) -> bool:
        """Whether it is known what the server has."""
        return self._stored is not None

    def read_as(self, stored: Collection[str]) -> None:
        """Tell what the server has, unless it is known."""
        if self._stored is None:
            self._stored = stored

    def members(self) -> set[str]:
        """All members; it must be known what the server has."""
        assert self._stored is not None
        return {member for member in self._stored if member not in self._removed}.union(self._added)

    def add(self, members: Iterable[str]) -> None:
        """Add members."""
        self._added |= dict.fromkeys(members)

    def remove(self, members: Iterable[str]) -> None:
        """Remove members."""
        for member in members:
            self._removed[member] = None
            self._added.pop(member, None)

    def commands(self, key: str) -> Iterator[Command]:
        """What the server is to do: who was removed and added again is a member in the end."""
        if self._removed:
            yield "SREM", key, *self._removed
        if self._added:
            yield "SADD", key, *self._added


class Change(NamedTuple):
    """Something that waits for the flush, so that what it needs is read together with what others need.

    :param apply: makes the change in the unit.
    :param sets: the keys of sets that it needs.
    :param hashes: the keys of hashes that it needs, asked for when the sets are there.
    """

    apply: Callable[[], None]
    sets: Callable[[], Iterable[str]] = tuple
    hashes: Callable[[], Iterable[str]] = tuple


class Unit:
    """What one attempt at a request has read and written."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.waiting: list[Change] = []
        self.unnumbered: list[Any] = []
        """New resources that are still to be given an id."""
        self._hashes: dict[str, Hash] = {}
        self._sets: dict[str, Set] = {}

    # <read>
    def read(self, hashes: Iterable[str] = (), sets: Iterable[str] = ()) -> None:
        """Read what is not known yet, in one round trip; the commit fails if it changes after that."""
        hashes = [key for key in dict.fromkeys(hashes) if key not in self._hashes]
        sets = [key for key in dict.fromkeys(sets) if not self.set_at(key).is_read]
        if not hashes and not sets:
            return
        questions = [("HGETALL", key) for key in hashes] + [("SMEMBERS", key) for key in sets]
        _, *replies = self.connection.ask(("WATCH", *hashes, *sets), *questions)
        self._hashes |= {key: Hash(reply) for key, reply in zip(hashes, replies[: len(hashes)], strict=True)}
        for key, reply in zip(sets, replies[len(hashes) :], strict=True):
            self._sets[key].read_as(reply)

    # </read>

    def hash_at(self, key: str) -> Hash:
        """The hash at that key, which is read if it is not known."""
        self.read(hashes=[key])
        return self._hashes[key]

    def set_at(self, key: str) -> Set:
        """The set at that key, which is not read."""
        return self._sets.setdefault(key, Set())

    def members_at(self, key: str) -> set[str]:
        """The members of the set at that key, which is read if it is not known."""
        self.read(sets=[key])
        return self._sets[key].members()

    def flush(self) -> None:
        """Make the changes that wait."""
        changes, self.waiting = self.waiting, []
        self.read(sets=(key for change in changes for key in change.sets()))
        self.read(hashes=(key for change in changes for key in change.hashes()))
        for change in changes:
            change.apply()

    def commit(self) -> None:
        """Write everything, or nothing.

        :raises Transient: if what was read has changed, or the server cannot be reached.
        :raises UnknownOutcome: if the connection is lost while the server writes.
        """
        commands = [command for key, hash_ in self._hashes.items() for command in hash_.commands(key)]
        commands += [command for key, set_ in self._sets.items() for command in set_.commands(key)]
        if commands:
            self.connection.commit(commands)
        self.connection.release()

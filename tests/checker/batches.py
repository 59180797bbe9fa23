"""The batches: what the operations of each kind are, and what is stored when they are performed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random
from typing import Any, NamedTuple

from .histories import Batch, Fact

__all__ = [
    "Account",
    "Note",
    "Pair",
    "Prepared",
    "append",
    "doomed",
    "move",
    "pair",
    "part",
    "read",
    "shine",
    "transfer",
]

Operation = dict[str, Any]


class Prepared(NamedTuple):
    """A batch and the operations that perform it, one of which adds the receipt."""

    batch: Batch
    operations: list[Operation]

    def with_receipt(self, dice: Random) -> Prepared:
        """The same with the receipt somewhere among the operations."""
        position = dice.randint(0, len(self.operations))
        receipt = add("receipts", None, {"batch": self.batch.id})
        return Prepared(self.batch, [*self.operations[:position], receipt, *self.operations[position:]])


class Account(NamedTuple):
    """What an account was when it was read."""

    id: str
    balance: int
    version: str


class Note(NamedTuple):
    """A note of an earlier batch."""

    id: str
    batch: str
    number: int
    list: str

    @property
    def fact(self) -> Fact:
        """That the note is there, in its list."""
        return ("note", self.batch, self.number, int(self.list))


class Pair(NamedTuple):
    """The two halves that an earlier batch has added."""

    batch: Batch
    left: str
    right: str


def transfer(id: str, source: Account, target: Account, amount: int) -> Prepared:
    """Two entries, and two balances that were read before: refused if one of them has changed since."""
    changes = [(source, -amount), (target, amount)]
    facts: list[Fact] = [("entry", id, int(account.id), change) for account, change in changes]
    operations = [_set_balance(account, account.balance + change) for account, change in changes]
    operations += [
        add("entries", None, {"batch": id, "amount": change}, account=identifier("accounts", account.id))
        for account, change in changes
    ]
    return Prepared(Batch(id, "transfer", adds=tuple(facts), refusals=frozenset({"stale"})), operations)


def append(id: str, list_: str, count: int, readers: Sequence[str]) -> Prepared:
    """Notes, added to a list that others add to at the same time, as they do to its readers."""
    lids = [f"n{number}" for number in range(count)]
    operations = [add("notes", lid, {"batch": id, "number": number}) for number, lid in enumerate(lids)]
    operations.append(relate("add", identifier("lists", list_), "notes", [by_lid("notes", lid) for lid in lids]))
    members = [identifier("accounts", reader) for reader in readers]
    operations.append(relate("add", identifier("lists", list_), "readers", members))
    facts: Iterable[Fact] = (("note", id, number, int(list_)) for number in range(count))
    shared: Iterable[Fact] = (("reader", int(list_), int(reader)) for reader in readers)
    return Prepared(Batch(id, "append", adds=tuple(facts), members=frozenset(shared)), operations)


def pair(id: str) -> Prepared:
    """Two halves that refer to each other."""
    left, right = by_lid("halves", "left"), by_lid("halves", "right")
    operations = [
        add("halves", "left", {"batch": id, "side": "left"}),
        add("halves", "right", {"batch": id, "side": "right"}, other=left),
        relate("update", left, "other", right),
    ]
    return Prepared(Batch(id, "pair", adds=(("half", id, "left", True), ("half", id, "right", True))), operations)


def part(id: str, pair: Pair) -> Prepared:
    """The end of a pair."""
    left, right = identifier("halves", pair.left), identifier("halves", pair.right)
    operations = [relate("update", left, "other", None), {"op": "remove", "ref": right}, {"op": "remove", "ref": left}]
    return Prepared(Batch(id, "part", removes=pair.batch.adds), operations)


def move(id: str, note: Note, list_: str) -> Prepared:
    """A note goes from its list to another."""
    moved = note._replace(list=list_)
    operations = [relate("update", identifier("notes", note.id), "list", identifier("lists", list_))]
    return Prepared(Batch(id, "move", adds=(moved.fact,), removes=(note.fact,)), operations)


def shine(id: str, lamps: Sequence[str], red: int, green: int) -> Prepared:
    """All lamps of a street shine in one colour, whatever they showed before.

    Blue follows from the other two: no two ways to shine mix into a third one. And any two have one value in common, so
    that it would be noticed if only differences were written.
    """
    shown = {"red": red, "green": green, "blue": red ^ green}
    operations = [{"op": "update", "data": {**identifier("lamps", lamp), "attributes": shown}} for lamp in lamps]
    state: Iterable[Fact] = (("lamp", int(lamp), *shown.values()) for lamp in lamps)
    return Prepared(Batch(id, "shine", overwrites=tuple(state)), operations)


def doomed(prepared: Prepared) -> Prepared:
    """The same with an operation at the end that cannot be performed."""
    batch = replace(prepared.batch, is_doomed=True, refusals=prepared.batch.refusals | {"resource-not-found"})
    return Prepared(batch, [*prepared.operations, read("0")])


# --------------------------------------------------------------------------------------------------------- operations


def read(account: str) -> Operation:
    """An operation that changes nothing, and shows an account."""
    return {"op": "update", "data": identifier("accounts", account)}


def _set_balance(account: Account, balance: int) -> Operation:
    data = {**identifier("accounts", account.id), "meta": {"version": account.version}}
    return {"op": "update", "data": {**data, "attributes": {"balance": balance}}}


def add(type_: str, lid: str | None, attributes: dict[str, Any], **related: Any) -> Operation:
    """An operation that adds a resource."""
    data: dict[str, Any] = {"type": type_, "attributes": attributes}
    if lid is not None:
        data["lid"] = lid
    if related:
        data["relationships"] = {name: {"data": linkage} for name, linkage in related.items()}
    return {"op": "add", "data": data}


def relate(op: str, target: dict[str, str], relationship: str, linkage: Any) -> Operation:
    """An operation on a relationship."""
    return {"op": op, "ref": {**target, "relationship": relationship}, "data": linkage}


def identifier(type_: str, id: str) -> dict[str, str]:
    """What names a resource that exists."""
    return {"type": type_, "id": id}


def by_lid(type_: str, lid: str) -> dict[str, str]:
    """What names a resource of the same batch."""
    return {"type": type_, "lid": lid}

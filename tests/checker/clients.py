"""Clients: each sends one batch after the other, and goes on with what it was told."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from random import Random
from threading import Event
from typing import Any

from . import batches
from .batches import Account, Note, Pair, Prepared
from .connections import Heard, Manner, send
from .histories import Answer, Batch, History, Loss, Outcome, Try, outcome

__all__ = ["Client"]

PATIENCE = 60
"""How many seconds a client with a key goes on asking what became of its request."""

_MANNERS = {Manner.HALF: 1, Manner.GONE: 2, Manner.SLOW: 1, Manner.TWIN: 2}
_PLAIN = 20


class Client:
    """One of those who write at the same time.

    :param ports: where the application is served; it asks now here, now there.
    :param number: what its batches are called by.
    :param dice: what it decides by.
    :param keyed: whether it sends keys, and repeats a request until it knows what became of it.
    :param accounts: the ids of the accounts.
    :param lists: the ids of the lists.
    :param streets: the ids of the lamps in each street.
    :param well_mannered: whether it sends every request once, to its end, and waits for the answer.
    """

    def __init__(
        self,
        ports: Sequence[int],
        number: int,
        dice: Random,
        *,
        keyed: bool,
        accounts: list[str],
        lists: list[str],
        streets: list[list[str]],
        well_mannered: bool,
    ) -> None:
        self._ports = ports
        self._number = number
        self._dice = dice
        self._keyed = keyed
        self._accounts = accounts
        self._lists = lists
        self._streets = streets
        self._well_mannered = well_mannered
        self._pairs: list[Pair] = []
        self._notes: list[Note] = []
        self._made = 0
        self.histories: list[History] = []
        self.manners: Counter[Manner] = Counter()
        """How often it sent a request in each manner."""

    def work(self, stop: Event) -> None:
        """Send batches until it is told to stop."""
        kinds = [
            self._transfer,
            self._transfer,
            self._append,
            self._pair,
            self._part,
            self._move,
            self._shine,
            self._shine,
        ]
        while not stop.is_set():
            self._dice.choice(kinds)()

    # ------------------------------------------------------------------------------------------------------ batches

    def _transfer(self) -> None:
        source, target = self._dice.sample(self._accounts, 2)
        operations = [batches.read(source), batches.read(target)]
        (heard,) = send(self._port(), operations, None, Manner.PLAIN)
        if isinstance(heard, Heard) and heard.status == 200:
            first, second = (
                Account(data["id"], data["attributes"]["balance"], data["meta"]["version"])
                for data in _shown(heard.document, "accounts")
            )
            self._perform(batches.transfer(self._name(), first, second, self._dice.randint(1, 100)))

    def _append(self) -> None:
        list_, readers = self._dice.choice(self._lists), self._dice.sample(self._accounts, 2)
        prepared = batches.append(self._name(), list_, self._dice.randint(1, 4), readers)
        batch, document = self._perform(prepared)
        for number, data in enumerate(_shown(document, "notes")):
            self._notes.append(Note(data["id"], batch.id, number, list_))

    def _pair(self) -> None:
        batch, document = self._perform(batches.pair(self._name()))
        halves = {data["attributes"]["side"]: data["id"] for data in _shown(document, "halves")}
        if halves:
            self._pairs.append(Pair(batch, **halves))

    def _part(self) -> None:
        """Take a pair apart; it is not touched again, whatever comes of it."""
        if self._pairs:
            self._perform(batches.part(self._name(), self._take(self._pairs)))

    def _move(self) -> None:
        """Move a note, and do it again only if this one is known to be where it should."""
        if self._notes:
            note, list_ = self._take(self._notes), self._dice.choice(self._lists)
            _, document = self._perform(batches.move(self._name(), note, list_))
            if document is not None:
                self._notes.append(note._replace(list=list_))

    def _shine(self) -> None:
        street, dice = self._dice.choice(self._streets), self._dice
        self._perform(batches.shine(self._name(), street, dice.randint(0, 1), dice.randint(0, 1)))

    def _take(self, things: list[Any]) -> Any:
        return things.pop(self._dice.randrange(len(things)))

    def _name(self) -> str:
        self._made += 1
        return f"{self._number}-{self._made}"

    # ------------------------------------------------------------------------------------------------------ sending

    def _perform(self, prepared: Prepared) -> tuple[Batch, Any]:
        """Send a batch, and return it with the document that acknowledged it, None for none."""
        if self._dice.random() < 0.1:
            prepared = batches.doomed(prepared)
        prepared = prepared.with_receipt(self._dice)
        tries, document = self._until_known(prepared)
        self.histories.append(History(prepared.batch, tuple(tries)))
        return prepared.batch, document

    def _until_known(self, prepared: Prepared) -> tuple[list[Try], Any]:
        tries: list[Try] = []
        document = None
        patience_ends = time.monotonic() + PATIENCE
        while True:
            for heard in self._send(prepared):
                tries.append(heard if isinstance(heard, Loss) else _answer(heard))
                if isinstance(heard, Heard) and heard.status < 400:
                    document = heard.document
            if not self._keyed or time.monotonic() > patience_ends or self._is_content(tries):
                return tries, document
            time.sleep(self._dice.uniform(0, 0.3))

    def _is_content(self, tries: list[Try]) -> bool:
        """Whether the client takes what it was told for final. It may ask again nevertheless, for the same answer."""
        last = tries[-1]
        is_final = isinstance(last, Answer) and last.status < 500 and outcome(tries) is not Outcome.UNKNOWN
        return is_final and (self._well_mannered or self._dice.random() < 0.9)

    def _send(self, prepared: Prepared) -> list[Heard | Loss]:
        manner = self._manner()
        self.manners[manner] += 1
        key = f"key of {prepared.batch.id}" if self._keyed else None
        return send(self._port(), prepared.operations, key, manner)

    def _port(self) -> int:
        return self._dice.choice(self._ports)

    def _manner(self) -> Manner:
        if self._well_mannered or self._dice.randrange(sum(_MANNERS.values()) + _PLAIN) < _PLAIN:
            return Manner.PLAIN
        manner = self._dice.choices(list(_MANNERS), list(_MANNERS.values()))[0]
        return Manner.PLAIN if manner is Manner.TWIN and not self._keyed else manner


def _answer(heard: Heard) -> Answer:
    if heard.status >= 400:
        return Answer(heard.status, tuple(error["code"] for error in heard.document["errors"]))
    receipts = [data["id"] for data in _shown(heard.document, "receipts")]
    return Answer(heard.status, (), receipts[0] if len(receipts) == 1 else None, heard.is_replay)


def _shown(document: Any, type_: str) -> list[dict[str, Any]]:
    """The resources of that type in the results."""
    results = [] if document is None else document["atomic:results"]
    return [result["data"] for result in results if result.get("data", {}).get("type") == type_]

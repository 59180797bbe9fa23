"""A shop: the requests of the benchmark, and what must be stored after them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from sqlalchemy import NullPool, create_engine, func, select

from flask_atomic.errors import MOST_ERRORS

from .client import Answer, Json, Performer
from .models import Computer, Customer

__all__ = ["Shop", "Wrong"]


class Wrong(Exception):
    """A server answered or stored something else than it was asked to."""


class Shop:
    """The customers and computers of one server.

    :param performer: has the server perform operations.
    :param url: the database of the server, which nobody else writes to.
    :param results: the member of an answer that has the results.
    """

    def __init__(self, performer: Performer, url: str, results: str = "atomic:results") -> None:
        self._performer = performer
        self._engine = create_engine(url, poolclass=NullPool)
        self._results = results
        self._number = itertools.count(1)
        self._ids: list[str] = []
        self._customers = 0
        self._computers = 0
        self._renamed = ""

    # Each returns the seconds of the request that is measured; what it takes besides is done before.

    def adds(self, count: int) -> float:
        """Add customers."""
        seconds, _ = self._add_customers(count)
        return seconds

    def grouped(self, count: int) -> float:
        """Add half as many customers, then a computer for each, by its local id."""
        customers, computers = self._pairs(count // 2)
        return self._add_pairs([*customers, *computers])

    def alternating(self, count: int) -> float:
        """Add half as many customers, each followed by its computer, by its local id."""
        return self._add_pairs([each for pair in zip(*self._pairs(count // 2), strict=True) for each in pair])

    def updates(self, count: int) -> float:
        """Change the name and the address of customers, which is all that a client sees of them."""
        return self._update([self._attributes("Renamed") for _ in range(count)])

    def renames(self, count: int) -> float:
        """Change the name of customers, and nothing else."""
        return self._update([{"name": self._attributes("Renamed")["name"]} for _ in range(count)])

    def _update(self, attributes: Sequence[Json]) -> float:
        self._ids += self._new(len(attributes) - len(self._ids))
        operations = [
            {"op": "update", "data": {"type": "customer", "id": id_, "attributes": each}}
            for id_, each in zip(self._ids, attributes, strict=False)
        ]
        self._renamed = attributes[-1]["name"]
        return self._performed(operations).seconds

    def removes(self, count: int) -> float:
        """Remove customers."""
        references = [{"type": "customer", "id": id_} for id_ in self._new(count)]
        seconds = self._performed([{"op": "remove", "ref": reference} for reference in references]).seconds
        self._customers -= count
        return seconds

    def errors(self, count: int) -> float:
        """Try to add customers each of which is refused for its address."""
        operations = [self._customer() for _ in range(count)]
        for operation in operations:
            operation["data"]["attributes"]["email"] = "nowhere"
        answer = self._performer.perform(operations)
        pointers = [error["source"]["pointer"] for error in answer.document.get("errors", ())]
        told = min(count, MOST_ERRORS)
        if pointers != [f"/atomic:operations/{position}/data/attributes/email" for position in range(told)]:
            raise Wrong(f"{answer.status} with {len(pointers)} errors, and not one for each of {told} operations.")
        return answer.seconds

    def check(self) -> None:
        """Look whether the database holds what it must.

        :raises Wrong: if not.
        """
        with self._engine.connect() as connection:
            customers = connection.scalar(select(func.count()).select_from(Customer))
            computers = connection.scalar(select(func.count()).select_from(Computer))
            owned = connection.scalar(select(func.count()).join_from(Computer, Customer))
            renamed = connection.scalar(select(func.count()).where(Customer.name == self._renamed))
        stored = (customers, computers, owned, renamed)
        expected = (self._customers, self._computers, self._computers, int(bool(self._renamed)))
        if stored != expected:
            raise Wrong(f"Customers, computers, those owned and the one renamed last: {stored}, and not {expected}.")

    # ---------------------------------------------------------------------------------------------------- requests

    def _attributes(self, name: str) -> Json:
        number = next(self._number)
        return {"name": f"{name} {number}", "email": f"customer{number}@example.com"}

    def _customer(self, **members: str) -> Json:
        return {"op": "add", "data": {"type": "customer", **members, "attributes": self._attributes("Customer")}}

    def _pairs(self, count: int) -> tuple[list[Json], list[Json]]:
        customers = [self._customer(lid=f"c{position}") for position in range(count)]
        computers = [
            {
                "op": "add",
                "data": {
                    "type": "computer",
                    "attributes": {"serial": f"SN-{next(self._number):012d}"},
                    "relationships": {"owner": {"data": {"type": "customer", "lid": customer["data"]["lid"]}}},
                },
            }
            for customer in customers
        ]
        return customers, computers

    def _add_customers(self, count: int) -> tuple[float, list[str]]:
        answer = self._performed([self._customer() for _ in range(count)])
        self._customers += count
        ids = [result["data"]["id"] for result in answer.document[self._results]]
        if len(set(ids)) != count:
            raise Wrong(f"{len(set(ids))} ids for {count} customers.")
        return answer.seconds, ids

    def _add_pairs(self, operations: Sequence[Json]) -> float:
        seconds = self._performed(operations).seconds
        self._customers += len(operations) // 2
        self._computers += len(operations) // 2
        return seconds

    def _new(self, count: int) -> list[str]:
        ids: list[str] = []
        while len(ids) < count:
            ids += self._add_customers(min(100, count - len(ids)))[1]
        return ids

    def _performed(self, operations: Sequence[Json]) -> Answer:
        answer = self._performer.perform(operations)
        if answer.status not in (200, 201, 204):
            raise Wrong(f"{answer.status}: {str(answer.document)[:500]}")
        if answer.status != 204 and len(answer.document[self._results]) != len(operations):
            raise Wrong(f"{len(answer.document[self._results])} results for {len(operations)} operations.")
        return answer

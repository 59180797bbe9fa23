"""The most that a request can cost: CPU seconds for 1 MiB of the worst inputs that are known, on two stores.

    python -m benchmarks.worst_cases docs/benchmarks/worst-cases.csv

writes the table for the page on security. tests/test_worst_cases.py shows, without a clock, that the same inputs cost
no more than in proportion to their size.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID

import marshmallow
from flask import Flask
from marshmallow_jsonapi import Schema, fields
from sqlalchemy import JSON, Column, ForeignKey, Numeric, StaticPool, Table, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, sessionmaker
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_atomic import Atomic, MemoryLayer
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer

__all__ = ["CASES", "STORES", "Case", "Request", "Server"]

CONTENT_TYPE = 'application/vnd.api+json;ext="https://jsonapi.org/ext/atomic"'
FIRST = UUID(int=1)
"""The id of the resource that is there in the beginning."""

_MIB = 1024 * 1024
_OFF = {"ATOMIC_MAX_OPERATIONS": None, "ATOMIC_MAX_MEMBERS": None, "ATOMIC_MAX_VALUES": None}


# ------------------------------------------------------------------------------------------------------- what is served


class Base(DeclarativeBase):
    """The base class of the models."""


_kin = Table(
    "kin",
    Base.metadata,
    Column("thing_id", ForeignKey("thing.id"), primary_key=True),
    Column("other_id", ForeignKey("thing.id"), primary_key=True),
)


class Thing(Base):
    """Something with a column of many kinds."""

    __tablename__ = "thing"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(unique=True)
    email: Mapped[str | None]
    url: Mapped[str | None]
    number: Mapped[int | None]
    price: Mapped[Decimal | None] = mapped_column(Numeric(8, 2))
    uuid: Mapped[UUID | None]
    moment: Mapped[datetime | None]
    numbers: Mapped[Any | None] = mapped_column(JSON)
    groups: Mapped[Any | None] = mapped_column(JSON)
    parts: Mapped[Any | None] = mapped_column(JSON)
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("thing.id"))
    parent: Mapped[Any | None] = relationship("Thing", remote_side=[id])
    kin: Mapped[list[Any]] = relationship(
        "Thing", secondary=_kin, primaryjoin=id == _kin.c.thing_id, secondaryjoin=id == _kin.c.other_id
    )


class PartSchema(marshmallow.Schema):
    """What may be nested in itself."""

    number = marshmallow.fields.Int()
    parts = marshmallow.fields.List(marshmallow.fields.Nested(lambda: PartSchema()))


class ThingSchema(Schema):
    """Something with a field of many kinds."""

    id = fields.Str()
    name = fields.Str()
    email = fields.Email()
    url = fields.Url()
    number = fields.Int()
    price = fields.Decimal(as_string=True)
    uuid = fields.UUID()
    moment = fields.NaiveDateTime()
    numbers = fields.List(fields.Int())
    groups = fields.Dict(values=fields.List(fields.Int()))
    parts = fields.List(fields.Nested(PartSchema))
    parent = fields.Relationship(type_="t", allow_none=True, include_resource_linkage=True)
    kin = fields.Relationship(type_="t", many=True, include_resource_linkage=True)

    class Meta:
        """Gives the type a short name, so that more of them fit in."""

        type_ = "t"


@contextmanager
def _memory() -> Iterator[MemoryLayer]:
    yield MemoryLayer()


@contextmanager
def _sqlite() -> Iterator[SQLAlchemyLayer]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    Base.metadata.create_all(engine)
    yield SQLAlchemyLayer(sessionmaker(engine))
    engine.dispose()


STORES = {"memory": _memory, "SQLite": _sqlite}


class Request(NamedTuple):
    """What a client sends."""

    body: str
    query: str = ""
    headers: Mapping[str, str] = {}


class Server:
    """An application that serves things; one is there already."""

    def __init__(self, layer: object, settings: Mapping[str, Any]) -> None:
        atomic = Atomic(layer)
        atomic.resource(ThingSchema, model=Thing, id_type=UUID, client_ids="required")
        self._app = Flask("worst_cases")
        self._app.config.from_mapping(settings)
        self._app.register_blueprint(atomic.blueprint)
        with self._app.app_context():
            atomic.perform(_document([_add("")]))

    def prepare(self, request: Request) -> Callable[[], tuple[int, int]]:
        """Return what sends the request, and returns the status and the length of the answer."""
        headers = Headers({"Content-Type": CONTENT_TYPE, **request.headers})
        environ = EnvironBuilder(
            "/operations", method="POST", query_string=request.query, headers=headers, data=request.body.encode()
        ).get_environ()

        def send() -> tuple[int, int]:
            answer, status, _ = run_wsgi_app(self._app, environ)
            return int(status[:3]), sum(len(part) for part in answer)

        return send


# ------------------------------------------------------------------------------------------------------------- requests


class Case(NamedTuple):
    """One kind of worst input.

    :param make: makes a request of about so many bytes.
    :param status: what it is answered with.
    :param settings: those that the application has changed.
    """

    title: str
    make: Callable[[int], Request]
    status: int
    settings: Mapping[str, Any] = {}


def _fill(size: int, items: Iterable[str], separator: str = ",") -> str:
    """As many of the items as fit into the size."""
    taken: list[str] = []
    for item in items:
        size -= len(item.encode()) + len(separator)
        if size < 0:
            break
        taken.append(item)
    return separator.join(taken)


def _each(template: str, first: int = 2) -> Iterator[str]:
    return (template.replace("#", str(number)) for number in count(first))


def _padded(item: str, values: int = 1) -> Iterator[str]:
    """Items of so many values each, so long that 1 MiB of them stays below `ATOMIC_MAX_VALUES`."""
    return _each(item.ljust(22 * values))


def _document(operations: Iterable[str]) -> str:
    return f'{{"atomic:operations":[{",".join(operations)}]}}'


def _add(attributes: str, id_: UUID | str = FIRST, relationships: str = "") -> str:
    members = f'"attributes":{{{attributes}}},"relationships":{{{relationships}}}'
    return f'{{"op":"add","data":{{"type":"t","id":"{id_}",{members}}}}}'


def _ids(first: int = 2, step: int = 1) -> Iterator[UUID]:
    return (UUID(int=number) for number in count(first, step))


def _identifiers(ids: Iterable[Any], key: str = "id") -> Iterator[str]:
    return (f'{{"type":"t","{key}":"{id_}"}}' for id_ in ids)


_COLLIDING = 2**61 - 1
"""UUIDs that are so far from each other have the same hash: that of the number that they are."""
_UPDATE = f'{{"op":"update","data":{{"type":"t","id":"{FIRST}"}}}}'
_OF_KIN = f'"ref":{{"type":"t","id":"{FIRST}","relationship":"kin"}}'


def operations(size: int, items: Iterable[str], *more: str) -> Request:
    """As many operations as fit in."""
    return Request(_document([_fill(size, items), *more]))


def attribute(size: int, name: str, before: str, items: Iterable[str], after: str, separator: str = ",") -> Request:
    """One operation with one large attribute."""
    return Request(_document([_add(f'"{name}":{before}{_fill(size, items, separator)}{after}', UUID(int=2))]))


def attributes(size: int, items: Iterable[str]) -> Request:
    """One operation with as many attributes as fit in."""
    return Request(_document([_add(_fill(size, items), UUID(int=2))]))


def linkage(size: int, members: Iterable[str], op: str = "update", *more: str) -> Request:
    """One operation with as many members of a relationship as fit in."""
    return Request(_document([f'{{"op":"{op}",{_OF_KIN},"data":[{_fill(size, members)}]}}', *more]))


def header(size: int, name: str, items: Iterable[str], before: str = "", separator: str = ",") -> Request:
    """A request with a long header."""
    return Request(_document([_UPDATE]), headers={name: before + _fill(size, items, separator)})


def query(size: int, items: Iterable[str], before: str = "", separator: str = "&") -> Request:
    """A request with a long query."""
    return Request(_document([_UPDATE]), query=before + _fill(size, items, separator))


def _spread(size: int, make: Callable[[int, int], str]) -> Request:
    """900 operations that share the size."""
    return Request(_document([make(number, size // 900) for number in range(2, 902)]))


def _deep(size: int) -> Request:
    level = '{"number":"x","parts":['
    item = level * 40 + "]}" * 40
    return attribute(size, "parts", "[", _padded(item, 120), "]")


def _deep_and_right(size: int) -> Request:
    return attribute(size, "parts", "[", _padded('{"parts":[' * 40 + "]}" * 40, 80), "]")


def _updates_of_one(size: int) -> Request:
    numbers = _fill(min(size // 2, 2 * 44_000), _each("1"))
    first = f'{{"op":"update","data":{{"type":"t","id":"{FIRST}","attributes":{{"numbers":[{numbers}]}}}}}}'
    return Request(_document([first, *[_UPDATE] * min(size // 2 // len(_UPDATE), 900)]))


def _long_names(size: int) -> Request:
    return attribute(size // 2, "groups", f'{{"{"n" * (size // 2)}":[', _padded("null"), "]}")


CASES = (
    # the document
    Case("operations that are 0, without limits", lambda size: operations(size, _each("0")), 400, _OFF),
    Case("operations that are 0", lambda size: operations(size, _padded("0")), 422),
    Case("operations of an unknown type, without limits",
         lambda size: operations(size, _each('{"op":"remove","ref":{"type":"#","id":"1"}}')), 404, _OFF),
    Case("arrays in each other, to the end", lambda size: Request("[" * size), 400),
    Case("objects in each other, 40 deep and wrong", _deep, 422),
    Case("a number of many digits", lambda size: attribute(size, "number", "", _each("1"), "", ""), 400),
    Case("numbers of 4000 digits", lambda size: attribute(size, "numbers", "[", _each("1" * 4000), "]"), 200),
    Case("numbers that are too large", lambda size: attribute(size, "numbers", "[", _each("1e999"), "]"), 400),
    Case("members that occur twice", lambda size: attribute(size, "x", "{", _each('"a":0'), "}"), 400),
    Case("halves of surrogate pairs", lambda size: attribute(size, "x", '"', _each("\\udc00"), '"', ""), 400),
    Case("escapes", lambda size: attribute(size, "name", '"', _each("\\u00e9"), '"', ""), 200),
    Case("an escape that is none, at the end",
         lambda size: attribute(size, "name", '"', _each("\\n"), '\\x"', ""), 400),
    Case("many @-members", lambda size: attributes(size, _padded('"@#":0')), 200),
    Case("many @-members in nested objects", lambda size: attribute(size, "parts", "[{", _padded('"@#":0'), "}]"), 200),
    # attributes
    Case("unknown attributes", lambda size: attributes(size, _padded('"a#":0')), 422),
    Case("numbers that are none", lambda size: attribute(size, "numbers", "[", _padded("{}"), "]"), 422),
    Case("unknown members of nested objects",
         lambda size: attribute(size, "parts", "[", _padded('{"a":0}', 2), "]"), 422),
    Case("values that are wrong under a long name", _long_names, 422),
    Case("zeros with large exponents",
         lambda size: _spread(size, lambda number, _: _add(f'"price":"0E-{size}"', UUID(int=number))), 422),
    Case("decimals of many digits", lambda size: attribute(size, "price", '"0.', _each("1"), '"', ""), 200),
    Case("an e-mail address with a foreign domain",
         lambda size: attribute(size, "email", '"a@', map(chr, _cycle(0x4E00, 0x9FA5)), '"', ""), 422),
    Case("an e-mail address with many dots", lambda size: attribute(size, "email", '"a@', _each("a."), '"', ""), 422),
    Case("a URL with many dots", lambda size: attribute(size, "url", '"http://', _each("a."), '"', ""), 422),
    Case("a URL with many colons", lambda size: attribute(size, "url", '"http://', _each("a:"), '"', ""), 422),
    Case("a UUID of any length", lambda size: attribute(size, "uuid", '"', _each("-"), '"', ""), 422),
    Case("a date with many digits",
         lambda size: attribute(size, "moment", '"2020-01-01T00:00:00.', _each("1"), '"', ""), 422),
    Case("nested objects", lambda size: attribute(size, "parts", "[", _padded("{}"), "]"), 200),
    Case("objects in each other, 40 deep", _deep_and_right, 200),
    Case("900 updates of one resource with 44000 numbers, 160 kB", _updates_of_one, 422),
    # identifiers
    Case("related resources that do not exist", lambda size: linkage(size // 2, _identifiers(_ids())), 404),
    Case("related resources that do not exist, without limits",
         lambda size: linkage(size, _identifiers(_ids())), 404, _OFF),
    Case("related resources that are all the same, without limits",
         lambda size: linkage(size, _identifiers(iter(lambda: FIRST, None))), 204, _OFF),
    Case("related resources with ids of one hash, without limits",
         lambda size: linkage(size, _identifiers(_ids(2, _COLLIDING))), 422, _OFF),
    Case("new resources with ids of one hash, without limits",
         lambda size: operations(size, (_add("", id_) for id_ in _ids(2, _COLLIDING))), 422, _OFF),
    Case("local ids that nobody declares, without limits",
         lambda size: linkage(size, _identifiers(count(), "lid")), 400, _OFF),
    Case("local ids that are long and alike",
         lambda size: _spread(size, lambda number, _: _with_lid("l" * (size // 1800) + str(number))), 422),
    Case("an id of 1 MiB", lambda size: Request(_document([_add("", "1" * size)])), 422),
    Case("unknown relationships",
         lambda size: Request(_document([_add("", UUID(int=2), _fill(size, _padded('"r#":{"data":null}', 2)))])), 422),
    # hrefs
    Case("a href to a host of combining characters", lambda size: _href(size, "//a", ["\u0315\u0300"]), 404),
    Case("a href with many segments", lambda size: _href(size, "", ["/a"]), 404),
    Case("a href with many dots", lambda size: _href(size, "", ["/.."]), 404),
    Case("a href that is all encoded", lambda size: _href(size, "", ["%41"]), 404),
    Case("a href that is encoded wrongly", lambda size: _href(size, "", ["%ff"]), 400),
    # what goes wrong late
    Case("1000 operations, the last fails",
         lambda size: operations(size, _adds(size), _add("", FIRST)), 409),
    Case("1000 operations, the last fails in the store",
         lambda size: operations(size, _adds(size), _update_name(2), _update_name(3)), 409),
    Case("1000 operations that are written together, the last fails in the store",
         lambda size: operations(size, _adds(size), _add(f'"name":"{UUID(int=2)}"', UUID(int=1001))), 409),
    # headers and parameters
    Case("an Accept of many ranges", lambda size: header(size, "Accept", _each("*/*")), 406),
    Case("an Accept of many parameters", lambda size: header(size, "Accept", _each(";q=1"), "*/*", ""), 406),
    Case("an Accept of quotes", lambda size: header(size, "Accept", _each('"'), "", ""), 406),
    Case("an Accept of open quotes and backslashes",
         lambda size: header(size, "Accept", _each('"\\'), "a;b=", ""), 406),
    Case("an Accept with a long weight", lambda size: header(size, "Accept", _each("0"), "*/*;q=0.", ""), 406),
    Case("a Content-Type of many parameters",
         lambda size: header(size, "Content-Type", _each(";ext=a"), "application/vnd.api+json", ""), 415),
    Case("a Content-Type of many extensions",
         lambda size: header(size, "Content-Type", _each("a:#"), 'application/vnd.api+json;ext="', " "), 415),
    Case("fields of many names", lambda size: query(size, _each("f#"), "fields[t]=", ","), 400),
    Case("fields of many types", lambda size: query(size, _each("fields[#]=")), 400),
    Case("fields of one type, many times", lambda size: query(size, _each("fields[t]=")), 400),
    Case("unknown parameters", lambda size: query(size, _each("#")), 400),
)  # fmt: skip


def _cycle(first: int, last: int) -> Iterator[int]:
    return (first + number % (last - first) for number in count())


def _adds(size: int) -> Iterator[str]:
    return (_add(f'"name":"{id_}"', id_) for id_, _ in zip(_ids(), range(min(990, size // 200)), strict=False))


def _update_name(id_: int) -> str:
    return f'{{"op":"update","data":{{"type":"t","id":"{UUID(int=id_)}","attributes":{{"name":"one"}}}}}}'


def _with_lid(lid: str) -> str:
    return f'{{"op":"add","data":{{"type":"t","lid":"{lid}"}}}}'


def _href(size: int, before: str, items: list[str]) -> Request:
    href = before + items[0] * (size // len(items[0].encode()))
    return Request(f'{{"atomic:operations":[{{"op":"remove","href":"{href}"}}]}}')


# -------------------------------------------------------------------------------------------------------------- measure


def measure(case: Case, store: str, size: int = _MIB) -> tuple[int, float]:
    """Return the status that the case is answered with, and how many seconds of CPU it takes, the least of three."""
    request, taken = case.make(size), []
    for _ in range(3):
        with STORES[store]() as layer:
            send = Server(layer, case.settings).prepare(request)
            start = time.process_time()
            status, _ = send()
            taken.append(time.process_time() - start)
    return status, min(taken)


def main(file: str) -> None:
    """Measure all and write the table."""
    with open(file, "w", encoding="utf-8", newline="") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(["1 MiB of", "status", *(f"{store}, s" for store in STORES)])
        for case in CASES:
            measured = [measure(case, store) for store in STORES]
            table.writerow([case.title, measured[-1][0], *(f"{seconds:.2f}" for _, seconds in measured)])


if __name__ == "__main__":
    main(*sys.argv[1:])

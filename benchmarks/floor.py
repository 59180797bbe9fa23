"""The same written by hand, in three ways, for the requests of the benchmark alone. Nothing is validated.

`/floor` sends each run of equal operations on one type as one `executemany` of SQLAlchemy Core. New ids are those
after the highest, which is right for a single writer only: it is a floor, not a design. `/orm` uses the unit of work,
with one flush for each such run; `/orm-each` with one for each operation, as it is written most often.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby
from typing import Any

from flask import Flask, Response, request
from sqlalchemy import Connection, Engine, bindparam, create_engine, delete, func, insert, select, update
from sqlalchemy.orm import Session

from benchmarks.models import Base, Computer, Customer, prepare, url_of_environment

__all__ = ["create_app"]

Json = dict[str, Any]
Lids = dict[tuple[str, str], int]
Operations = Sequence[Json]
Way = Callable[[Engine, Operations], list[Json]]

_CONTENT_TYPE = 'application/vnd.api+json;ext="https://jsonapi.org/ext/atomic"'
_MODELS: dict[str, type[Base]] = {"customer": Customer, "computer": Computer}
_TABLES = {type_: Base.metadata.tables[model.__tablename__] for type_, model in _MODELS.items()}
_HIGHEST = {type_: select(func.max(table.c.id)) for type_, table in _TABLES.items()}
_INSERT = {type_: insert(table) for type_, table in _TABLES.items()}
_UPDATE = {type_: update(table).where(table.c.id == bindparam("of")) for type_, table in _TABLES.items()}


def create_app(url: str | None = None) -> Flask:
    """Return the application on the database at `url`, or on that of the environment."""
    engine = create_engine(url or url_of_environment())
    prepare(engine)
    app = Flask(__name__)
    ways: dict[str, Way] = {"floor": _by_core, "orm": _by_orm, "orm-each": partial(_by_orm, each=True)}
    for name, perform in ways.items():
        app.add_url_rule(f"/{name}", name, partial(_serve, engine, perform), methods=["POST"])
    return app


def _serve(engine: Engine, perform: Way) -> Response:
    results = perform(engine, json.loads(request.get_data())["atomic:operations"])
    if not any(results):
        return Response(status=204)
    return Response(json.dumps({"atomic:results": results}), content_type=_CONTENT_TYPE)


def _kind(operation: Json) -> tuple[str, str]:
    return operation["op"], (operation.get("ref") or operation["data"])["type"]


def _row(data: Json, lids: Lids) -> Json:
    row = dict(data["attributes"])
    if data["type"] == "computer":
        owner = data["relationships"]["owner"]["data"]
        row["owner_id"] = lids[owner["type"], owner["lid"]] if "lid" in owner else int(owner["id"])
    return row


def _added(data: Json, id_: int, row: Json, lids: Lids) -> Json:
    """The result of an `add`, whose local id is remembered."""
    type_ = data["type"]
    if "lid" in data:
        lids[type_, data["lid"]] = id_
    shown = {"type": type_, "id": str(id_), "attributes": data["attributes"]}
    if type_ == "computer":
        shown["relationships"] = {"owner": {"data": {"type": "customer", "id": str(row["owner_id"])}}}
    return {"data": shown}


def _updated(data: Json) -> Json:
    return {"data": {"type": data["type"], "id": data["id"], "attributes": data["attributes"]}}


# ------------------------------------------------------------------------------------------------------------- Core


def _by_core(engine: Engine, operations: Operations) -> list[Json]:
    results: list[Json] = []
    lids: Lids = {}
    with engine.begin() as connection:
        for (op, type_), grouped in groupby(operations, _kind):
            run = list(grouped)
            if op == "add":
                results += _insert(connection, type_, run, lids)
            elif op == "update":
                rows = [{"of": int(each["data"]["id"]), **each["data"]["attributes"]} for each in run]
                connection.execute(_UPDATE[type_], rows)
                results += [_updated(each["data"]) for each in run]
            else:
                ids = [int(each["ref"]["id"]) for each in run]
                connection.execute(delete(_TABLES[type_]).where(_TABLES[type_].c.id.in_(ids)))
                results += [{} for _ in run]
    return results


def _insert(connection: Connection, type_: str, run: Operations, lids: Lids) -> list[Json]:
    rows = [_row(each["data"], lids) for each in run]
    first = (connection.execute(_HIGHEST[type_]).scalar() or 0) + 1
    connection.execute(_INSERT[type_], [{"id": id_, **row} for id_, row in enumerate(rows, first)])
    return [_added(each["data"], id_, row, lids) for id_, (each, row) in enumerate(zip(run, rows, strict=True), first)]


# -------------------------------------------------------------------------------------------------------------- ORM


def _by_orm(engine: Engine, operations: Operations, *, each: bool = False) -> list[Json]:
    results: list[Json] = []
    lids: Lids = {}
    with Session(engine, expire_on_commit=False) as session, session.begin():
        for run in _runs(operations, each=each):
            op, type_ = _kind(run[0])
            results += _ORM[op](session, _MODELS[type_], run, lids)
    return results


def _runs(operations: Operations, *, each: bool) -> Iterable[list[Json]]:
    return ([one] for one in operations) if each else (list(run) for _, run in groupby(operations, _kind))


def _add(session: Session, model: Any, run: Operations, lids: Lids) -> list[Json]:
    rows = [_row(each["data"], lids) for each in run]
    entities = [model(**row) for row in rows]
    session.add_all(entities)
    session.flush()
    return [_added(each["data"], entity.id, row, lids) for each, entity, row in zip(run, entities, rows, strict=True)]


def _update(session: Session, model: Any, run: Operations, _: Lids) -> list[Json]:
    found = _found(session, model, [int(each["data"]["id"]) for each in run])
    for each in run:
        for name, value in each["data"]["attributes"].items():
            setattr(found[int(each["data"]["id"])], name, value)
    session.flush()
    return [_updated(each["data"]) for each in run]


def _remove(session: Session, model: Any, run: Operations, _: Lids) -> list[Json]:
    for entity in _found(session, model, [int(each["ref"]["id"]) for each in run]).values():
        session.delete(entity)
    session.flush()
    return [{} for _ in run]


def _found(session: Session, model: Any, ids: list[int]) -> dict[int, Any]:
    if len(ids) == 1:
        return {ids[0]: session.get_one(model, ids[0])}
    return {entity.id: entity for entity in session.scalars(select(model).where(model.id.in_(ids)))}


_ORM = {"add": _add, "update": _update, "remove": _remove}

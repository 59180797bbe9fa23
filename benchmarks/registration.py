"""The start of a process, timed by itself: `python -m benchmarks.registration TYPES` prints the seconds of each step.

Nothing that is timed may be imported before, so what this module needs is imported where it is needed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any


def _main(types: int) -> None:
    seconds: dict[str, float] = {}
    _timed(seconds, "dependencies", _import_dependencies)
    _timed(seconds, "import", _import_flask_atomic)

    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from sqlalchemy.orm import configure_mappers

    from flask_atomic import Atomic

    db = SQLAlchemy()
    declared = list(_types(db, types))
    configure_mappers()
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    db.init_app(app)
    with app.app_context():
        db.create_all()
    atomic = Atomic()
    _timed(seconds, "declare", lambda: _declare(atomic, declared))
    _timed(seconds, "register", lambda: app.register_blueprint(atomic.blueprint))
    client = app.test_client()
    body = {"atomic:operations": [{"op": "add", "data": {"type": "type0", "attributes": {"name": "First"}}}]}
    media_type = 'application/vnd.api+json;ext="https://jsonapi.org/ext/atomic"'
    _timed(seconds, "request", lambda: client.post("/operations", json=body, content_type=media_type))
    json.dump(seconds, sys.stdout)


def _declare(atomic: Any, types: list[tuple[type, type]]) -> None:
    for schema, model in types:
        atomic.resource(schema, model=model)


def _timed(seconds: dict[str, float], step: str, run: Callable[[], object]) -> None:
    begin = time.perf_counter()
    run()
    seconds[step] = time.perf_counter() - begin


def _import_dependencies() -> None:
    import flask_sqlalchemy  # noqa: F401
    import marshmallow_jsonapi  # noqa: F401
    import pluggy  # noqa: F401


def _import_flask_atomic() -> None:
    import flask_atomic  # noqa: F401


def _types(db: Any, count: int) -> Iterator[tuple[type, type]]:
    """Schemas and their models: three attributes, and a relationship to the type before."""
    from marshmallow_jsonapi import Schema, fields
    from sqlalchemy import Column, ForeignKey, Integer, String
    from sqlalchemy.orm import relationship

    for number in range(count):
        before = max(number - 1, 0)
        columns = {name: Column(String(100)) for name in ("name", "color", "comment")}
        model = type(
            f"Model{number}",
            (db.Model,),
            {
                "__tablename__": f"table{number}",
                "id": Column(Integer, primary_key=True),
                "other_id": Column(ForeignKey(f"table{before}.id")),
                "other": relationship(f"Model{before}", remote_side=f"Model{before}.id"),
                **columns,
            },
        )
        attributes = {name: fields.Str() for name in columns}
        other = fields.Relationship(type_=f"type{before}", include_resource_linkage=True, allow_none=True)
        meta = type("Meta", (), {"type_": f"type{number}"})
        yield (
            type(f"Schema{number}", (Schema,), {"id": fields.Str(), "other": other, "Meta": meta, **attributes}),
            model,
        )


if __name__ == "__main__":
    _main(int(sys.argv[1]))

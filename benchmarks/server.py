"""Our server: what an application writes to serve the models of the benchmark, and no more."""

from __future__ import annotations

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from marshmallow_jsonapi import Schema, fields

from benchmarks.models import Computer, Customer, prepare, url_of_environment
from flask_atomic import Atomic

__all__ = ["create_app"]


class CustomerSchema(Schema):
    """A customer; the address must look like one."""

    id = fields.Str()
    name = fields.Str(required=True)
    email = fields.Email(required=True)

    class Meta:
        type_ = "customer"


class ComputerSchema(Schema):
    """A computer, which shows its owner."""

    id = fields.Str()
    serial = fields.Str(required=True)
    owner = fields.Relationship(type_="customer", include_resource_linkage=True, allow_none=True)

    class Meta:
        type_ = "computer"


def create_app(url: str | None = None, *plugins: object) -> Flask:
    """Return the application on the database at `url`, or on that of the environment.

    :param plugins: what `Atomic` takes.
    """
    db = SQLAlchemy()
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = url or url_of_environment()
    app.config["ATOMIC_MAX_OPERATIONS"] = app.config["ATOMIC_MAX_VALUES"] = None
    app.config["ATOMIC_MAX_VALUES"] = None
    app.config["ATOMIC_MAX_ERRORS"] = 1_000_000
    db.init_app(app)
    with app.app_context():
        prepare(db.engine)
    atomic = Atomic(*plugins)
    atomic.resource(CustomerSchema, model=Customer)
    atomic.resource(ComputerSchema, model=Computer)
    app.register_blueprint(atomic.blueprint)
    return app

"""The application that is checked: accounts, lists and pairs. gunicorn calls `create_app`."""

from __future__ import annotations

import logging
import random
from collections.abc import Generator
from typing import Any, ClassVar

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from marshmallow_jsonapi import Schema, fields
from sqlalchemy import Column, Engine, ForeignKey, String, Table, event, make_url
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker

from example.database import set_up_sqlite
from flask_atomic import Atomic, Transient, hookimpl
from flask_atomic.layers.sqlalchemy import (
    SQLAlchemyLayer,
    TwoPhaseSQLAlchemyLayer,
    decisions_table,
    idempotency_table,
)

from .planted import LAYERS

__all__ = [
    "Account",
    "Entry",
    "Half",
    "Lamp",
    "List",
    "Model",
    "Note",
    "Receipt",
    "create_app",
    "endpoint",
    "list_readers",
    "sessions",
    "two_phase_layer",
]


class Model(DeclarativeBase):
    """The base class of all models."""

    type_annotation_map: ClassVar = {str: String(40)}


list_readers = Table(
    "list_readers",
    Model.metadata,
    Column("list_id", ForeignKey("lists.id"), primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), primary_key=True),
)


class Account(Model):
    """Says what it has; that must be the sum of its entries."""

    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]
    version: Mapped[int] = mapped_column()

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class Entry(Model):
    """A part of a transfer."""

    __tablename__ = "entries"
    id: Mapped[int] = mapped_column(primary_key=True)
    batch: Mapped[str]
    amount: Mapped[int]
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    account: Mapped[Account] = relationship()


class List(Model):
    """Has notes, and readers that several clients may add."""

    __tablename__ = "lists"
    id: Mapped[int] = mapped_column(primary_key=True)
    notes: Mapped[list[Note]] = relationship(back_populates="list")
    readers: Mapped[list[Account]] = relationship(secondary=list_readers)


class Note(Model):
    """Is added beside its list, and then to it."""

    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    batch: Mapped[str]
    number: Mapped[int]
    list_id: Mapped[int | None] = mapped_column(ForeignKey("lists.id"))
    list: Mapped[List | None] = relationship(back_populates="notes")


class Half(Model):
    """Nothing without the other."""

    __tablename__ = "halves"
    id: Mapped[int] = mapped_column(primary_key=True)
    batch: Mapped[str]
    side: Mapped[str]
    other_id: Mapped[int | None] = mapped_column(ForeignKey("halves.id"))
    other: Mapped[Half | None] = relationship(remote_side=[id])


class Lamp(Model):
    """Is overwritten by everybody, together with the others of its street."""

    __tablename__ = "lamps"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    red: Mapped[int] = mapped_column(default=0)
    green: Mapped[int] = mapped_column(default=0)
    blue: Mapped[int] = mapped_column(default=0)


class Receipt(Model):
    """Each batch has one. Nothing keeps it from having two, so that it is seen."""

    __tablename__ = "receipts"
    id: Mapped[int] = mapped_column(primary_key=True)
    batch: Mapped[str]


db = SQLAlchemy(metadata=Model.metadata)
idempotency_table(Model.metadata)
DECISIONS = decisions_table(Model.metadata)

BESIDE = (Half, Lamp, Receipt)
"""What is in the second database, if there are two. No foreign key leads from one to the other."""


def to_one(type_: str) -> fields.Relationship:
    """Return a relationship to one resource of the type or none."""
    return fields.Relationship(type_=type_, include_resource_linkage=True, allow_none=True)


class AccountSchema(Schema):
    id = fields.Str()
    balance = fields.Int(required=True)

    class Meta:
        type_ = "accounts"


class EntrySchema(Schema):
    id = fields.Str()
    batch = fields.Str(required=True)
    amount = fields.Int(required=True)
    account = to_one("accounts")

    class Meta:
        type_ = "entries"


class ListSchema(Schema):
    id = fields.Str()
    notes = fields.Relationship(type_="notes", many=True)
    readers = fields.Relationship(type_="accounts", many=True)

    class Meta:
        type_ = "lists"


class NoteSchema(Schema):
    id = fields.Str()
    batch = fields.Str(required=True)
    number = fields.Int(required=True)
    list = to_one("lists")

    class Meta:
        type_ = "notes"


class HalfSchema(Schema):
    id = fields.Str()
    batch = fields.Str(required=True)
    side = fields.Str(required=True)
    other = to_one("halves")

    class Meta:
        type_ = "halves"


class LampSchema(Schema):
    id = fields.Str()
    red = fields.Int()
    green = fields.Int()
    blue = fields.Int()

    class Meta:
        type_ = "lamps"


class ReceiptSchema(Schema):
    id = fields.Str()
    batch = fields.Str(required=True)

    class Meta:
        type_ = "receipts"


TYPES: dict[type[Schema], type[Model]] = {
    AccountSchema: Account,
    EntrySchema: Entry,
    ListSchema: List,
    NoteSchema: Note,
    HalfSchema: Half,
    LampSchema: Lamp,
    ReceiptSchema: Receipt,
}


class Failing:
    """Raises what will pass, after a part was written and before the commit, once in so many times."""

    name = "failing"

    def __init__(self, once_in: int) -> None:
        self._once_in = once_in

    @hookimpl(wrapper=True)
    def atomic_flush(self) -> Generator[None, Any, Any]:
        written = yield
        self._fail_sometimes()
        return written

    @hookimpl(wrapper=True)
    def atomic_commit(self) -> Generator[None, Any, Any]:
        self._fail_sometimes()
        return (yield)

    def _fail_sometimes(self) -> None:
        if random.randrange(self._once_in) == 0:
            raise Transient("The check has it fail.")


ENGINE_OPTIONS: dict[str, dict[str, Any]] = {
    "postgresql": {"connect_args": {"options": "-c lock_timeout=1000", "sslmode": "disable", "connect_timeout": 5}},
    "mysql": {"connect_args": {"init_command": "SET SESSION innodb_lock_wait_timeout = 1", "connect_timeout": 5}},
    "sqlite": {},
}
"""What keeps a request from waiting long for a lock."""


POOLED: dict[str, Any] = {"prepare_threshold": None, "sslmode": "disable", "connect_timeout": 5}
"""How psycopg connects to PgBouncer, which knows neither prepared statements nor `options`."""

READ_WHAT_IS_COMMITTED = "SET SESSION wsrep_sync_wait = 7"
"""Has a transaction on a node of Galera begin with what is committed on the others."""


def sessions(engine: Engine, beside: Engine) -> sessionmaker[Session]:
    """What opens sessions on two databases; both may be the same."""
    return sessionmaker(engine, binds=dict.fromkeys(BESIDE, beside))


def two_phase_layer(engine: Engine, beside: Engine) -> TwoPhaseSQLAlchemyLayer:
    """The layer over two databases, the first of which decides."""
    return TwoPhaseSQLAlchemyLayer(sessions(engine, beside), DECISIONS)


def endpoint(layer: SQLAlchemyLayer, *plugins: object) -> Atomic:
    """The endpoint with all models in the layer."""
    atomic = Atomic(layer, *plugins)
    for schema, model in TYPES.items():
        atomic.resource(schema, model=model)
    return atomic


def create_app(
    url: str,
    small_pool: bool = False,
    fails_once_in: int = 0,
    defect: str = "",
    pooled: bool = False,
    clustered: bool = False,
    beside: str = "",
) -> Flask:
    """Return the application.

    :param small_pool: whether threads have to wait for a connection, and some in vain.
    :param fails_once_in: how often the layer raises what will pass; 0 for never.
    :param defect: the defect that is planted, one of `planted.LAYERS`.
    :param pooled: whether PgBouncer is between the application and the database.
    :param clustered: whether the server is a node of several, others of which clients use as well.
    :param beside: the URL of a second database, empty for none.
    """
    logging.basicConfig(format="%(asctime)s %(process)d %(name)s %(message)s")
    logging.getLogger("flask_atomic.attempts").setLevel(logging.INFO)
    dialect = _dialect(url)
    pool = {"pool_size": 2, "max_overflow": 0, "pool_timeout": 1} if small_pool else {}
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    options = {"connect_args": POOLED} if pooled else ENGINE_OPTIONS[dialect]
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {**options, **pool}
    app.config["ATOMIC_IDEMPOTENCY"] = "optional"
    if beside:
        app.config["SQLALCHEMY_BINDS"] = {"beside": {"url": beside, **ENGINE_OPTIONS[_dialect(beside)], **pool}}
    db.init_app(app)
    with app.app_context():
        layer = two_phase_layer(db.engine, db.engines["beside"]) if beside else LAYERS.get(defect, SQLAlchemyLayer)(db)
        app.register_blueprint(endpoint(layer, *([Failing(fails_once_in)] if fails_once_in else [])).blueprint)
        set_up_sqlite(db.engine)
        if dialect == "sqlite":
            event.listen(db.engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout = 1000"))
        if clustered:
            event.listen(db.engine, "connect", lambda connection, _: connection.query(READ_WHAT_IS_COMMITTED))
    return app


def _dialect(url: str) -> str:
    return make_url(url).get_backend_name()

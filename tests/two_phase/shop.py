"""An application with orders in one database, invoices in a second and shipments in a third."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask
from marshmallow_jsonapi import Schema, fields
from sqlalchemy import Engine, MetaData, String, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from flask_atomic import Atomic
from flask_atomic.layers.sqlalchemy import TwoPhaseSQLAlchemyLayer, decisions_table, idempotency_table


class Orders(DeclarativeBase):
    """The models of the database that decides."""

    metadata = MetaData()


class Invoices(DeclarativeBase):
    metadata = MetaData()


class Shipments(DeclarativeBase):
    metadata = MetaData()


class Order(Orders):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(40), unique=True)


class Invoice(Invoices):
    __tablename__ = "invoices"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(40), unique=True)


class Shipment(Shipments):
    __tablename__ = "shipments"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(40), unique=True)


DECISIONS = decisions_table(Orders.metadata)
idempotency_table(Orders.metadata)
BASES = (Orders, Invoices, Shipments)
MODELS = {"orders": Order, "invoices": Invoice, "shipments": Shipment}


def _schema(type_: str) -> type[Schema]:
    meta = type("Meta", (), {"type_": type_})
    return type(f"{type_.title()}Schema", (Schema,), {"id": fields.Str(), "number": fields.Str(), "Meta": meta})


def engine(url: str, **options: Any) -> Engine:
    """An engine; on SQLite, transactions begin as the documentation tells to have them begin."""
    if url.startswith("sqlite"):
        options = {"connect_args": {"timeout": 0.3}, **options}  # who holds the lock may be waiting for us
    made = create_engine(url, **options)
    if made.dialect.name == "sqlite":
        event.listen(made, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
        event.listen(made, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return made


def engines(urls: list[str]) -> dict[Any, Engine]:
    """What a sessionmaker takes as its binds: a database for orders, one for invoices, perhaps one for shipments."""
    made = {base: engine(url) for base, url in zip(BASES, urls, strict=False)}
    return {**made, DECISIONS: made[Orders]}


def create_tables(binds: Mapping[Any, Engine]) -> None:
    for base in BASES:
        if base in binds:
            base.metadata.create_all(binds[base])


def application(binds: Mapping[Any, Engine], *plugins: object, layer: Any = None, **config: Any) -> Flask:
    atomic = Atomic(layer or TwoPhaseSQLAlchemyLayer(sessionmaker(binds=dict(binds)), DECISIONS), *plugins)
    for base, (type_, model) in zip(BASES, MODELS.items(), strict=True):
        if base in binds:
            atomic.resource(_schema(type_), model=model)
    flask = Flask("shop")
    flask.config.update(config)
    flask.register_blueprint(atomic.blueprint, url_prefix="/api")
    return flask

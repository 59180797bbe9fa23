"""What the servers that are written here store: customers, and computers that each may have one as their owner."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from sqlalchemy import Engine, ForeignKey, String, event
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

__all__ = ["Base", "Computer", "Customer", "prepare", "tuned", "url_of_environment"]


class Base(DeclarativeBase):
    """The base class of all models."""

    type_annotation_map: ClassVar = {str: String(100)}


class Customer(Base):
    """A customer."""

    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    email: Mapped[str]


class Computer(Base):
    """A computer, and perhaps whose it is."""

    __tablename__ = "computers"
    id: Mapped[int] = mapped_column(primary_key=True)
    serial: Mapped[str]
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("customers.id"), index=True)
    owner: Mapped[Customer | None] = relationship()


def url_of_environment() -> str:
    """The URL of the database: BENCH_URL, or the SQLite file that BENCH_DB names."""
    return os.environ.get("BENCH_URL") or f"sqlite:///{os.environ['BENCH_DB']}"


def prepare(engine: Engine) -> None:
    """Make the tables."""
    Base.metadata.create_all(tuned(engine))


def tuned(engine: Engine) -> Engine:
    """The engine, whose SQLite connections do what those of every server here do."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _tune_sqlite)
    return engine


def _tune_sqlite(connection: Any, _: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")

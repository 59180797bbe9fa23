"""Mapped classes for the resource types of `flask_atomic.testing`."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Column, ForeignKey, String, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from flask_atomic.layers.sqlalchemy import idempotency_table


class Base(DeclarativeBase):
    """All models of this module share it."""


idempotency_table(Base.metadata)

reviews = Table(
    "reviews",
    Base.metadata,
    Column("article_id", ForeignKey("articles.id"), primary_key=True),
    Column("person_id", ForeignKey("people.id"), primary_key=True),
)


class Person(Base):
    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
    age: Mapped[int | None]
    mentor_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    mentor: Mapped[Person | None] = relationship(remote_side=id, back_populates="pupils")
    pupils: Mapped[list[Person]] = relationship(back_populates="mentor")
    written: Mapped[list[Article]] = relationship(back_populates="author")
    reviewed: Mapped[list[Article]] = relationship(back_populates="reviewers", secondary=reviews)


class Article(Base):
    __tablename__ = "articles"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(40))
    words: Mapped[int | None]
    published: Mapped[date | None]
    draft: Mapped[bool | None]
    version: Mapped[int] = mapped_column()
    author_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    author: Mapped[Person | None] = relationship(back_populates="written")
    reviewers: Mapped[list[Person]] = relationship(back_populates="reviewed", secondary=reviews)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012

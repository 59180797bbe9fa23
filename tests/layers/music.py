"""Models of every kind that the SQLAlchemy layer may meet, and their declarations as resource types."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid4

from marshmallow import fields as plain
from marshmallow_jsonapi import Schema, fields
from sqlalchemy import (
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    Numeric,
    String,
    Table,
    UniqueConstraint,
    literal_column,
)
from sqlalchemy.ext.orderinglist import ordering_list
from sqlalchemy.orm import (
    DeclarativeBase,
    DynamicMapped,
    Mapped,
    MappedAsDataclass,
    WriteOnlyMapped,
    mapped_column,
    relationship,
    validates,
)

from flask_atomic.codec import Codec
from flask_atomic.hookspecs import Resource


class Base(DeclarativeBase):
    """All models of this module share it."""


class Company(Base):
    __tablename__ = "companies"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20), unique=True)
    country: Mapped[str | None] = mapped_column(String(40))
    tracks: Mapped[list[Track]] = relationship(back_populates="owner", foreign_keys="Track.owner_id")
    reviewed: Mapped[list[Track]] = relationship(foreign_keys="Track.reviewer_id")  # one way only


class Concert(Base):
    """Refers to a company by something else than its id."""

    __tablename__ = "concerts"
    id: Mapped[int] = mapped_column(primary_key=True)
    company_name: Mapped[str | None] = mapped_column(ForeignKey("companies.name"))
    company: Mapped[Company | None] = relationship()


class Guest(Base):
    """Nothing but a row that refers to a company by its id."""

    __tablename__ = "guests"
    id: Mapped[int] = mapped_column(primary_key=True)
    host_id: Mapped[int | None] = mapped_column(ForeignKey("companies.id"))
    host: Mapped[Company | None] = relationship()


track_performers = Table(
    "track_performers",
    Base.metadata,
    Column("track_id", ForeignKey("tracks.id"), primary_key=True),
    Column("performer_id", ForeignKey("performers.id"), primary_key=True),
)
track_tags = Table(
    "track_tags",
    Base.metadata,
    Column("track_id", ForeignKey("tracks.id"), primary_key=True),
    Column("tag_code", ForeignKey("tags.code"), primary_key=True),
)


class Track(Base):
    __tablename__ = "tracks"
    __table_args__ = (CheckConstraint("seconds > 0"),)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    title: Mapped[str] = mapped_column(String(200))
    seconds: Mapped[int | None]
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("companies.id"))
    reviewer_id: Mapped[int | None] = mapped_column(ForeignKey("companies.id"))
    owner: Mapped[Company | None] = relationship(back_populates="tracks", foreign_keys=owner_id)
    performers: Mapped[set[Performer]] = relationship(secondary=track_performers, back_populates="tracks")
    tags: Mapped[list[Tag]] = relationship(secondary=track_tags, lazy="joined")  # one way only
    lyric: Mapped[Lyric | None] = relationship(back_populates="track")
    entries: Mapped[list[Entry]] = relationship(back_populates="track")

    @validates("title")
    def refuse_shouting(self, _: str, title: str) -> str:
        if title and title.isupper():
            raise ValueError("Do not shout.")
        return title


class Performer(Base):
    __tablename__ = "performers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
    tracks: Mapped[list[Track]] = relationship(secondary=track_performers, back_populates="performers", lazy="selectin")


class Tag(Base):
    __tablename__ = "tags"
    code: Mapped[str] = mapped_column(String(10), primary_key=True)


class Lyric(Base):
    __tablename__ = "lyrics"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(200))
    track_id: Mapped[UUID | None] = mapped_column(ForeignKey("tracks.id"), unique=True)
    track: Mapped[Track | None] = relationship(back_populates="lyric")


class Playlist(Base):
    __tablename__ = "playlists"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
    entries: Mapped[list[Entry]] = relationship(back_populates="playlist", cascade="all, delete-orphan")


class Entry(Base):
    """An association object with a key of its own: a resource type like any other."""

    __tablename__ = "entries"
    __table_args__ = (UniqueConstraint("playlist_id", "position"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    position: Mapped[int]
    playlist_id: Mapped[int] = mapped_column(ForeignKey("playlists.id"))
    track_id: Mapped[UUID | None] = mapped_column(ForeignKey("tracks.id"))
    playlist: Mapped[Playlist] = relationship(back_populates="entries")
    track: Mapped[Track | None] = relationship(back_populates="entries")


class Boss(Base):
    """Refers to others of its kind, and possibly to itself; whoever is removed is unlinked by the session."""

    __tablename__ = "bosses"
    id: Mapped[int] = mapped_column(primary_key=True)
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("bosses.id"))
    boss: Mapped[Boss | None] = relationship(back_populates="staff", remote_side=id)
    staff: Mapped[list[Boss]] = relationship(back_populates="boss")


node_friends = Table(
    "node_friends",
    Base.metadata,
    Column("node_id", ForeignKey("nodes.id"), primary_key=True),
    Column("friend_id", ForeignKey("nodes.id"), primary_key=True),
)


class Node(Base):
    __tablename__ = "nodes"
    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(String(20))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"))
    parent: Mapped[Node | None] = relationship(back_populates="children", remote_side=id)
    children: Mapped[list[Node]] = relationship(back_populates="parent", passive_deletes="all")
    friends: Mapped[list[Node]] = relationship(
        secondary=node_friends,
        primaryjoin=lambda: Node.id == node_friends.c.node_id,
        secondaryjoin=lambda: Node.id == node_friends.c.friend_id,
    )


class Person(Base):
    """Owns a passport that knows it, and a visa that does not: both one way only."""

    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)
    visa: Mapped[Visa | None] = relationship()


class Passport(Base):
    __tablename__ = "passports"
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"), unique=True)
    person: Mapped[Person | None] = relationship()


class Visa(Base):
    __tablename__ = "visas"
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"), unique=True)


class Badge(Base):
    """Belongs to one person, always."""

    __tablename__ = "badges"
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), unique=True)
    person: Mapped[Person] = relationship()


class Team(Base):
    __tablename__ = "teams"
    id: Mapped[int] = mapped_column(primary_key=True)
    players: Mapped[list[Player]] = relationship(cascade="all, delete-orphan")
    trainers: Mapped[list[Trainer]] = relationship()
    fans: WriteOnlyMapped[Fan] = relationship(foreign_keys="Fan.team_id")
    critics: DynamicMapped[Fan] = relationship(foreign_keys="Fan.hated_id")
    chapters: Mapped[list[Chapter]] = relationship(
        order_by="Chapter.position", collection_class=ordering_list("position"), lazy="raise"
    )


class Player(Base):
    __tablename__ = "players"
    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int] = mapped_column(ForeignKey("teams.id"))


class Trainer(Base):
    __tablename__ = "trainers"
    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int] = mapped_column(ForeignKey("teams.id"))


class Fan(Base):
    __tablename__ = "fans"
    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int | None] = mapped_column(ForeignKey("teams.id"))
    hated_id: Mapped[int | None] = mapped_column(ForeignKey("teams.id"))


class Chapter(Base):
    __tablename__ = "chapters"
    id: Mapped[int] = mapped_column(primary_key=True)
    position: Mapped[int | None]
    team_id: Mapped[int | None] = mapped_column(ForeignKey("teams.id"))


class Party(Base):
    __tablename__ = "parties"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    name: Mapped[str] = mapped_column(String(40), unique=True)
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "party"}  # noqa: RUF012


class Human(Party):
    __tablename__ = "humans"
    id: Mapped[int] = mapped_column(ForeignKey("parties.id"), primary_key=True)
    nickname: Mapped[str | None] = mapped_column(String(40))
    employer_id: Mapped[int | None] = mapped_column(ForeignKey("firms.id"))
    employer: Mapped[Firm | None] = relationship(foreign_keys=employer_id, back_populates="staff")
    __mapper_args__ = {"polymorphic_identity": "human", "inherit_condition": id == Party.id}  # noqa: RUF012


class Firm(Party):
    __tablename__ = "firms"
    id: Mapped[int] = mapped_column(ForeignKey("parties.id"), primary_key=True)
    branch: Mapped[str | None] = mapped_column(String(40))
    staff: Mapped[list[Human]] = relationship(
        foreign_keys=Human.employer_id, back_populates="employer", lazy="selectin"
    )
    __mapper_args__ = {"polymorphic_identity": "firm", "inherit_condition": id == Party.id}  # noqa: RUF012


class Reading(Base):
    """Has columns whose stored value is not always the one that was given."""

    __tablename__ = "readings"
    id: Mapped[int] = mapped_column(primary_key=True)
    note: Mapped[str | None] = mapped_column(String(40))
    amount: Mapped[Decimal | None] = mapped_column(Numeric(8, 2))
    taken_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    state: Mapped[str] = mapped_column(String(10), server_default="new")
    doubled: Mapped[Decimal | None] = mapped_column(Numeric(10, 2), Computed("amount * 2", persisted=True))
    changes: Mapped[int] = mapped_column(server_default="0", onupdate=literal_column("changes + 1"))


class Page(Base):
    """Has a version, and the address as its id."""

    __tablename__ = "pages"
    address: Mapped[str] = mapped_column(String(20), primary_key=True)
    body: Mapped[str | None] = mapped_column(String(40))
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class Visit(Base):
    """Points to a page that another layer might keep."""

    __tablename__ = "visits"
    id: Mapped[int] = mapped_column(primary_key=True)
    page: Mapped[str | None] = mapped_column(String(20))


class Stamp(MappedAsDataclass, Base):
    """Cannot be made without arguments, and cannot be hashed."""

    __tablename__ = "stamps"
    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    motif: Mapped[str] = mapped_column(String(40))
    year: Mapped[int | None]
    letters: Mapped[list[Letter]] = relationship()
    price: Mapped[int] = mapped_column(default=5)


class Letter(Base):
    __tablename__ = "letters"
    id: Mapped[int] = mapped_column(primary_key=True)
    stamp_id: Mapped[int | None] = mapped_column(ForeignKey("stamps.id"))


def schema(
    type_: str,
    attributes: Mapping[str, Any],
    relationships: Mapping[str, str] = MappingProxyType({}),
    *,
    id_attribute: str | None = None,
) -> type[Schema]:
    """A schema with these fields; `{"owner": "companies", "tags": "tags*"}` are relationships, with * to-many."""
    members: dict[str, Any] = {"id": fields.Str(attribute=id_attribute)}
    members |= {name: field() if isinstance(field, type) else field for name, field in attributes.items()}
    for name, held in relationships.items():
        many = held.endswith("*")
        members[name] = fields.Relationship(
            type_=held.rstrip("*"), many=many, include_resource_linkage=True, allow_none=not many
        )
    members["Meta"] = type("Meta", (), {"type_": type_})
    return type(f"{type_.capitalize()}Schema", (Schema,), members)


def resource(declared: type[Schema], model: Any, **facts: Any) -> Resource:
    """The resource type of a schema, as `Atomic.resource` declares it."""
    codec = Codec(declared)
    return Resource(codec=codec, collection=codec.type, options=MappingProxyType({"model": model}), **facts)


text, integer = plain.Str, plain.Int

DECLARED = {
    Company: schema("companies", {"name": text, "country": text}, {"tracks": "tracks*", "reviewed": "tracks*"}),
    Concert: schema("concerts", {}, {"company": "companies"}),
    Guest: schema("guests", {}, {"host": "companies"}),
    Track: schema(
        "tracks",
        {"title": text, "seconds": integer},
        {"owner": "companies", "performers": "performers*", "tags": "tags*", "lyric": "lyrics", "entries": "entries*"},
    ),
    Performer: schema("performers", {"name": text}, {"tracks": "tracks*"}),
    Tag: schema("tags", {}),
    Lyric: schema("lyrics", {"text": text}, {"track": "tracks"}),
    Playlist: schema("playlists", {"name": text}, {"entries": "entries*"}),
    Entry: schema("entries", {"position": integer}, {"playlist": "playlists", "track": "tracks"}),
    Node: schema("nodes", {"label": text}, {"parent": "nodes", "children": "nodes*", "friends": "nodes*"}),
    Boss: schema("bosses", {}, {"boss": "bosses", "staff": "bosses*"}),
    Person: schema("people", {}, {"visa": "visas"}),
    Passport: schema("passports", {}, {"person": "people"}),
    Visa: schema("visas", {}),
    Badge: schema("badges", {}, {"person": "people"}),
    Team: schema(
        "teams",
        {},
        {"players": "players*", "trainers": "trainers*", "fans": "fans*", "critics": "fans*", "chapters": "chapters*"},
    ),
    Player: schema("players", {}),
    Trainer: schema("trainers", {}),
    Fan: schema("fans", {}),
    Chapter: schema("chapters", {"position": integer}),
    Party: schema("parties", {"name": text}),
    Human: schema("humans", {"name": text, "nickname": text}, {"employer": "firms"}),
    Firm: schema("firms", {"name": text, "branch": text}, {"staff": "humans*"}),
    Reading: schema(
        "readings",
        {
            "note": text,
            "amount": plain.Decimal(),
            "taken_at": plain.AwareDateTime(),
            "state": text,
            "doubled": plain.Decimal(dump_only=True),
            "changes": plain.Int(dump_only=True),
        },
    ),
    Page: schema("pages", {"body": text}, id_attribute="address"),
    Visit: schema("visits", {}, {"page": "pages"}),
    Stamp: schema("stamps", {"motif": text, "year": integer}, {"letters": "letters*"}),
    Letter: schema("letters", {}),
}

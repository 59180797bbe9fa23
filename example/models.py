"""What SQLAlchemy stores.

Where a row is removed, the database itself unlinks what referred to it (`ondelete=`), and SQLAlchemy leaves that to it
(`passive_deletes=True`): a row may be referred to by a million others, which nobody wants to load for that.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import ClassVar
from uuid import UUID, uuid4

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Column, DateTime, Dialect, Double, ForeignKey, String, Table, Text, TypeDecorator
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

__all__ = ["Lyric", "Model", "MusicTrack", "Performer", "Playlist", "RecordCompany", "TextLanguage", "db"]


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, kept in UTC: SQLite and MariaDB keep no offset."""

    impl = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn what has an offset into what is stored."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn what is stored into what has an offset."""
        return None if value is None else value.replace(tzinfo=UTC)


class Model(DeclarativeBase):
    """The base class of all models."""

    type_annotation_map: ClassVar = {datetime: UtcDateTime(), float: Double(), str: Text()}


db = SQLAlchemy(metadata=Model.metadata)

track_performers = Table(
    "track_performers",
    Model.metadata,
    Column("track_id", ForeignKey("music_tracks.id", ondelete="CASCADE"), primary_key=True),
    Column("performer_id", ForeignKey("performers.id", ondelete="CASCADE"), primary_key=True, index=True),
)

playlist_tracks = Table(
    "playlist_tracks",
    Model.metadata,
    Column("playlist_id", ForeignKey("playlists.id", ondelete="CASCADE"), primary_key=True),
    Column("track_id", ForeignKey("music_tracks.id", ondelete="CASCADE"), primary_key=True, index=True),
)


class MusicTrack(Model):
    """A recording."""

    __tablename__ = "music_tracks"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    title: Mapped[str] = mapped_column(String(200))
    length_in_seconds: Mapped[float | None]
    genre: Mapped[str | None]
    released_at: Mapped[datetime | None]
    owned_by_id: Mapped[int | None] = mapped_column(ForeignKey("record_companies.id", ondelete="SET NULL"), index=True)

    owned_by: Mapped[RecordCompany | None] = relationship(back_populates="tracks")
    lyric: Mapped[Lyric | None] = relationship(back_populates="track", passive_deletes=True)
    performers: Mapped[list[Performer]] = relationship(
        secondary=track_performers, back_populates="tracks", passive_deletes=True
    )
    occurs_in: Mapped[list[Playlist]] = relationship(
        secondary=playlist_tracks, back_populates="tracks", passive_deletes=True
    )


class Performer(Model):
    """Who plays."""

    __tablename__ = "performers"

    id: Mapped[int] = mapped_column(primary_key=True)
    artist_name: Mapped[str]
    born_at: Mapped[date | None]

    tracks: Mapped[list[MusicTrack]] = relationship(
        secondary=track_performers, back_populates="performers", passive_deletes=True
    )


class Playlist(Model):
    """A choice of tracks."""

    __tablename__ = "playlists"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    is_archived: Mapped[bool] = mapped_column(default=False)

    tracks: Mapped[list[MusicTrack]] = relationship(
        secondary=playlist_tracks, back_populates="occurs_in", passive_deletes=True
    )


class RecordCompany(Model):
    """Who owns tracks, and belongs perhaps to another company."""

    __tablename__ = "record_companies"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    country_of_residence: Mapped[str | None]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("record_companies.id", ondelete="SET NULL"), index=True)

    tracks: Mapped[list[MusicTrack]] = relationship(back_populates="owned_by", passive_deletes=True)
    # A company may be its own parent; it can be removed then because the link is written apart from the row.
    parent: Mapped[RecordCompany | None] = relationship(remote_side=[id], post_update=True)


class Lyric(Model):
    """The text of a track: of one at most, which has no other."""

    __tablename__ = "lyrics"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    format: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))
    track_id: Mapped[UUID | None] = mapped_column(ForeignKey("music_tracks.id", ondelete="SET NULL"), unique=True)
    language_id: Mapped[UUID | None] = mapped_column(ForeignKey("text_languages.id", ondelete="SET NULL"), index=True)

    track: Mapped[MusicTrack | None] = relationship(back_populates="lyric")
    language: Mapped[TextLanguage | None] = relationship(back_populates="lyrics")


class TextLanguage(Model):
    """The language of lyrics."""

    __tablename__ = "text_languages"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    iso_code: Mapped[str] = mapped_column(String(8), unique=True)

    lyrics: Mapped[list[Lyric]] = relationship(back_populates="language", passive_deletes=True)

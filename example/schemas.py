"""What clients see: the attributes and relationships of each resource type, and which values they may have.

A to-one relationship shows what it is linked to, a to-many does not: a playlist may have a million tracks.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from marshmallow.validate import Length, Range
from marshmallow_jsonapi import Schema, fields

__all__ = [
    "AuditEntrySchema",
    "LyricSchema",
    "MusicTrackSchema",
    "PerformerSchema",
    "PlaylistSchema",
    "RecordCompanySchema",
    "TextLanguageSchema",
]

STORABLE = Range(datetime(1000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
"""The moments that every database can keep."""


def to_one(type_: str, **options: Any) -> fields.Relationship:
    """Return a relationship to one resource of the type or none."""
    return fields.Relationship(type_=type_, include_resource_linkage=True, allow_none=True, **options)


def to_many(type_: str, **options: Any) -> fields.Relationship:
    """Return a relationship to any number of resources of the type."""
    return fields.Relationship(type_=type_, many=True, **options)


class MusicTrackSchema(Schema):
    """`musicTracks`."""

    id = fields.Str()
    title = fields.Str(required=True, validate=Length(1, 200))
    length_in_seconds = fields.Float(
        data_key="lengthInSeconds", allow_none=True, validate=Range(0, 86400, min_inclusive=False)
    )
    genre = fields.Str(allow_none=True)
    released_at = fields.AwareDateTime(data_key="releasedAt", allow_none=True, validate=STORABLE)
    owned_by = to_one("recordCompanies", data_key="ownedBy")
    lyric = to_one("lyrics")
    performers = to_many("performers")
    occurs_in = to_many("playlists", data_key="occursIn")

    class Meta:
        type_ = "musicTracks"


class PerformerSchema(Schema):
    """`performers`."""

    id = fields.Str()
    artist_name = fields.Str(data_key="artistName", required=True)
    born_at = fields.Date(data_key="bornAt", allow_none=True)
    tracks = to_many("musicTracks")

    class Meta:
        type_ = "performers"


class PlaylistSchema(Schema):
    """`playlists`."""

    id = fields.Str()
    name = fields.Str(required=True, validate=Length(max=200))
    is_archived = fields.Bool(data_key="isArchived", dump_only=True)
    tracks = to_many("musicTracks")

    class Meta:
        type_ = "playlists"


class RecordCompanySchema(Schema):
    """`recordCompanies`."""

    id = fields.Str()
    name = fields.Str(required=True, validate=Length(max=200))
    country_of_residence = fields.Str(data_key="countryOfResidence", allow_none=True)
    tracks = to_many("musicTracks")
    parent = to_one("recordCompanies")

    class Meta:
        type_ = "recordCompanies"


class LyricSchema(Schema):
    """`lyrics`."""

    id = fields.Str()
    text = fields.Str(required=True)
    format = fields.Str(allow_none=True)
    created_at = fields.AwareDateTime(data_key="createdAt", dump_only=True)
    track = to_one("musicTracks")
    language = to_one("textLanguages")

    class Meta:
        type_ = "lyrics"


class TextLanguageSchema(Schema):
    """`textLanguages`."""

    id = fields.Str()
    iso_code = fields.Str(data_key="isoCode", required=True, validate=Length(2, 8))
    lyrics = to_many("lyrics")

    class Meta:
        type_ = "textLanguages"


class AuditEntrySchema(Schema):
    """`auditEntries`."""

    id = fields.Str()
    action = fields.Str(required=True)
    at = fields.AwareDateTime(dump_only=True)

    class Meta:
        type_ = "auditEntries"

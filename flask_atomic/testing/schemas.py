"""Two resource types that suit any store, for layers that can serve any type.

People have a mentor among themselves; articles have an author, or none, and any number of reviewers. All of it is
shown, and everything is an attribute of the entity by the name that it has in documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow_jsonapi import Schema, fields

__all__ = ["SAMPLES", "ArticleSchema", "PersonSchema"]


class PersonSchema(Schema):  # type: ignore[misc]  # it derives from a class without types
    """People: a `name`, an `age` that may be null, and a `mentor`."""

    id = fields.Str()
    name = fields.Str(required=True)
    age = fields.Int(allow_none=True)
    mentor = fields.Relationship(type_="people", include_resource_linkage=True, allow_none=True)

    class Meta:
        """What marshmallow-jsonapi wants to know."""

        type_ = "people"


class ArticleSchema(Schema):  # type: ignore[misc]
    """Articles: a `title`, `words`, `published` and `draft` that may be null, an `author` and `reviewers`."""

    id = fields.Str()
    title = fields.Str(required=True)
    words = fields.Int(allow_none=True)
    published = fields.Date(allow_none=True)
    draft = fields.Bool(allow_none=True)
    author = fields.Relationship(type_="people", include_resource_linkage=True, allow_none=True)
    reviewers = fields.Relationship(type_="people", include_resource_linkage=True, many=True)

    class Meta:
        """What marshmallow-jsonapi wants to know."""

        type_ = "articles"


SAMPLES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "people": [
        {"name": "Ada Lovelace", "age": 36},
        {"name": "Grace Hopper", "age": 85},
        {"name": "Zoë 春", "age": None},
    ],
    "articles": [
        {"title": "Notes", "words": 20000, "published": "1843-09-01", "draft": False},
        {"title": "The Education of a Computer", "words": 4500, "published": "1952-05-02", "draft": True},
        {"title": "“Ünlü” 🖋", "words": None, "published": None, "draft": None},
    ],
}
"""Attributes of people and of articles, as `LayerContract.samples` has them."""

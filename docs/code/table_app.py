# <schemas>
"""An application whose articles and tags are kept by the layer of table_layer.py."""

import sqlite3
from contextlib import closing

from flask import Flask
from marshmallow_jsonapi import Schema, fields
from table_layer import TableLayer

from flask_atomic import Atomic


class ArticleSchema(Schema):
    """Articles, with at most one that they follow, and any number of tags."""

    id = fields.Str()
    title = fields.Str(required=True)
    follows = fields.Relationship(type_="articles", include_resource_linkage=True, allow_none=True)
    tags = fields.Relationship(type_="tags", many=True, include_resource_linkage=True)

    class Meta:
        type_ = "articles"


class TagSchema(Schema):
    """Tags."""

    id = fields.Str()
    word = fields.Str(required=True)
    note = fields.Str(allow_none=True)

    class Meta:
        type_ = "tags"


# </schemas>


# <tables>
TABLES = """
    CREATE TABLE articles (
        id INTEGER PRIMARY KEY,
        title TEXT NOT NULL,
        follows INTEGER REFERENCES articles ON DELETE SET NULL
    );
    CREATE TABLE tags (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE, note TEXT);
    CREATE TABLE article_tags (
        owner INTEGER REFERENCES articles ON DELETE CASCADE,
        member INTEGER REFERENCES tags ON DELETE CASCADE,
        PRIMARY KEY (owner, member)
    );
"""
# </tables>


# <app>
def create_app(path="articles.sqlite"):
    """An application with a database of its own in the file at `path`, which is made now."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(TABLES)
    app = Flask(__name__)
    atomic = Atomic(TableLayer(path))
    atomic.resource(ArticleSchema, table="articles", links={"tags": "article_tags"})
    atomic.resource(TagSchema, table="tags", client_ids="allowed")
    app.register_blueprint(atomic.blueprint)
    return app


# </app>

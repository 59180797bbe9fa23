"""Articles in a database, drafts in memory, and two plugins more: an application to look at with `flask atomic`."""

from flask import Flask, g
from flask_sqlalchemy import SQLAlchemy
from marshmallow_jsonapi import Schema, fields
from sqlalchemy.orm import Mapped, mapped_column

from flask_atomic import Atomic, MemoryLayer, Refused, hookimpl
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer

db = SQLAlchemy()


class Article(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


class ArticleSchema(Schema):
    id = fields.Str()
    title = fields.Str(required=True)

    class Meta:
        type_ = "articles"


class DraftSchema(ArticleSchema):
    class Meta:
        type_ = "draftArticles"


class Announcements:
    @hookimpl
    def atomic_committed(self, records):
        print(f"{len(records)} operations were performed.")


class EditorsOnly:
    @hookimpl(wrapper=True)
    def atomic_remove(self, resource):
        if resource.type == "articles" and not g.is_editor:
            raise Refused("Ask an editor.")
        return (yield)


# <create>
def create_app(**options):
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    db.init_app(app)
    atomic = Atomic(SQLAlchemyLayer(db), MemoryLayer(), Announcements(), EditorsOnly())
    atomic.resource(ArticleSchema, model=Article)
    atomic.resource(DraftSchema, collection="drafts", **options)
    app.register_blueprint(atomic.blueprint, url_prefix="/api")
    return app


# </create>

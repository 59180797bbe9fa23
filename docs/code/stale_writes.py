"""Articles with versions."""

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from marshmallow_jsonapi import Schema, fields
from sqlalchemy.orm import Mapped, mapped_column

from flask_atomic import Atomic

db = SQLAlchemy()


# <model>
class Article(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    revision: Mapped[int] = mapped_column()

    __mapper_args__ = {"version_id_col": revision}


# </model>


class ArticleSchema(Schema):
    id = fields.Str()
    title = fields.Str(required=True)

    class Meta:
        type_ = "articles"


def create_app(database="sqlite:///stale_writes.sqlite"):
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = database
    db.init_app(app)
    atomic = Atomic()
    atomic.resource(ArticleSchema, model=Article)
    app.register_blueprint(atomic.blueprint)
    with app.app_context():
        db.create_all()
    return app

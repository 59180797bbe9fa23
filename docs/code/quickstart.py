"""An application with people and their articles: the one that the quickstart builds."""

# <imports>
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from marshmallow_jsonapi import Schema, fields
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flask_atomic import Atomic

# </imports>

# <models>
db = SQLAlchemy()


class Person(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    articles: Mapped[list["Article"]] = relationship(back_populates="author")


class Article(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    author: Mapped[Person | None] = relationship(back_populates="articles")


# </models>


# <schemas>
class PersonSchema(Schema):
    id = fields.Str()
    name = fields.Str(required=True)
    articles = fields.Relationship(type_="articles", many=True)

    class Meta:
        type_ = "people"


class ArticleSchema(Schema):
    id = fields.Str()
    title = fields.Str(required=True)
    author = fields.Relationship(type_="people", include_resource_linkage=True, allow_none=True)

    class Meta:
        type_ = "articles"


# </schemas>

# <atomic>
atomic = Atomic()
atomic.resource(PersonSchema, model=Person)
atomic.resource(ArticleSchema, model=Article)
# </atomic>


# <app>
def create_app(database="sqlite:///quickstart.sqlite"):
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = database
    db.init_app(app)
    app.register_blueprint(atomic.blueprint, url_prefix="/api")
    with app.app_context():
        db.create_all()
    return app


# </app>

"""Models of plain SQLAlchemy, an association object among them, and resources kept by another layer."""

from flask import Flask
from marshmallow_jsonapi import Schema, fields
from sqlalchemy import ForeignKey, UniqueConstraint, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, sessionmaker

# <imports>
from flask_atomic import Atomic, MemoryLayer
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer

# </imports>


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "person"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Article(Base):
    __tablename__ = "article"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


# <association>
class Contribution(Base):
    __tablename__ = "contribution"
    __table_args__ = (UniqueConstraint("person_id", "article_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    role: Mapped[str]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    person: Mapped[Person] = relationship()
    article_id: Mapped[int] = mapped_column(ForeignKey("article.id", ondelete="CASCADE"))
    article: Mapped[Article] = relationship()


class ContributionSchema(Schema):
    id = fields.Str()
    role = fields.Str(required=True)
    person = fields.Relationship(type_="people", required=True, include_resource_linkage=True)
    article = fields.Relationship(type_="articles", required=True, include_resource_linkage=True)

    class Meta:
        type_ = "contributions"


# </association>


# <foreign>
class Review(Base):
    __tablename__ = "review"

    id: Mapped[int] = mapped_column(primary_key=True)
    stars: Mapped[int]
    topic_id: Mapped[int | None]


class ReviewSchema(Schema):
    id = fields.Str()
    stars = fields.Int(required=True)
    topic = fields.Relationship(attribute="topic_id", type_="topics", include_resource_linkage=True, allow_none=True)

    class Meta:
        type_ = "reviews"


# </foreign>


class PersonSchema(Schema):
    id = fields.Str()
    name = fields.Str(required=True)

    class Meta:
        type_ = "people"


class ArticleSchema(Schema):
    id = fields.Str()
    title = fields.Str(required=True)

    class Meta:
        type_ = "articles"


class TopicSchema(Schema):
    id = fields.Str()
    title = fields.Str(required=True)

    class Meta:
        type_ = "topics"


def create_app(url="sqlite:///models.sqlite"):
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    # <layers>
    atomic = Atomic(
        SQLAlchemyLayer(sessionmaker(engine), isolation_level="SERIALIZABLE"),
        MemoryLayer(),
    )
    atomic.resource(PersonSchema, model=Person)
    atomic.resource(ArticleSchema, model=Article)
    atomic.resource(ContributionSchema, model=Contribution)
    atomic.resource(ReviewSchema, model=Review)
    atomic.resource(TopicSchema)
    # </layers>
    app = Flask(__name__)
    app.register_blueprint(atomic.blueprint)
    return app

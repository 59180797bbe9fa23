"""An application that answers GET requests for articles itself."""

from flask import Flask
from marshmallow_jsonapi import Schema, fields

from flask_atomic import Atomic, MemoryLayer


class ArticleSchema(Schema):
    id = fields.Str()
    title = fields.Str(required=True)

    class Meta:
        type_ = "articles"


# <links>
atomic = Atomic(MemoryLayer())
atomic.resource(ArticleSchema, endpoint="show_article")


def create_app():
    app = Flask(__name__)
    app.register_blueprint(atomic.blueprint, url_prefix="/api")

    @app.get("/articles/<int:id>")
    def show_article(id):
        return {"data": {"type": "articles", "id": str(id)}}

    return app


# </links>

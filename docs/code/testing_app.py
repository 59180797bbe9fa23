"""A test of an application that needs no database."""

# <test>
from flask import Flask
from quickstart import ArticleSchema, PersonSchema

from flask_atomic import Atomic, MemoryLayer


def test_a_pair_is_added():
    atomic = Atomic(MemoryLayer())
    atomic.resource(PersonSchema)
    atomic.resource(ArticleSchema)
    application = Flask(__name__)
    application.register_blueprint(atomic.blueprint)
    person = {"type": "people", "lid": "p", "attributes": {"name": "Ada Lovelace"}}
    author = {"data": {"type": "people", "lid": "p"}}
    article = {"type": "articles", "attributes": {"title": "Notes"}, "relationships": {"author": author}}
    document = {"atomic:operations": [{"op": "add", "data": person}, {"op": "add", "data": article}]}

    with application.app_context():
        added, written = atomic.perform(document)

    assert written["data"]["relationships"]["author"]["data"] == {"type": "people", "id": added["data"]["id"]}


# </test>

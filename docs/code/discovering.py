"""An application that loads plugins of other distributions."""

from flask import Flask
from marshmallow_jsonapi import Schema, fields

from flask_atomic import Atomic, MemoryLayer


class NoteSchema(Schema):
    id = fields.Str()
    text = fields.Str()

    class Meta:
        type_ = "notes"


def create_app(**config):
    app = Flask(__name__)
    # <settings>
    app.config["ATOMIC_DISCOVER"] = ["read-only"]
    app.config["READ_ONLY_TYPES"] = ["notes"]
    # </settings>
    app.config.update(config)
    atomic = Atomic(MemoryLayer())
    atomic.resource(NoteSchema)
    app.register_blueprint(atomic.blueprint)
    return app

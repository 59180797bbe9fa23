"""Two endpoints in one application: one for everybody, one for those who have a token."""

from functools import wraps

from flask import Flask, abort, request
from marshmallow_jsonapi import Schema, fields

from flask_atomic import Atomic, MemoryLayer, current_operation


# <current>
class NoteSchema(Schema):
    id = fields.Str()
    text = fields.Str(required=True)
    source = fields.Str(dump_only=True)

    class Meta:
        type_ = "notes"


def told_source():
    return current_operation.meta.get("source")


# </current>


def create_app():
    # <two>
    def with_token(view):
        @wraps(view)
        def checked(**values):
            if request.headers.get("Authorization") != "Bearer open sesame":
                abort(401)
            return view(**values)

        return checked

    layer = MemoryLayer()

    public = Atomic(layer)
    public.resource(NoteSchema, operations={"add"}, defaults={"source": told_source})

    internal = Atomic(layer, name="internal", path="/batch", decorators=[with_token])
    internal.resource(NoteSchema, defaults={"source": told_source})

    app = Flask(__name__)
    app.register_blueprint(public.blueprint, url_prefix="/api")
    app.register_blueprint(internal.blueprint, url_prefix="/internal")
    # </two>
    app.internal = internal
    return app


def import_notes(app, texts):
    internal = app.internal
    # <perform>
    document = {
        "atomic:operations": [{"op": "add", "data": {"type": "notes", "attributes": {"text": text}}} for text in texts]
    }
    with app.app_context():
        results = internal.perform(document)
    # </perform>
    return results

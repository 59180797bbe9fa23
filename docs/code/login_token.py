"""A bearer token, and permission for each operation by what the token is good for."""

from functools import wraps
from hashlib import sha256

from flask import Flask, g, request
from marshmallow_jsonapi import Schema, fields
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from flask_atomic import Atomic, MemoryLayer, Refused, hookimpl


def digest(token):
    return sha256(token.encode()).hexdigest()


# <token>
SCOPES = {
    digest("ann's token"): {"notes:add", "notes:update", "notes:remove"},
    digest("bob's token"): {"notes:add"},
}


def with_token(view):
    @wraps(view)
    def checked(**values):
        given = request.authorization
        token = given.token if given is not None and given.type == "bearer" else None
        scopes = SCOPES.get(digest(token or ""))
        if scopes is None:
            raise Unauthorized("Send a token.", www_authenticate=WWWAuthenticate("bearer"))
        g.scopes = scopes
        return view(**values)

    return checked


# </token>


# <permission>
class Permission:
    @hookimpl
    def atomic_authorize(self, operation, resource):
        if f"{resource.type}:{operation.op}" not in g.scopes:
            raise Refused(f"The token is not good for '{operation.op}' of '{resource.type}'.")


# </permission>


class NoteSchema(Schema):
    id = fields.Str()
    text = fields.Str(required=True)

    class Meta:
        type_ = "notes"


class EntrySchema(Schema):
    id = fields.Str()
    text = fields.Str(required=True)

    class Meta:
        type_ = "entries"


def create_app():
    # <permitted>
    atomic = Atomic(MemoryLayer(), Permission(), decorators=[with_token])
    atomic.resource(NoteSchema)
    atomic.resource(EntrySchema, operations={"add"})
    # </permitted>
    app = Flask(__name__)
    app.register_blueprint(atomic.blueprint)
    return app

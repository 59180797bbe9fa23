"""A session by Flask-Login: who is logged in may send operations, and nobody else."""

from flask import Flask, abort, request
from flask_login import LoginManager, UserMixin, login_required, login_user
from marshmallow_jsonapi import Schema, fields
from werkzeug.security import check_password_hash, generate_password_hash

from flask_atomic import Atomic, MemoryLayer

PASSWORDS = {"ann": generate_password_hash("correct horse", method="pbkdf2:sha256:1000")}


class User(UserMixin):
    def __init__(self, name):
        self.id = name


class NoteSchema(Schema):
    id = fields.Str()
    text = fields.Str(required=True)

    class Meta:
        type_ = "notes"


def create_app():
    # <session>
    atomic = Atomic(MemoryLayer(), decorators=[login_required])
    atomic.resource(NoteSchema)

    app = Flask(__name__)
    app.config.update(
        SECRET_KEY="from the environment, not from the code",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=True,
    )
    logins = LoginManager(app)
    logins.user_loader(lambda name: User(name) if name in PASSWORDS else None)
    app.register_blueprint(atomic.blueprint)
    # </session>

    @app.post("/login")
    def login():
        name = request.form["name"]
        if not check_password_hash(PASSWORDS.get(name, ""), request.form["password"]):
            abort(401)
        login_user(User(name))
        return "", 204

    return app

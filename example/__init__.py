"""A music catalogue: the demo of flask_atomic, and an example to copy from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from flask import Flask, render_template

from .api import atomic
from .database import create_database, set_up_sqlite
from .models import db

__all__ = ["create_app"]


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Return the application; `config` goes before the environment and the defaults."""
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("EXAMPLE_DATABASE_URL", "sqlite:///example.sqlite")
    app.config.from_mapping(config)
    db.init_app(app)
    app.register_blueprint(atomic.blueprint, url_prefix="/api")  # POST /api/operations

    with app.app_context():
        set_up_sqlite(db.engine)
        create_database(db.engine)

    @app.get("/")
    def index() -> str:
        return render_template("index.html")

    return app

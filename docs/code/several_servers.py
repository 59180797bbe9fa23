"""The connections to a node of a Galera cluster."""

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

db = SQLAlchemy()

# <engine>
ENGINE = {
    "pool_pre_ping": True,
    "connect_args": {
        "connect_timeout": 5,
        "init_command": "SET SESSION wsrep_sync_wait = 7, innodb_lock_wait_timeout = 3",
    },
}
# </engine>


def create_app(node):
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = node
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = ENGINE
    db.init_app(app)
    return app

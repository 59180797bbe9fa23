"""An application as it is run: where the log goes, how large the pool is, and what OpenTelemetry hears."""

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from marshmallow_jsonapi import Schema, fields
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_atomic import Atomic
from flask_atomic.telemetry import Telemetry

db = SQLAlchemy()


class Article(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


class ArticleSchema(Schema):
    id = fields.Str()
    title = fields.Str(required=True)

    class Meta:
        type_ = "articles"


# <logging>
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"request": {"format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "request"}},
    "loggers": {
        f"flask_atomic.{concern}": {"level": "INFO", "handlers": ["stderr"], "propagate": False}
        for concern in ("requests", "attempts", "transactions", "defects")
    },
}
# </logging>


# <telemetry>
atomic = Atomic(Telemetry())
atomic.resource(ArticleSchema, model=Article)
# </telemetry>


def create_app(database="sqlite://"):
    app = Flask(__name__)
    # <engine>
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "pool_size": 8,  # the threads of one process
        "max_overflow": 8,  # for those whose view or login holds a connection of its own
        "pool_timeout": 5,
        "pool_pre_ping": True,
    }
    # </engine>
    app.config["SQLALCHEMY_DATABASE_URI"] = database
    # <proxy>
    app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)
    # </proxy>
    db.init_app(app)
    app.register_blueprint(atomic.blueprint)
    with app.app_context():
        db.create_all()
    return app

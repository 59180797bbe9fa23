"""A shop whose orders and invoices are in different databases, which commit as one."""

from flask import Flask

# <imports>
from flask_sqlalchemy import SQLAlchemy
from marshmallow_jsonapi import Schema, fields
from sqlalchemy.orm import Mapped, mapped_column

from flask_atomic import Atomic
from flask_atomic.layers.sqlalchemy import TwoPhaseSQLAlchemyLayer, decisions_table, idempotency_table

# </imports>

# <models>
db = SQLAlchemy()
decisions = decisions_table(db.metadata)
idempotency_table(db.metadata)


class Order(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(db.String(200))


class Invoice(db.Model):
    __bind_key__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]


# </models>


class OrderSchema(Schema):
    id = fields.Str()
    address = fields.Str(required=True)

    class Meta:
        type_ = "orders"


class InvoiceSchema(Schema):
    id = fields.Str()
    amount = fields.Int(required=True)

    class Meta:
        type_ = "invoices"


# <create>
def create_app(shop="sqlite:///shop.sqlite", books="postgresql+psycopg://shop@localhost/books"):
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = shop
    app.config["SQLALCHEMY_BINDS"] = {"books": books}
    db.init_app(app)
    atomic = Atomic(TwoPhaseSQLAlchemyLayer(db, decisions))
    atomic.resource(OrderSchema, model=Order)
    atomic.resource(InvoiceSchema, model=Invoice)
    app.register_blueprint(atomic.blueprint)
    return app


# </create>

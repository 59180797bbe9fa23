"""Payments, each of which is made once, however often the request is sent."""

from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy
from marshmallow_jsonapi import Schema, fields
from sqlalchemy.orm import Mapped, mapped_column

from flask_atomic import Atomic

# <table>
from flask_atomic.layers.sqlalchemy import idempotency_table

db = SQLAlchemy()
idempotency_table(db.metadata)
# </table>


class Payment(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]


class PaymentSchema(Schema):
    id = fields.Str()
    amount = fields.Int(required=True)

    class Meta:
        type_ = "payments"


# <scope>
def current_user():
    return request.authorization.username if request.authorization else ""


atomic = Atomic(idempotency_scope=current_user)
# </scope>
atomic.resource(PaymentSchema, model=Payment)


def create_app(database="sqlite:///payments.sqlite"):
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = database
    # <settings>
    app.config["ATOMIC_IDEMPOTENCY"] = "required"
    app.config["ATOMIC_IDEMPOTENCY_SECONDS"] = 3 * 24 * 60 * 60
    # </settings>
    db.init_app(app)
    app.register_blueprint(atomic.blueprint)
    with app.app_context():
        db.create_all()
    return app


# <job>
def pay_salaries(month, amounts):
    add = [{"op": "add", "data": {"type": "payments", "attributes": {"amount": amount}}} for amount in amounts]
    return atomic.perform({"atomic:operations": add}, idempotency_key=f"salaries of {month}")


# </job>

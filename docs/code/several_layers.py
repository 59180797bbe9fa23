"""A shop: baskets in memory, orders in one database, invoices in another."""

from flask import Flask
from marshmallow_jsonapi import Schema, fields
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

# <imports>
from flask_atomic import Atomic, MemoryLayer
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer

# </imports>


class Shop(DeclarativeBase):
    pass


class Books(DeclarativeBase):
    pass


# <models>
class Order(Shop):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str]
    basket_id: Mapped[int | None]


class Invoice(Books):
    __tablename__ = "invoices"
    id: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]
    order_id: Mapped[int]


# </models>


# <schemas>
class BasketSchema(Schema):
    id = fields.Str()
    goods = fields.List(fields.Str())
    orders = fields.Relationship(type_="orders", many=True, include_resource_linkage=True)

    class Meta:
        type_ = "baskets"


class OrderSchema(Schema):
    id = fields.Str()
    address = fields.Str(required=True)
    basket = fields.Relationship(type_="baskets", attribute="basket_id", include_resource_linkage=True)

    class Meta:
        type_ = "orders"


class InvoiceSchema(Schema):
    id = fields.Str()
    amount = fields.Int(required=True)
    order = fields.Relationship(type_="orders", attribute="order_id", include_resource_linkage=True, required=True)

    class Meta:
        type_ = "invoices"


# </schemas>


def create_app(shop="sqlite:///shop.sqlite", books="sqlite:///books.sqlite"):
    shop_engine, books_engine = create_engine(shop), create_engine(books)
    Shop.metadata.create_all(shop_engine)
    Books.metadata.create_all(books_engine)
    # <layers>
    atomic = Atomic(
        MemoryLayer(),
        SQLAlchemyLayer(sessionmaker(shop_engine), name="shop"),
        SQLAlchemyLayer(sessionmaker(books_engine), name="books"),
    )
    atomic.resource(BasketSchema, layer="memory")
    atomic.resource(OrderSchema, layer="shop", model=Order)
    atomic.resource(InvoiceSchema, layer="books", model=Invoice)
    # </layers>
    app = Flask(__name__)
    app.register_blueprint(atomic.blueprint)
    return app

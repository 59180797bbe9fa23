"""Resource types that are declared in all the ways there are, kept in memory."""

from uuid import UUID

from flask import Flask
from marshmallow import ValidationError, post_load, validate, validates_schema
from marshmallow_jsonapi import Schema, fields

from flask_atomic import Atomic, MemoryLayer


# <ids>
class LanguageSchema(Schema):
    id = fields.UUID()
    code = fields.Str(required=True)

    class Meta:
        type_ = "languages"


# </ids>


# <attributes>
class EventSchema(Schema):
    id = fields.Str()
    name = fields.Str(required=True, validate=validate.Length(1, 80))
    starts_on = fields.Date(data_key="startsOn", required=True)
    ends_on = fields.Date(data_key="endsOn", allow_none=True)
    is_cancelled = fields.Bool(data_key="isCancelled", dump_only=True)

    @validates_schema
    def check_order(self, values, **_):
        if values.get("starts_on") and values.get("ends_on") and values["ends_on"] < values["starts_on"]:
            raise ValidationError("An event ends after it starts.", "endsOn")

    @post_load
    def tidy(self, values, **_):
        if "name" in values:
            values["name"] = values["name"].strip()
        return values

    # </attributes>

    # <relationships>
    language = fields.Relationship(type_="languages", include_resource_linkage=True, required=True)
    follows = fields.Relationship(type_="events", include_resource_linkage=True, allow_none=True)
    guests = fields.Relationship(type_="guests", many=True)
    # </relationships>

    class Meta:
        type_ = "events"


class GuestSchema(Schema):
    id = fields.Str()
    name = fields.Str(required=True)

    class Meta:
        type_ = "guests"


def create_app():
    atomic = Atomic(MemoryLayer())
    # <resources>
    atomic.resource(LanguageSchema, client_ids="required", id_type=UUID)
    atomic.resource(
        EventSchema,
        operations={"add", "update", "guests.add"},
        collection="calendar",
        defaults={"is_cancelled": lambda: False},
    )
    atomic.resource(GuestSchema, operations=())
    # </resources>
    app = Flask(__name__)
    app.register_blueprint(atomic.blueprint)
    return app

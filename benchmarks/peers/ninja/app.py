"""The customers and computers of the benchmark on django-ninja-jsonapi 0.7; BENCH_DB names the SQLite file.

Later releases have no atomic operations.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Optional

import django
from django.conf import settings

sys.modules.setdefault("app", sys.modules[__name__])
settings.configure(
    DEBUG=False,
    SECRET_KEY="x",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    INSTALLED_APPS=["shop"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    MIDDLEWARE=[],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["BENCH_DB"],
            "CONN_MAX_AGE": None,
            "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"},
        }
    },
)
django.setup()

from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.urls import path
from django_ninja_jsonapi import ApplicationBuilder, ViewBaseGeneric
from django_ninja_jsonapi.types_metadata import RelationshipInfo
from ninja import NinjaAPI
from pydantic import BaseModel, ConfigDict
from shop.models import Computer, Customer


class CustomerSchema(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    name: str
    email: str


class CustomerChanges(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    name: Optional[str] = None
    email: Optional[str] = None


class ComputerSchema(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    serial: str
    owner: Annotated[Optional[CustomerSchema], RelationshipInfo(resource_type="customer")] = None


class View(ViewBaseGeneric):
    pass


api = NinjaAPI()
builder = ApplicationBuilder(api)
for type_, schema, changes, model in (
    ("customer", CustomerSchema, CustomerChanges, Customer),
    ("computer", ComputerSchema, None, Computer),
):
    builder.add_resource(
        path=f"/{type_}s",
        tags=[type_],
        resource_type=type_,
        view=View,
        model=model,
        schema=schema,
        schema_in_patch=changes,
    )
builder.initialize()
urlpatterns = [path("", api.urls)]

with connection.schema_editor() as editor:
    for model in (Customer, Computer):
        editor.create_model(model)
connection.close()
application = get_wsgi_application()

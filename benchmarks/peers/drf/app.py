"""The customers and computers of the benchmark on drf-json-api-atomic-operations; BENCH_DB names the SQLite file."""

from __future__ import annotations

import os
import sys

import django
from django.conf import settings

sys.modules.setdefault("app", sys.modules[__name__])
settings.configure(
    DEBUG=False,
    SECRET_KEY="x",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "rest_framework",
        "rest_framework_json_api",
        "shop",
    ],
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
    REST_FRAMEWORK={
        "EXCEPTION_HANDLER": "rest_framework_json_api.exceptions.exception_handler",
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": [],
        "UNAUTHENTICATED_USER": None,
        "DEFAULT_METADATA_CLASS": "rest_framework_json_api.metadata.JSONAPIMetadata",
    },
)
django.setup()

from atomic_operations.views import AtomicOperationView
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.urls import path
from rest_framework_json_api import serializers
from rest_framework_json_api.relations import ResourceRelatedField
from shop.models import Computer, Customer


class CustomerSerializer(serializers.ModelSerializer):
    class Meta:
        model = Customer
        fields = ("id", "name", "email")


class ComputerSerializer(serializers.ModelSerializer):
    owner = ResourceRelatedField(queryset=Customer.objects, required=False, allow_null=True)

    class Meta:
        model = Computer
        fields = ("id", "serial", "owner")


class OperationsView(AtomicOperationView):
    serializer_classes = {
        f"{op}:{type_}": serializer
        for type_, serializer in (("customer", CustomerSerializer), ("computer", ComputerSerializer))
        for op in ("add", "update", "remove")
    }


urlpatterns = [path("operations", OperationsView.as_view())]

with connection.schema_editor() as editor:
    for model in (Customer, Computer):
        editor.create_model(model)
connection.close()
application = get_wsgi_application()

"""Plugins for the reference of the hooks, and an application that has all of them."""

from itertools import count
from types import SimpleNamespace

from flask import Flask
from marshmallow_jsonapi import Schema, fields

from flask_atomic import Atomic, MemoryLayer, Refused, hookimpl


# <counter>
class Counter:
    def __init__(self):
        self.operations = 0

    @hookimpl
    def atomic_committed(self, records):
        self.operations += len(records)


# </counter>


# <journal>
class JournalLayer:
    """Entries that are added and never changed: there is no atomic_update and no atomic_remove."""

    name = "journal"

    def __init__(self):
        self.entries = {}
        self._numbers = count(1)

    @hookimpl
    def atomic_claim(self, resource):
        return self if resource.options.get("journal") else None

    @hookimpl
    def atomic_begin(self):
        return SimpleNamespace(waiting=[], numbered={})

    @hookimpl
    def atomic_rollback(self, unit):
        unit.waiting.clear()

    @hookimpl
    def atomic_parse_id(self, text):
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

    @hookimpl
    def atomic_get(self, unit, ids):
        entries = self.entries | unit.numbered
        return {id: entries[id] for id in ids if id in entries}

    @hookimpl
    def atomic_identify(self, entity):
        return entity.id  # None before the flush

    @hookimpl
    def atomic_add(self, unit, attributes):
        entity = SimpleNamespace(id=None, **attributes)
        unit.waiting.append(entity)
        return entity

    @hookimpl
    def atomic_add_all(self, unit, attributes):
        entities = [SimpleNamespace(id=None, **each) for each in attributes]
        unit.waiting.extend(entities)
        return entities

    @hookimpl
    def atomic_flush(self, unit):
        for entity in unit.waiting:
            entity.id = next(self._numbers)
            unit.numbered[entity.id] = entity
        unit.waiting.clear()

    @hookimpl
    def atomic_prepare(self, unit):
        pass  # nothing can go wrong from here on

    @hookimpl
    def atomic_commit(self, unit):
        self.entries.update(unit.numbered)

    @hookimpl
    def atomic_independent(self, resource):
        return not resource.options.get("has_triggers", False)


# </journal>


# <authorize>
class KeepsArticles:
    @hookimpl
    def atomic_authorize(self, operation, resource):
        removal = operation.op == "remove" and operation.ref.relationship is None
        if removal and resource.type == "articles":
            raise Refused("Articles are kept.")


# </authorize>


# <result_meta>
class Echo:
    """Hands the number that a client gives its operations back to it."""

    @hookimpl
    def atomic_result_meta(self, operation):
        number = operation.meta.get("number")
        return None if number is None else {"number": number}


# </result_meta>


# <committed>
class Announcements:
    def __init__(self):
        self.titles = []

    @hookimpl
    def atomic_committed(self, records):
        for record in records:
            if record.operation.op == "add" and record.resource.type == "articles":
                self.titles.append(record.result["data"]["attributes"]["title"])


# </committed>


class ArticleSchema(Schema):
    id = fields.Str()
    title = fields.Str(required=True)

    class Meta:
        type_ = "articles"


class EntrySchema(Schema):
    id = fields.Str()
    text = fields.Str(required=True)

    class Meta:
        type_ = "entries"


def create_app(*plugins):
    app = Flask(__name__)
    atomic = Atomic(JournalLayer(), MemoryLayer(), *plugins)
    atomic.resource(ArticleSchema)
    atomic.resource(EntrySchema, journal=True)
    app.register_blueprint(atomic.blueprint)
    return app

"""What results show besides resources: the meta of plugins."""

from __future__ import annotations

import enum
import math
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from flask_atomic import Conflict, compactjson, hookimpl
from tests.application import NOTE, add, id_, post, remove, seeded, stored, update


class Meta:
    """Gives each result what `give` returns for its operation, type and id."""

    def __init__(self, name: str, give: Any) -> None:
        self.name = name
        self.give = give
        self.heard: list[Any] = []

    @hookimpl
    def atomic_result_meta(self, operation: Any, resource: Any, id: Any) -> Any:
        return self.give(operation, resource.type, id)

    @hookimpl
    def atomic_committed(self, records: Any) -> None:
        self.heard += [record.result for record in records]


class TestMeta:
    def test_each_result_has_its_own(self):
        plugin = Meta("place", lambda operation, type_, id_: {"place": [operation.index, type_, str(id_)]})
        client = seeded(plugin).client
        answer = post(client, add("people", attributes={"name": "Cid"}), remove("tags", "x"))

        added, removed = answer.results
        assert added["meta"] == {"place": [0, "people", added["data"]["id"]]}
        assert removed == {"meta": {"place": [1, "tags", "x"]}}
        assert plugin.heard[-2:] == answer.results

    def test_the_meta_of_the_operation_can_be_answered(self):
        plugin = Meta("echo", lambda operation, type_, id_: operation.meta or None)
        answer = post(seeded(plugin).client, {**remove("tags", "x"), "meta": {"number": 7}}, remove("tags", "y"))

        assert answer.results == [{"meta": {"number": 7}}, {}]

    def test_a_result_with_meta_is_not_empty(self):
        client = seeded(Meta("some", lambda operation, type_, id_: {"a": 1})).client

        assert post(client, remove("tags", "x")).response.status_code == 200
        assert post(seeded(Meta("none", lambda *_: None)).client, remove("tags", "x")).response.status_code == 204

    def test_the_plugin_that_was_registered_last_prevails(self):
        first = Meta("first", lambda *_: {"a": 1, "b": 1})
        second = Meta("second", lambda *_: {"b": 2})

        assert post(seeded(first, second).client, remove("tags", "x")).results == [{"meta": {"a": 1, "b": 2}}]

    @pytest.mark.parametrize("by", ["orjson", "json"])
    def test_values_are_written_as_those_of_attributes(self, by, monkeypatch):
        if by == "json":
            monkeypatch.setattr(compactjson, "orjson", None)
        mood = enum.Enum("Mood", {"GOOD": "good"})
        given = {"a": [UUID(NOTE), mood.GOOD], "b": {"c": math.nan}, "d": date(2020, 1, 1)}
        answer = post(seeded(Meta("many", lambda *_: given)).client, remove("tags", "x"))

        assert answer.results == [{"meta": {"a": [NOTE, "good"], "b": {"c": "NaN"}, "d": "2020-01-01"}}]

    def test_a_refusal_undoes_everything(self):
        def refuse(operation: Any, type_: str, id_: Any) -> None:
            if type_ == "tags" and operation.op == "remove":
                raise Conflict("The tag is needed.")

        made = seeded(Meta("refuses", refuse))
        before = stored(made.layer)
        answer = post(made.client, update("people", "1", attributes={"name": "Cid"}), remove("tags", "x"))

        assert answer.errors == [(409, "conflict", None)]
        assert stored(made.layer) == before

    @pytest.mark.parametrize("given", [["a"], {"a": object()}])
    def test_what_is_no_meta_is_a_defect_that_stores_nothing(self, given):
        made = seeded(Meta("wrong", lambda operation, type_, _: given if operation.op == "remove" else None))
        before = stored(made.layer)

        assert post(made.client, remove("tags", "x")).errors == [(500, "internal-error", None)]
        assert stored(made.layer) == before


class TestManyMembers:
    def test_a_linkage_has_a_limit(self):
        made = seeded(ATOMIC_MAX_MEMBERS=2)
        before = stored(made.layer)
        tags = [id_("tags", "x"), id_("tags", "y"), id_("tags", "x")]
        answer = post(made.client, update("articles", "3", relationships={"tags": tags}))

        pointer = "/0/data/relationships/tags/data"
        assert answer.errors == [(422, "too-many-members", pointer)]
        assert stored(made.layer) == before
        assert post(made.client, update("articles", "3", relationships={"tags": tags[:2]})).response.status_code == 200

    def test_no_limit(self):
        made = seeded(ATOMIC_MAX_MEMBERS=None)
        tags = [id_("tags", "x")] * 10_001

        assert post(made.client, update("articles", "3", relationships={"tags": tags})).response.status_code == 200

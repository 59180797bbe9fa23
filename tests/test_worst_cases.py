"""What the worst inputs cost grows with their size, and not faster. Calls are counted, of Python and of C: no clock."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from marshmallow import validate
from marshmallow_jsonapi import fields

from benchmarks.worst_cases import CASES, STORES, Case, Server
from flask_atomic import Atomic, MemoryLayer
from tests.application import (
    NOTE,
    add,
    application,
    id_,
    lid,
    post,
    relate,
    remove,
    schema,
    seeded,
    stored,
    update,
    world,
)

SIZE = 16 * 1024


def calls(function: Callable[[], Any]) -> tuple[int, Any]:
    """How many calls it takes, and what is returned."""
    made = count()
    sys.setprofile(lambda frame, event, argument: next(made) if event in ("call", "c_call") else None)
    try:
        returned = function()
    finally:
        sys.setprofile(None)
    return next(made), returned


def cost(case: Case, store: str, size: int) -> tuple[int, int]:
    """How many calls a request of the size takes, and the status of its answer."""
    with STORES[store]() as layer:
        taken, (status, _) = calls(Server(layer, case.settings).prepare(case.make(size)))
    return taken, status


@pytest.mark.no_cover
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_four_times_the_size_costs_four_times_as_much(case: Case, store: str) -> None:
    small, _ = cost(case, store, SIZE)
    large, status = cost(case, store, 4 * SIZE)

    assert status == case.status or (store == "memory" and status < 500)
    assert large < 4.4 * small


def test_what_costs_more_is_noticed() -> None:
    def quadratic(size: int) -> None:
        for _ in range(size**2):
            len("")

    assert calls(lambda: quadratic(80))[0] > 4.4 * calls(lambda: quadratic(20))[0]


def serving(**declared: Any) -> Any:
    """A client of an application with things that have these fields."""
    atomic = Atomic(MemoryLayer())
    atomic.resource(schema("things", **declared))
    return application(atomic).test_client()


class TestValues:
    """`ATOMIC_MAX_VALUES`."""

    OPERATION = {"op": "remove", "ref": {"type": "people", "id": "1"}}  # noqa: RUF012
    VALUES = 6
    """The operations, the operation, its two members, the two of its target."""

    def test_as_many_as_allowed(self) -> None:
        answer = post(seeded(ATOMIC_MAX_VALUES=10_000).client, self.OPERATION)

        assert answer.response.status_code == 204

    @pytest.mark.parametrize(("most", "status"), [(VALUES, 404), (VALUES - 1, 413), (None, 404)])
    def test_members_and_elements_are_counted(self, most: int | None, status: int) -> None:
        answer = post(world(ATOMIC_MAX_VALUES=most).client, self.OPERATION)

        assert answer.response.status_code == status

    def test_the_refusal(self) -> None:
        (error,) = post(world(ATOMIC_MAX_VALUES=5).client, self.OPERATION).error_objects

        assert error["code"] == "too-large"
        assert error["detail"] == "More than 5 values were sent, that is members of objects and elements of arrays."
        assert "source" not in error


@pytest.mark.parametrize("batch", [True, False])
class TestAnswers:
    """`ATOMIC_MAX_ANSWER`."""

    LIMIT = 20_000

    @pytest.mark.parametrize(
        "value",
        [
            "a" * 900,
            "é" * 150,
            ["a" * 90] * 10,
            [1] * 90,
            [10**40] * 20,
            [[]] * 18,
            {"a" * 900: None},
            [{"a": None}] * 15,
        ],
    )
    def test_the_first_result_without_room_is_refused(self, batch: bool, value: Any, caplog: Any) -> None:
        served = seeded(ATOMIC_MAX_ANSWER=self.LIMIT, ATOMIC_BATCH=batch)
        before = stored(served.layer)
        first = update("articles", "3", attributes={"options": {"held": value}})

        with caplog.at_level("INFO", "flask_atomic.attempts"):
            answer = post(served.client, first, *[update("articles", "3")] * 30)

        (error,) = answer.error_objects
        shown = len(json.dumps(value)) * int(error["source"]["pointer"].rpartition("/")[2])
        assert (answer.response.status_code, error["code"]) == (422, "answer-too-large")
        assert error["detail"] == (
            "The results up to this one would take more than 20000 bytes. Send fewer operations."
        )
        assert shown < 1.2 * self.LIMIT
        assert stored(served.layer) == before
        assert not caplog.records

    def test_of_several_types_the_first_operation_is_to_blame(self, batch: bool) -> None:
        client = seeded(ATOMIC_MAX_ANSWER=self.LIMIT, ATOMIC_BATCH=batch).client
        about = {"about": id_("articles", "3")}
        text = add("notes", id=str(UUID(int=1)), attributes={"text": "a" * 15_000}, relationships=about)
        article = add("articles", attributes={"title": "t", "options": {"held": "a" * 15_000}})

        answer = post(client, add("people", attributes={"name": "Cid"}), article, text, text)

        assert answer.errors == [(422, "answer-too-large", "/2")]

    def test_members_that_are_shown_count(self, batch: bool) -> None:
        client = seeded(ATOMIC_MAX_ANSWER=self.LIMIT, ATOMIC_BATCH=batch).client
        people = [add("people", lid=f"p{number}", attributes={"name": "Cid"}) for number in range(60)]
        friends = [lid("people", f"p{number}") for number in range(60)]

        answer = post(client, *people, *[update("people", "1", relationships={"friends": friends})] * 9)

        assert answer.response.status_code == 422
        assert post(seeded(ATOMIC_MAX_ANSWER=None).client, *people, *[update("people", "1")] * 9).results

    def test_what_shows_nothing_needs_no_room(self, batch: bool) -> None:
        client = seeded(ATOMIC_MAX_ANSWER=3000, ATOMIC_BATCH=batch).client

        assert post(client, remove("tags", "x"), remove("tags", "y")).response.status_code == 204


class TestIds:
    STEP = 2**61 - 1
    """UUIDs so far apart have the same hash."""

    def notes(self, number: int) -> list[dict[str, str]]:
        return [id_("notes", str(UUID(int=1 + self.STEP * each))) for each in range(number)]

    def test_some_may_have_one_hash(self) -> None:
        assert len({hash(UUID(note["id"])) for note in self.notes(20)}) == 1

        answer = post(world().client, *(remove("notes", note["id"]) for note in self.notes(20)))

        assert {error["code"] for error in answer.error_objects} == {"resource-not-found"}

    def test_many_of_one_hash_are_refused(self) -> None:
        answer = post(world().client, *(remove("notes", note["id"]) for note in self.notes(22)))

        (error,) = answer.error_objects
        assert (answer.response.status_code, error["code"]) == (422, "invalid-id")
        assert error["source"]["pointer"] == "/atomic:operations/20/ref"

    def test_new_ones_too(self) -> None:
        answer = post(world().client, *(add("notes", id=note["id"]) for note in self.notes(22)))

        assert answer.error_objects[-1]["source"]["pointer"] == "/atomic:operations/20/data/id"

    def test_the_same_id_may_be_named_any_number_of_times(self) -> None:
        answer = post(seeded().client, *(update("notes", NOTE) for _ in range(50)))

        assert answer.response.status_code == 200


class TestErrors:
    def test_a_long_name_is_not_repeated_for_each_error_below_it(self) -> None:
        client = serving(groups=fields.Dict(values=fields.List(fields.Int())))
        groups = {"n" * 1000: ["x"], "n" * 1001: ["x"] * 50}

        answer = post(client, add("things", attributes={"groups": groups}))

        pointers = [error["source"]["pointer"].replace("n" * 1000, "long") for error in answer.error_objects]
        members = "/atomic:operations/0/data/attributes/groups"
        assert pointers == [f"{members}/long/0", *[members] * 50]

    def test_a_thousand_are_looked_for(self) -> None:
        client = serving(numbers=fields.List(fields.Int()))
        client.application.config["ATOMIC_MAX_ERRORS"] = 5000

        answer = post(client, add("things", attributes={"numbers": [{}] * 999}))
        assert [error["code"] for error in answer.error_objects] == ["invalid-attribute"] * 999
        (error,) = post(client, add("things", attributes={"numbers": [{}] * 1001})).error_objects
        assert (error["code"], error["detail"]) == ("invalid-resource", "More than 1000 values are not acceptable.")

    @pytest.mark.parametrize(
        ("operations", "query"),
        [([{}] * 1001, ""), ([{}], "?" + "&".join(f"x{number}=" for number in range(1001)))],
        ids=["operations", "parameters"],
    )
    def test_a_thousand_are_told(self, operations: list[Any], query: str) -> None:
        served = application(Atomic(MemoryLayer()), ATOMIC_MAX_ERRORS=5000, ATOMIC_MAX_OPERATIONS=5000)

        answer = post(served.test_client(), *operations, path=f"/api/operations{query}")

        assert (answer.status, len(answer.error_objects)) == (400, 1000)

    def test_wrong_values_are_counted_for_each_resource(self) -> None:
        client = serving(numbers=fields.List(fields.Int()))

        answer = post(client, *(add("things", attributes={"numbers": [{}] * 40}) for _ in range(30)))

        assert {error["code"] for error in answer.error_objects} == {"invalid-attribute"}


class TestFields:
    @pytest.mark.parametrize(("declared"), [fields.Email(), fields.Str(validate=validate.Email())])
    def test_no_address_is_longer_than_addresses_can_be(self, declared: Any) -> None:
        client = serving(email=declared)
        short = "a" * 64 + "@" + "b" * 63 + ".example"

        assert post(client, add("things", attributes={"email": short})).response.status_code == 200
        (error,) = post(client, add("things", attributes={"email": short + ".example" * 40})).error_objects
        assert error["detail"] == "Not a valid email address."

    def test_a_message_of_ones_own_is_kept(self) -> None:
        client = serving(email=fields.Str(validate=validate.Email(error="No.")))

        (error,) = post(client, add("things", attributes={"email": "a@" + "é" * 400})).error_objects
        assert error["detail"] == "No."

    @pytest.mark.parametrize("zero", ["0", "-0", "0.00", "0E-300", "0E+300"])
    def test_a_zero(self, zero: str) -> None:
        client = serving(price=fields.Decimal(as_string=True))

        assert post(client, add("things", attributes={"price": zero})).response.status_code == 200

    @pytest.mark.parametrize("zero", ["0E-400", "0E+400", "-0E-999999999"])
    def test_a_zero_that_is_longer_than_any_number(self, zero: str) -> None:
        client = serving(price=fields.Decimal(as_string=True))

        (error,) = post(client, add("things", attributes={"price": zero})).error_objects
        assert error["detail"] == "The number is out of range."


class TestHrefs:
    @pytest.mark.parametrize("href", ["//aß/people/1", "http://aß/api/people/1", "x://ß:80/1", "//u@ß/people/1"])
    def test_a_host_that_none_can_have_is_not_normalised(self, href: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("flask_atomic.href.urlsplit", None)  # it would: in quadratic time for some characters

        (error,) = post(world().client, {"op": "remove", "href": href}).error_objects
        assert error["code"] == "unknown-href"


class TestHeaders:
    @pytest.mark.parametrize(("spaces", "status"), [(16_000, 404), (17_000, 406)])
    def test_accept(self, spaces: int, status: int) -> None:
        answer = post(
            world().client,
            relate("update", id_("people", "1"), "friends", []),
            headers={"Accept": "*/*" + " " * spaces},
        )

        assert answer.response.status_code == status

    @pytest.mark.parametrize(("spaces", "status"), [(16_000, 404), (17_000, 415)])
    def test_content_type(self, spaces: int, status: int) -> None:
        content_type = "application/vnd.api+json;" + " " * spaces
        answer = post(world().client, remove("people", "1"), content_type=content_type)

        assert answer.response.status_code == status

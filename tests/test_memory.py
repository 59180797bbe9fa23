"""`MemoryLayer`: atomic, isolated between concurrent requests, able to vote; and its options."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Barrier, Thread
from uuid import UUID

import pytest
from marshmallow_jsonapi import fields

from flask_atomic import Atomic, ConfigurationError, MemoryLayer, hookimpl
from tests.application import add, application, id_, post, read, relate, remove, schema, stored, to_many, to_one, update

BOATS = schema("boats", name=fields.Str(), tender=to_one("boats"), crew=to_many("sailors"))
SAILORS = schema("sailors", name=fields.Str())


class Interruption:
    """Lets something else happen at a hook, once."""

    def __init__(self):
        self.at = {}

    def happen(self, hook):
        if hook in self.at:
            self.at.pop(hook)()

    @hookimpl(wrapper=True)
    def atomic_linkage(self):
        self.happen("linkage")
        return (yield)

    @hookimpl(wrapper=True)
    def atomic_prepare(self):
        self.happen("prepare")
        yield

    @hookimpl(wrapper=True)
    def atomic_commit(self):
        self.happen("commit")
        yield


class Harbour:
    """Boats and sailors in memory, and whatever is to happen in the middle of a request."""

    def __init__(self, *, retries=0, **options):
        self.layer = MemoryLayer()
        self.interruption = Interruption()
        atomic = Atomic(self.layer, self.interruption)
        atomic.resource(BOATS, client_ids="allowed", **options)
        atomic.resource(SAILORS)
        self.flask = application(atomic, ATOMIC_RETRIES=retries)
        self.client = self.flask.test_client()

    def post(self, *operations):
        return post(self.flask.test_client(), *operations)

    def meanwhile(self, *operations, at="prepare"):
        """Have operations performed while the next request is about to commit."""

        def perform():
            answers = []
            thread = Thread(target=lambda: answers.append(self.post(*operations)))
            thread.start()
            thread.join(timeout=10)
            assert [answer.status in (200, 204) for answer in answers] == [True]

        self.interruption.at[at] = perform


@pytest.fixture
def harbour():
    harbour = Harbour()
    crew = [id_("sailors", "1"), id_("sailors", "2")]
    answer = harbour.post(add("sailors"), add("sailors"), add("boats", {"crew": crew}), add("boats"))
    assert [result["data"]["id"] for result in answer.results] == ["1", "2", "3", "4"]
    return harbour


def named(name):
    return {"name": name}


class TestIsolation:
    def test_nobody_sees_what_is_not_committed(self, harbour):
        seen = []
        harbour.interruption.at["prepare"] = lambda: seen.append(stored(harbour.layer))
        before = stored(harbour.layer)

        harbour.post(
            update("boats", "3", attributes=named("A")),
            relate("add", id_("boats", "4"), "crew", [id_("sailors", "1")]),
            relate("remove", id_("boats", "3"), "crew", [id_("sailors", "1")]),
            remove("sailors", "2"),
            add("boats"),
        )

        assert seen == [before]
        assert stored(harbour.layer) != before

    @pytest.mark.parametrize(
        ("mine", "theirs"),
        [
            (update("boats", "3", attributes=named("A")), update("boats", "3", attributes=named("B"))),
            (update("boats", "3", attributes=named("A")), remove("boats", "3")),
            (remove("boats", "3"), update("boats", "3", attributes=named("B"))),
            (remove("boats", "3"), remove("boats", "3")),
            (add("boats", id="9"), add("boats", id="9")),
            (update("boats", "3", {"tender": id_("boats", "4")}), remove("boats", "4")),
            (update("boats", "3", {"tender": id_("boats", "4")}), update("boats", "4", attributes=named("B"))),
            (relate("add", id_("boats", "4"), "crew", [id_("sailors", "1")]), remove("sailors", "1")),
            (remove("sailors", "1"), update("boats", "4", {"crew": [id_("sailors", "1")]})),
            (remove("sailors", "1"), add("boats", {"crew": [id_("sailors", "1")]})),
            (add("boats", {"tender": id_("boats", "4")}), remove("boats", "4")),
        ],
    )
    def test_what_contradicts_a_commit_in_the_meantime_may_be_tried_again(self, harbour, mine, theirs):
        harbour.meanwhile(theirs)

        answer = harbour.post(mine)

        assert answer.errors == [(503, "unavailable", None)]
        assert answer.response.headers["Retry-After"] == "1"
        assert harbour.post(mine).status in (200, 204, 404, 409)  # as if it came after the other

    @pytest.mark.parametrize(
        ("mine", "theirs"),
        [
            (update("boats", "3", attributes=named("A")), update("boats", "4", attributes=named("B"))),
            (update("boats", "3", attributes=named("A")), add("boats")),
            (add("boats"), add("boats")),
            (remove("sailors", "1"), add("sailors")),
            (remove("boats", "3"), update("sailors", "1")),
        ],
    )
    def test_what_does_not_is_committed(self, harbour, mine, theirs):
        harbour.meanwhile(theirs)

        assert harbour.post(mine).status in (200, 204)

    def test_when_it_is_tried_again_it_comes_after_the_other(self):
        harbour = Harbour(retries=1)
        harbour.post(add("boats", attributes=named("first")))
        harbour.meanwhile(update("boats", "1", attributes=named("theirs")))

        answer = harbour.post(update("boats", "1", attributes=named("mine")), add("boats"))

        assert [result["data"]["id"] for result in answer.results] == ["1", "3"]  # a number is given out once
        assert read(harbour.client, "boats", "1")["attributes"] == {"name": "mine"}

    def test_a_refused_commit_leaves_what_the_other_has_stored(self, harbour):
        harbour.meanwhile(update("boats", "3", attributes=named("theirs")))

        assert harbour.post(update("boats", "3", attributes=named("mine")), add("boats")).status == 503

        assert read(harbour.client, "boats", "3")["attributes"] == {"name": "theirs"}
        assert read(harbour.client, "boats", "5") is None

    @pytest.mark.parametrize("hook", ["prepare", "commit"])
    def test_the_lock_is_released_whatever_happens(self, harbour, hook):
        """Otherwise the next request would wait for ever."""

        def fail():
            raise ZeroDivisionError

        harbour.interruption.at[hook] = fail
        assert harbour.post(add("boats")).status == 500

        harbour.meanwhile(add("boats"), at="linkage")
        assert harbour.post(add("boats")).status == 200

    def test_commits_do_not_meet(self, harbour):
        """Between the vote and the commit of one, no other votes."""
        waiting = []

        def try_to_lock():
            waiting.append(harbour.layer._committing.acquire(blocking=False))

        harbour.interruption.at["commit"] = try_to_lock

        assert harbour.post(add("boats")).status == 200
        assert waiting == [False]
        assert harbour.layer._committing.acquire(blocking=False)

    def test_many_at_once_lose_nothing(self, harbour):
        """Every change that was answered with a success is there, and none of the others."""
        start = Barrier(4)

        def work(number):
            start.wait(timeout=10)
            statuses = []
            for turn in range(15):
                boat = id_("boats", "3")
                added = f"{number}-{turn}"
                answer = harbour.post(
                    add("sailors", lid="new", attributes=named(added)),
                    relate("add", boat, "crew", [{"type": "sailors", "lid": "new"}]),
                )
                statuses.append((added, answer.status))
            return statuses

        with ThreadPoolExecutor(4) as threads:
            statuses = [each for done in threads.map(work, range(4)) for each in done]

        rows = stored(harbour.layer)
        crew = [rows["sailors", id]["name"] for id in rows["boats", 3]["crew"][2:]]
        assert sorted(crew) == sorted(added for added, status in statuses if status == 200)
        assert {row["name"] for (type_, id), row in rows.items() if type_ == "sailors" and id > 2} == set(crew)
        assert {status for _, status in statuses} <= {200, 503}


class TestRemoval:
    def test_those_who_referred_to_it_do_so_no_more(self, harbour):
        harbour.post(update("boats", "4", {"tender": id_("boats", "3")}))

        harbour.post(remove("sailors", "1"), remove("boats", "3"))

        rows = stored(harbour.layer)
        assert rows.keys() == {("sailors", 2), ("boats", 4)}
        assert rows["boats", 4]["tender"] is None

    def test_to_many(self, harbour):
        harbour.post(remove("sailors", "1"))

        assert stored(harbour.layer)["boats", 3]["crew"] == (2,)

    def test_what_was_added_in_the_same_request(self, harbour):
        harbour.post(add("boats", {"tender": id_("boats", "3")}, id="9"), remove("boats", "3"))

        assert stored(harbour.layer)["boats", 9]["tender"] is None

    def test_itself(self, harbour):
        harbour.post(update("boats", "3", {"tender": id_("boats", "3")}), remove("boats", "3"))

        assert ("boats", 3) not in stored(harbour.layer)

    def test_what_was_added_and_removed_leaves_nothing(self, harbour):
        before = stored(harbour.layer)

        harbour.post(add("boats", id="9"), remove("boats", "9"))

        assert stored(harbour.layer) == before


class TestOptions:
    def test_defaults_are_made_for_each_resource(self):
        numbers = count(7)
        harbour = Harbour(defaults={"name": lambda: f"boat {next(numbers)}"})

        answer = harbour.post(add("boats"), add("boats", attributes=named("given")), add("boats", attributes={}))

        shown = [result["data"]["attributes"]["name"] for result in answer.results]
        assert shown == ["boat 7", "given", "boat 9"]

    def test_what_has_no_default_is_null(self, harbour):
        data = harbour.post(add("boats")).results[0]["data"]

        assert data["attributes"] == {"name": None}
        assert data["relationships"] == {"tender": {"data": None}, "crew": {"data": []}}

    @pytest.mark.parametrize(
        ("id_type", "text", "id"),
        [
            (int, "7", 7),
            (int, "007", 7),
            (int, "-7", -7),
            (int, "0", 0),
            (str, "7", "7"),
            (str, "007", "007"),
            (str, " ", " "),
            (UUID, "6F1C1E2A-0000-4000-8000-00000000000A", UUID("6f1c1e2a-0000-4000-8000-00000000000a")),
        ],
    )
    def test_ids_are_parsed(self, id_type, text, id):
        harbour = Harbour(id_type=id_type)

        assert harbour.post(add("boats", id=text)).results[0]["data"]["id"] == str(id)
        assert list(stored(harbour.layer)) == [("boats", id)]

    @pytest.mark.parametrize(
        ("id_type", "text"),
        [
            *((int, text) for text in (" 7", "+7", "--7", "-", "7.0", "7_0", "\u0667", "²", "x", "1" * 21, "1" * 5000)),
            *((UUID, text) for text in ("7", "6f1c1e2a00004000800000000000000a", "x" * 36, "é" * 36)),
            (UUID, "{6f1c1e2a-0000-4000-8000-00000000000a}"),
        ],
    )
    def test_texts_that_are_no_ids(self, id_type, text):
        harbour = Harbour(id_type=id_type)

        assert harbour.post(add("boats", id=text)).errors == [(422, "invalid-id", "/0/data/id")]
        assert harbour.post(remove("boats", text)).errors == [(404, "resource-not-found", "/0/ref/id")]

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"id_type": float}, "The id_type of 'boats' is not int, str or uuid.UUID."),
            ({"versioned": "yes"}, "versioned= of 'boats' is not True or False."),
            ({"defaults": {"name": "Ann"}}, "defaults= of 'boats' is no mapping of attributes to functions."),
            ({"defaults": ["name"]}, "defaults= of 'boats' is no mapping of attributes to functions."),
        ],
    )
    def test_an_option_of_the_wrong_kind(self, options, told):
        atomic = Atomic(MemoryLayer())
        atomic.resource(schema("boats"), model=object, **options)

        with pytest.raises(ConfigurationError) as raised:
            application(atomic)
        assert str(raised.value) == told

    @pytest.mark.parametrize("id_type", [int, str, UUID])
    def test_ids_are_made(self, id_type):
        harbour = Harbour(id_type=id_type)

        answer = harbour.post(add("boats"), add("boats"))

        made = [result["data"]["id"] for result in answer.results]
        assert {id for _, id in stored(harbour.layer)} == {id_type(id) for id in made}
        assert len(set(made)) == 2

    @pytest.mark.parametrize("id_type", [int, str])
    def test_an_id_that_a_client_has_taken_is_not_made(self, id_type):
        harbour = Harbour(id_type=id_type)

        answer = harbour.post(add("boats", id="1"), add("boats"), add("boats", id="3"), add("boats"))

        assert [result["data"]["id"] for result in answer.results] == ["1", "2", "3", "4"]

    def test_two_layers_have_nothing_in_common(self):
        first, second = MemoryLayer("first"), MemoryLayer("second")
        atomic = Atomic(first, second)
        atomic.resource(SAILORS, layer="first")
        atomic.resource(schema("boats"), layer="second")

        answer = post(application(atomic).test_client(), add("sailors"), add("boats"))

        assert [result["data"]["id"] for result in answer.results] == ["1", "1"]

"""What waits for a common flush, what ends the wait, and that neither makes a difference to anything but time.

The layers here tell an id only after a flush; the numbers in `flushes` say how many writes each flush had.
"""

from __future__ import annotations

import pytest
from marshmallow_jsonapi import fields

from flask_atomic import Atomic, Conflict, hookimpl
from flask_atomic.pace import FAST, STRICT
from flask_atomic.resources import Reference
from flask_atomic.steps import Key
from tests.application import add, application, id_, lid, post, relate, remove, schema, to_many, to_one, update
from tests.recording import Deferring, RecordingLayer, Voting

TYPES = {
    # A person shows nobody who refers to it.
    "people": (schema("people", name=fields.Str(), boss=to_one("people")), {"unique": ["name"]}),
    "books": (schema("books", title=fields.Str(), author=to_one("people")), {}),
    # A library shows its cards, and a card its library: either end may be written.
    "libraries": (schema("libraries", cards=to_many("cards")), {"inverse": {"cards": ("cards", "library")}}),
    "cards": (schema("cards", library=to_one("libraries")), {"restrict": []}),
    # A key fits one door, and each shows the other.
    "doors": (schema("doors", key=to_one("keys")), {"inverse": {"key": ("keys", "door")}}),
    "keys": (schema("keys", door=to_one("doors")), {"exclusive": ["door"]}),
    # A shelf has things, and only a thing shows its shelf.
    "shelves": (schema("shelves", things=fields.Relationship(type_="things", many=True)), {}),
    "things": (schema("things", shelf=to_one("shelves")), {"inverse": {"shelf": ("shelves", "things")}}),
    # A part is in one rack at a time.
    "racks": (schema("racks", parts=to_many("parts")), {"exclusive": ["parts"]}),
    "parts": (schema("parts"), {}),
    # Parents cannot be removed before their children.
    "parents": (schema("parents"), {"restrict": [("children", "parent")]}),
    "children": (schema("children", parent=to_one("parents")), {}),
    "nodes": (schema("nodes", parent=to_one("nodes")), {"restrict": [("nodes", "parent")]}),
    # What a total shows is computed.
    "totals": (schema("totals", sum=fields.Function(lambda row: 0)), {}),
    "declared": (schema("declared", sum=fields.Function(lambda row: 0)), {"independent": True}),
    "dependent": (schema("dependent"), {"independent": False}),
    "codes": (schema("codes"), {"client_ids": "allowed"}),
}


class Store:
    """An application with all types in one layer that defers writes."""

    def __init__(self, layer=None, **config):
        self.layer = layer or Deferring("store")
        atomic = Atomic(self.layer)
        for declared, options in TYPES.values():
            atomic.resource(declared, **options)
        self.client = application(atomic, **config).test_client()

    def post(self, *operations):
        self.layer.log.clear()
        return post(self.client, *operations)

    def heard(self, *hooks):
        return [(hook, *facts) for _, hook, *facts in self.layer.log if hook in hooks]

    @property
    def flushes(self):
        """How many writes each flush had."""
        return [writes for _, writes in self.heard("flush")]

    @property
    def rows(self):
        return {key: dict(vars(row)) for key, row in self.layer.rows.items()}


@pytest.fixture
def store():
    return Store()


def both(*operations, seed=()):
    """How many writes each flush of the batched run had; its answer and its rows are those of the strict run."""
    batched, strict = Store(), Store(ATOMIC_BATCH=False)
    for store in (batched, strict):
        assert not seed or post(store.client, *seed).status in (200, 204)
    answer, expected = batched.post(*operations), strict.post(*operations)
    assert answer.response.json == expected.response.json
    assert answer.status == expected.status
    assert batched.rows == strict.rows
    return batched.flushes


ANN, BOB = add("people", lid="a", attributes={"name": "Ann"}), add("people", lid="b", attributes={"name": "Bob"})
ANN_AGAIN = add("people", attributes={"name": "Ann"})
BY_ANN = add("books", {"author": lid("people", "a")})


class TestWaiting:
    """What is written by one flush."""

    @pytest.mark.parametrize(
        "operations",
        [
            [ANN, BOB, add("people")],
            [add("people"), add("books"), add("people")],
            [ANN, BY_ANN, BY_ANN],
            [ANN, BY_ANN, BOB, add("books", {"author": lid("people", "b")})],
            [ANN, BOB, add("people", {"boss": None})],
            [add("libraries"), add("doors"), add("shelves", {"things": []})],
            [add("declared")] * 3,
        ],
    )
    def test_additions(self, operations):
        assert both(*operations) == [len(operations)]

    @pytest.mark.parametrize(
        "operations",
        [
            [update("people", "1", attributes={"name": "C"}), update("people", "2", attributes={"name": "D"})],
            [update("people", "1"), update("books", "3"), update("people", "2")],
            [update("people", "1"), relate("update", id_("people", "2"), "boss", id_("people", "1"))],
            [relate("update", id_("books", "3"), "author", None), update("people", "2")],
        ],
    )
    def test_updates_with_to_one_relationships_among_them(self, operations):
        assert both(*operations, seed=[ANN, BOB, BY_ANN]) == [len(operations)]

    def test_removals_of_one_type(self):
        assert both(remove("books", "2"), remove("books", "3"), seed=[ANN, BY_ANN, BY_ANN]) == [2]

    def test_a_single_operation(self):
        assert both(ANN) == [1]

    def test_linkage_is_asked_for_once_per_relationship(self, store):
        store.post(ANN, BY_ANN, BOB, BY_ANN, add("libraries"))

        assert store.heard("linkage") == [("linkage", "boss", 2), ("linkage", "author", 2), ("linkage", "cards", 1)]


class TestEndOfTheWait:
    """What makes a difference to what waits. Each result shows the resource as its operation left it."""

    def test_another_verb(self):
        assert both(ANN, update("people", "1"), remove("people", "1"), add("people")) == [1, 1, 1, 1]

    def test_the_same_resource(self):
        changes = [update("people", "1", attributes={"name": name}) for name in ("x", "y", "y")]

        assert both(*changes, seed=[ANN]) == [1, 1, 1]

    def test_the_same_resource_by_its_local_id(self):
        """The additions wait together; the update of one of them comes after their flush."""
        assert both(ANN, BOB, update("people", lid="a", attributes={"name": "x"})) == [2, 1]

    def test_a_to_one_relationship_of_the_same_resource(self):
        operations = [update("people", "2"), relate("update", id_("people", "2"), "boss", id_("people", "1"))]

        assert both(*operations, seed=[ANN, BOB]) == [1, 1]

    def test_the_members_of_a_to_many_relationship(self):
        """They are written at once, and what waits before them."""
        members = relate("add", lid("shelves", "s"), "things", [lid("things", "t")])

        assert both(add("shelves", lid="s"), add("things", lid="t"), members, update("shelves", lid="s")) == [2, 1, 1]

    @pytest.mark.parametrize("op", ["add", "update", "remove"])
    def test_nothing_waits_behind_the_members_of_a_to_many_relationship(self, op):
        members = [relate(op, id_("shelves", id), "things", []) for id in ("1", "2")]

        assert both(*members, seed=[add("shelves"), add("shelves")]) == [1, 1]

    @pytest.mark.parametrize("type_", ["totals", "dependent"])
    def test_a_type_that_depends_on_more_than_itself(self, type_):
        assert both(add(type_), add(type_)) == [1, 1]
        assert both(ANN, add(type_), BOB) == [1, 1, 1]

    def test_removals_of_another_type(self):
        seed = [add("parents", lid="p"), add("children", {"parent": lid("parents", "p")})]

        assert both(remove("children", "2"), remove("parents", "1"), seed=seed) == [1, 1]

    def test_removals_of_a_type_that_refers_to_itself(self):
        seed = [add("nodes", lid="n"), add("nodes", {"parent": lid("nodes", "n")})]

        assert both(remove("nodes", "2"), remove("nodes", "1"), seed=seed) == [1, 1]

    def test_a_relationship_whose_other_end_is_shown_as_to_many(self):
        """The library was added without a card, and is shown so."""
        card = add("cards", {"library": lid("libraries", "l")})

        assert both(add("libraries", lid="l"), card, card) == [1, 2]
        assert both(add("libraries", lid="l"), add("cards"), card) == [2, 1]
        assert both(
            update("libraries", "1"),
            relate("update", id_("cards", "2"), "library", id_("libraries", "1")),
            seed=[add("libraries"), add("cards")],
        ) == [1, 1]

    def test_a_relationship_that_is_cleared(self):
        seed = [add("libraries", lid="l"), add("cards", {"library": lid("libraries", "l")})]

        assert both(update("libraries", "1"), update("cards", "2", {"library": None}), seed=seed) == [1, 1]

    def test_an_exclusive_relationship_whose_other_end_is_shown_as_to_one(self):
        assert both(add("doors", lid="d"), add("keys", {"door": lid("doors", "d")})) == [1, 1]

    def test_a_to_many_relationship_whose_other_end_is_shown_as_to_one(self):
        assert both(add("things", lid="t"), add("shelves", {"things": [lid("things", "t")]})) == [1, 1]

    def test_an_exclusive_relationship_that_is_taken_from_what_waits(self):
        """The first key is shown with the door, although the second one has it in the end."""
        key = add("keys", {"door": id_("doors", "1")})

        assert both(key, key, add("keys"), seed=[add("doors")]) == [1, 1, 1]

    def test_a_to_many_relationship_that_is_taken_from_what_waits(self):
        rack = add("racks", {"parts": [id_("parts", "1"), id_("parts", "2")]})

        assert both(rack, rack, seed=[add("parts"), add("parts")]) == [1, 1]

    def test_a_new_resource_that_refers_to_itself(self, store):
        """It is written before it is related to itself, which some stores cannot do at once."""
        store.post(ANN, add("nodes", {"parent": lid("nodes", "n")}, lid="n"))

        assert store.heard("add", "flush", "update") == [
            ("add", "people"),
            ("add", "nodes"),
            ("flush", 2),
            ("update", "nodes", 2),
            ("flush", 1),
        ]

    def test_a_resource_that_is_not_known(self):
        """It may be among what waits: an id that the server is about to make."""
        assert both(ANN, BOB, add("books", {"author": id_("people", "2")})) == [2, 1]

    def test_the_end_of_the_document(self, store):
        store.post(ANN, BOB)

        assert store.heard("add", "flush", "linkage", "commit") == [
            ("add", "people"),
            ("add", "people"),
            ("flush", 2),
            ("linkage", "boss", 2),
            ("commit",),
        ]


class TestReadingTogether:
    def test_what_is_named_by_id_is_read_once_per_type(self, store):
        store.post(ANN, BOB, BY_ANN)

        store.post(
            update("books", "3", {"author": id_("people", "2")}),
            update("people", "1", {"boss": id_("people", "02")}),
            add("books", {"author": id_("people", "1")}),
            relate("update", id_("books", "3"), "author", id_("people", "1")),
            remove("people", "2"),
        )

        assert store.heard("get") == [("get", "books", [3]), ("get", "people", [2, 1])]

    def test_a_strict_run_reads_for_each_operation(self):
        store = Store(ATOMIC_BATCH=False)
        store.post(ANN, BOB)

        store.post(update("people", "1"), update("people", "1", {"boss": id_("people", "2")}))

        assert store.heard("get") == [("get", "people", [1]), ("get", "people", [1]), ("get", "people", [2])]

    def test_it_begins_the_units_in_the_order_of_the_document(self):
        log = []
        layers = [Voting("first", log), Voting("second", log)]
        atomic = Atomic(*layers)
        atomic.resource(schema("doors"), layer="first")
        atomic.resource(schema("keys", door=to_one("doors")), layer="second")
        client = application(atomic).test_client()
        post(client, add("doors"), add("keys"))
        log.clear()

        post(client, add("keys"), update("keys", "1", {"door": id_("doors", "1")}), update("doors", "1"))

        assert [name for name, hook, *_ in log if hook == "begin"] == ["second", "first"]

    def test_a_removal_forgets_what_was_read(self):
        """The store may have removed more than it was asked to."""

        class Cascading(Deferring):
            def store(self, unit, written):
                super().store(unit, written)
                if any(resource.type == "parents" and row.removed for resource, row in written):
                    for key in [key for key in unit.rows if key[0] == "children"]:
                        del unit.rows[key]

        store = Store(Cascading("store"))
        store.post(add("parents"), add("children"))

        assert store.post(remove("parents", "1"), update("children", "2")).errors == [
            (404, "resource-not-found", "/1/data/id")
        ]


class Stubborn(Deferring):
    def hear(self, hook, *facts):
        super().hear(hook, *facts)
        if (hook, *facts) == ("flush", 2):
            raise Conflict("Not together.")


class TestStrictReplay:
    def test_it_finds_the_operation_to_blame(self, store):
        answer = store.post(ANN, BOB, ANN_AGAIN, add("people"))

        assert answer.errors == [(409, "conflict", "/2/data/attributes/name")]
        assert store.heard("begin", "flush", "rollback", "commit") == [
            ("begin",),
            ("flush", 4),
            ("rollback",),
            ("begin",),
            ("flush", 1),
            ("flush", 1),
            ("flush", 1),
            ("rollback",),
        ]
        assert store.rows == {}
        assert store.layer.open == []

    def test_what_succeeds_strictly_is_committed_once(self):
        """A value that is handed over fits in no common flush of this store, but does one after the other."""
        store = Store(Stubborn("store"))
        post(store.client, ANN)
        post(store.client, BOB)

        answer = store.post(
            update("people", "1", attributes={"name": "C"}), update("people", "2", attributes={"name": "Ann"})
        )

        assert [result["data"]["attributes"]["name"] for result in answer.results] == ["C", "Ann"]
        assert store.heard("begin", "rollback", "commit") == [("begin",), ("rollback",), ("begin",), ("commit",)]
        assert [row["name"] for row in store.rows.values()] == ["C", "Ann"]

    @pytest.mark.parametrize(
        ("operations", "seed"),
        [
            ([remove("parents", "1"), remove("children", "2")], "parents"),
            ([remove("nodes", "1"), remove("nodes", "2")], "nodes"),
        ],
    )
    def test_what_fails_strictly_does_not_succeed_batched(self, operations, seed, store):
        child = "children" if seed == "parents" else seed
        store.post(add(seed, lid="p"), add(child, {"parent": lid(seed, "p")}))

        assert store.post(*operations).errors == [(409, "conflict", "/0")]
        assert len(store.rows) == 2

    def test_an_operation_that_fails_alone_is_not_run_again(self, store):
        assert store.post(update("people", "1"), ANN).errors == [(404, "resource-not-found", "/0/data/id")]

        assert store.heard("begin", "rollback") == [("begin",), ("rollback",)]

    def test_nor_is_one_that_finds_nothing_once_the_others_are_written(self, store):
        assert store.post(ANN, add("books", {"author": id_("people", "77")})).errors == [
            (404, "related-resource-not-found", "/1/data/relationships/author/data")
        ]
        assert store.heard("begin", "rollback") == [("begin",), ("rollback",)]
        assert store.rows == {}

    def test_nor_is_one_that_is_refused_when_what_waits_is_written(self, store):
        assert store.post(add("codes", id="7"), add("codes", id="07")).errors == [(409, "id-taken", "/1/data/id")]

        assert store.heard("begin", "flush", "rollback") == [("begin",), ("flush", 1), ("rollback",)]
        assert store.rows == {}

    def test_those_that_wait_may_be_the_first_to_fail(self, store):
        assert store.post(ANN, ANN_AGAIN, add("codes", id="7"), add("codes", id="07")).errors == [
            (409, "conflict", "/1/data/attributes/name")
        ]
        assert len(store.heard("begin")) == 2

    def test_what_was_written_before_is_not_run_strictly(self, store):
        store.post(ANN, BOB)
        names = [update("people", str(number), attributes={"name": "Cid"}) for number in (1, 2)]

        assert store.post(add("people"), add("people"), *names).errors == [(409, "conflict", "/3/data/attributes/name")]
        assert store.flushes == [2, 2, 2, 1, 1]

    def test_of_many_a_few_at_a_time_are_written_first(self, store):
        operations = [add("people", attributes={"name": str(number)}) for number in range(198)]

        assert store.post(*operations, ANN, ANN_AGAIN, *operations).errors == [
            (409, "conflict", "/199/data/attributes/name")
        ]
        assert store.flushes == [398, *[19] * 11, 190, *[1] * 10]


class TestPace:
    def test_it_is_slower_after_each_failure(self):
        pace = FAST
        for first, count, expected in [(0, 10_000, (0, 100)), (300, 100, (300, 10)), (310, 10, (310, 1))]:
            pace = pace.after(first, count)
            assert (pace.start, pace.most) == expected

    def test_after_a_loss_all_is_read_once_and_then_it_is_slower(self):
        pace = FAST.after_loss(0, 10_000)
        assert (pace.start, pace.most, pace.reads_ahead) == (0, FAST.most, True)
        assert pace.after_loss(0, 10_000) == (0, 100, True)

    def test_what_failed_where_nothing_had_failed_is_run_strictly(self):
        assert FAST.after(300, 1000).after(200, 1000) == STRICT

    def test_a_defect_is_found_by_it_too(self, store):
        store.layer.failures["flush"] = ZeroDivisionError()

        assert store.post(ANN, BOB).errors == [(500, "internal-error", None)]
        assert store.flushes == [2, 1]
        assert store.layer.open == []

    def test_a_failure_of_the_commit_is_not_run_again(self, store):
        store.layer.failures["commit"] = Conflict("A reason.")

        assert store.post(ANN, BOB).errors == [(409, "conflict", None)]
        assert store.heard("begin") == [("begin",)]


class DeferringAndVoting(Deferring):
    @hookimpl
    def atomic_prepare(self):
        """Vote for it."""


class Curious(Deferring):
    """Asks for the id of a related resource before it adds its own."""

    @hookimpl(tryfirst=True)
    def atomic_add(self, unit, resource, id, attributes, relationships):
        assert all(related.id for related in relationships.values())
        return super().atomic_add(unit, resource, id, attributes, relationships)


class TestIds:
    """`Reference.id` is found on demand, and flushes only where it must."""

    @pytest.fixture
    def log(self):
        return []

    def client(self, log, own, other, **config):
        atomic = Atomic(own("own", log), other("other", log))
        atomic.resource(schema("ports"), layer="other")
        atomic.resource(schema("boats", port=to_one("ports"), ports=to_many("ports")), layer="own")
        return application(atomic, **config).test_client()

    def test_of_a_resource_of_another_layer(self, log):
        client = self.client(log, Curious, DeferringAndVoting)
        boat = add("boats", {"port": lid("ports", "p")})

        answer = post(client, add("ports", lid="p"), add("ports"), boat, boat)

        assert [result["data"]["relationships"]["port"] for result in answer.results[2:]] == [
            {"data": id_("ports", "1")}
        ] * 2
        assert [call for call in log if call[1] in ("add", "flush")] == [
            ("other", "add", "ports"),
            ("other", "add", "ports"),
            ("other", "flush", 2),
            ("own", "add", "boats"),
            ("own", "add", "boats"),
            ("other", "flush", 0),
            ("own", "flush", 2),
        ]

    def test_of_a_resource_of_the_same_layer_no_flush_is_needed(self, store):
        store.post(ANN, BY_ANN)

        assert store.heard("add", "flush") == [("add", "people"), ("add", "books"), ("flush", 2)]

    def test_a_layer_that_knows_the_id_at_once_is_asked_once(self, log):
        client = self.client(log, Voting, RecordingLayer)

        post(client, add("ports", lid="p"), *[add("boats", {"port": lid("ports", "p")})] * 5)

        assert log.count(("other", "identify", "ports")) == 1


def test_a_layer_without_a_flush_writes_and_shows_at_once():
    log = []
    store = Store(RecordingLayer("store", log))

    store.post(ANN, BOB)

    assert store.heard("add", "linkage") == [("add", "people"), ("linkage", "boss", 1)] * 2


def test_without_batching_every_operation_is_flushed():
    store = Store(ATOMIC_BATCH=False)

    store.post(ANN, BY_ANN, BOB)

    assert store.flushes == [1, 1, 1]
    assert store.heard("linkage") == [("linkage", "boss", 1), ("linkage", "author", 1), ("linkage", "boss", 1)]


class TestCosts:
    """How the number of calls and comparisons grows, since time cannot be tested."""

    @pytest.fixture
    def compared(self, monkeypatch):
        """A function that tells how often keys and references are compared while operations are performed."""
        comparisons = []

        def compare(self, other):
            comparisons.append(self)
            return tuple.__eq__(self, other) if isinstance(self, Key) else self is other

        def compared(operations):
            monkeypatch.setattr(Key, "__eq__", compare)
            monkeypatch.setattr(Reference, "__eq__", compare)
            comparisons.clear()
            assert Store().post(*operations).status == 200
            return len(comparisons)

        monkeypatch.setattr(Key, "__hash__", tuple.__hash__)
        monkeypatch.setattr(Reference, "__hash__", object.__hash__)
        return compared

    @staticmethod
    def apart(n):
        return [add("people", lid=str(number)) for number in range(n)]

    @staticmethod
    def pairs(n):
        return [
            operation
            for name in map(str, range(n))
            for operation in (add("people", lid=name), add("books", {"author": lid("people", name)}, lid=name))
        ]

    @staticmethod
    def one_with_many(n):
        return [add("people", lid="a"), *(add("books", {"author": lid("people", "a")}) for _ in range(n))]

    @staticmethod
    def updates(n):
        additions = [add("people", lid=str(number)) for number in range(n)]
        return [*additions, *(update("people", lid=str(number), attributes={}) for number in range(n))]

    @pytest.mark.parametrize("operations", ["apart", "pairs", "one_with_many", "updates"])
    def test_local_ids_are_not_searched_for(self, compared, operations):
        few, many = (compared(getattr(self, operations)(n)) for n in (25, 100))

        assert many <= 4 * few + 10

    @pytest.mark.parametrize("operations", ["apart", "pairs", "one_with_many", "updates"])
    def test_hooks_are_called_in_proportion_to_the_operations(self, operations):
        store = Store()
        calls = []
        for n in (25, 100):
            assert store.post(*getattr(self, operations)(n)).status == 200
            calls.append(len(store.layer.log))

        assert calls[1] <= 4 * calls[0]

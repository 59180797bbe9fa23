"""What planning finds is told in one answer, before anything is begun; limits, permissions and refusals among it."""

from __future__ import annotations

import pytest
from marshmallow_jsonapi import fields

from flask_atomic import Atomic, Conflict, MemoryLayer, NotFound, Refused, Transient, Unprocessable, hookimpl
from tests.application import (
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
    to_many,
    to_one,
    update,
)


class Spy:
    """Counts the units of work that are begun."""

    def __init__(self):
        self.begun = 0

    @hookimpl(wrapper=True)
    def atomic_begin(self):
        self.begun += 1
        return (yield)


TAG = id_("tags", "x")


class TestOneAnswer:
    @pytest.fixture
    def spy(self):
        return Spy()

    @pytest.fixture
    def client(self, spy):
        client = seeded(spy).client
        spy.begun = 0
        return client

    def test_all_malformed_operations_are_told_and_nothing_else(self, client, spy):
        """Statements A22 to A24."""
        answer = post(
            client,
            {"op": "create"},
            update("nothing", "1"),
            {"op": "update"},
            remove("people", "1"),
            {"op": "remove", "ref": {"type": "people"}},
            None,
        )

        assert answer.errors == [
            (400, "invalid-operation", "/0/op"),
            (400, "invalid-operation", "/2"),
            (400, "invalid-operation", "/4/ref"),
            (400, "invalid-operation", "/5"),
        ]
        assert spy.begun == 0

    def test_everything_that_planning_finds_is_told(self, client, spy):
        """Statement B104: 400 for a mix."""
        answer = post(
            client,
            add("nothing"),
            add("people", attributes={"name": "fine"}),
            add("articles", {"author": lid("people", "a")}, attributes={"wordCount": "x"}),
            {"op": "remove", "href": "nowhere"},
            add("people", id="1", attributes={"name": ""}),
            update(
                "people", "1", {"friends": [id_("tags", "x"), id_("people", "b")], "foes": []}, attributes={"age": 1}
            ),
            relate("remove", id_("articles", "3"), "author", None),
            {**update("people", "1"), "ref": id_("people", "2")},
        )

        assert answer.errors == [
            (404, "unknown-type", "/0/data/type"),
            (400, "undeclared-lid", "/2/data/relationships/author/data/lid"),
            (422, "invalid-attribute", "/2/data/attributes"),
            (422, "invalid-attribute", "/2/data/attributes/wordCount"),
            (404, "unknown-href", "/3/href"),
            (403, "client-id-forbidden", "/4/data/id"),
            (409, "type-mismatch", "/5/data/relationships/friends/data/0/type"),
            (404, "related-resource-not-found", "/5/data/relationships/friends/data/1"),
            (422, "invalid-relationship", "/5/data/relationships/foes"),
            (422, "invalid-attribute", "/5/data/attributes/age"),
            (403, "operation-not-supported", "/6/op"),
            (409, "target-mismatch", "/7/data/id"),
        ]
        assert answer.status == 400
        assert spy.begun == 0

    @pytest.mark.parametrize(
        ("operations", "status"),
        [
            ([add("nothing"), remove("nobody", "1")], 404),
            ([add("people"), add("people", attributes={"name": 1})], 422),
            ([add("nothing"), add("people")], 400),
        ],
    )
    def test_the_status_is_that_of_the_errors_if_they_agree(self, client, operations, status):
        answer = post(client, *operations)

        assert len(answer.errors) == 2
        assert answer.status == status

    def test_what_the_store_must_tell_comes_last(self, client):
        """While operations are performed, only the first one that fails is told, with all that is wrong with it."""
        answer = post(
            client,
            update("people", "1"),
            update("people", "8", {"friends": [id_("people", "9")]}),
            update("articles", "3", {"author": id_("people", "9"), "tags": [id_("tags", "q"), id_("tags", "r")]}),
        )
        assert answer.errors == [(404, "resource-not-found", "/1/data/id")]

        linkage = {"author": id_("people", "9"), "tags": [id_("tags", "x"), id_("tags", "q"), id_("tags", "r")]}
        assert post(client, update("articles", "3", linkage), update("people", "8")).errors == [
            (404, "related-resource-not-found", "/0/data/relationships/author/data"),
            (404, "related-resource-not-found", "/0/data/relationships/tags/data/1"),
            (404, "related-resource-not-found", "/0/data/relationships/tags/data/2"),
        ]

    def test_texts_of_the_client_are_not_repeated_without_end(self, client):
        name = "x" * 5000
        operations = [add(name), update("people", name), relate("update", id_("people", "1"), name, None)]

        answer = post(client, *operations)

        assert len(answer.errors) == 3
        assert all(len(error["detail"]) < 200 for error in answer.error_objects)


class TestLimits:
    @pytest.mark.parametrize(("limit", "told"), [(1, 1), (3, 3), (4, 4), (5, 4)])
    def test_so_many_errors_are_told(self, limit, told):
        answer = post(seeded(ATOMIC_MAX_ERRORS=limit).client, *[add("nothing")] * 4)

        assert answer.errors == [(404, "unknown-type", f"/{index}/data/type") for index in range(told)]

    def test_a_hundred_errors_are_told_by_default(self):
        assert len(post(seeded().client, *[add("nothing")] * 101).errors) == 100

    def test_the_status_is_that_of_all_errors(self):
        answer = post(seeded(ATOMIC_MAX_ERRORS=1).client, add("nothing"), add("people"))

        assert answer.response.status_code == 400
        assert [error["status"] for error in answer.response.json["errors"]] == ["404"]

    def test_so_many_operations_are_accepted(self):
        client = seeded(ATOMIC_MAX_OPERATIONS=8).client
        too_many = [add("people", attributes={"name": "N"})] * 9

        assert len(post(client, *too_many[:8]).results) == 8
        assert post(client, *too_many).errors == [(422, "too-many-operations", "/atomic:operations")]
        assert post(client, *[None] * 9).errors == [(422, "too-many-operations", "/atomic:operations")]

    @pytest.mark.parametrize(("config", "status"), [({}, 422), ({"ATOMIC_MAX_OPERATIONS": None}, 404)])
    def test_a_thousand_operations_are_accepted_by_default(self, config, status):
        client = seeded(**config).client

        assert post(client, *[add("nothing")] * 1000).status == 404
        assert post(client, *[add("nothing")] * 1001).status == status


NOT_SUPPORTED = "operation-not-supported"


def permitting(operations, layer=None, *plugins):
    """A client of an application with boats 1 and 2, on which nothing but `operations` is permitted."""
    layer = layer or MemoryLayer()
    free, bound = Atomic(layer, name="free", path="/free"), Atomic(layer, *plugins)
    for atomic in (free, bound):
        declared = schema(
            "boats", name=fields.Str(), tender=to_one("boats"), crew=to_many("boats"), fleet=to_many("boats")
        )
        atomic.resource(declared, operations=operations if atomic is bound else None)
    flask = application(bound)
    flask.register_blueprint(free.blueprint)
    client = flask.test_client()
    assert len(post(client, add("boats"), add("boats"), path="/free").results) == 2
    return client


BOAT = id_("boats", "1")
ADD, UPDATE, REMOVE = add("boats"), update("boats", "1", attributes={"name": "N"}), remove("boats", "2")
SET_TENDER = relate("update", BOAT, "tender", None)
SET_CREW = relate("update", BOAT, "crew", [])
ADD_CREW = relate("add", BOAT, "crew", [BOAT])
REMOVE_CREW = relate("remove", BOAT, "crew", [BOAT])
ADD_FLEET = relate("add", BOAT, "fleet", [BOAT])
ALL = [ADD, UPDATE, SET_TENDER, SET_CREW, ADD_CREW, REMOVE_CREW, ADD_FLEET, REMOVE]


class Log:
    """A data layer to which resources can only be added."""

    def __init__(self):
        memory = MemoryLayer()
        hooks = ("exclusive", "begin", "prepare", "commit", "rollback", "parse_id", "get", "identify", "linkage", "add")
        for hook in hooks:
            setattr(self, f"atomic_{hook}", getattr(memory, f"atomic_{hook}"))

    @hookimpl
    def atomic_claim(self):
        return self


class TestPermittedOperations:
    """Statements B65, B74, B85, B96 and B99."""

    @pytest.mark.parametrize(
        ("operations", "permitted"),
        [
            (None, ALL),
            ((), []),
            ({"add"}, [ADD]),
            (["remove", "add"], [ADD, REMOVE]),
            ({"update"}, [UPDATE, SET_TENDER, SET_CREW, ADD_CREW, REMOVE_CREW, ADD_FLEET]),
            ({"update", "crew.add"}, [UPDATE, SET_TENDER, ADD_CREW, ADD_FLEET]),
            ({"crew.add", "crew.remove"}, [ADD_CREW, REMOVE_CREW]),
            ({"tender.update", "crew.update"}, [SET_TENDER, SET_CREW]),
        ],
    )
    def test_others_are_refused(self, operations, permitted):
        client = permitting(operations)

        answered = [post(client, operation) for operation in ALL]

        for operation, answer in zip(ALL, answered, strict=True):
            if operation in permitted:
                assert answer.status in (200, 204)
            else:
                assert answer.errors == [(403, NOT_SUPPORTED, "/0/op")]

    def test_an_update_with_relationships_needs_the_permission_for_each(self):
        """Statement B83: the whole update is refused."""
        client = permitting({"update", "crew.add", "tender.update", "fleet.remove"})
        linkage = {"tender": BOAT, "crew": [], "fleet": []}

        assert post(client, update("boats", "1", linkage, attributes={"age": 1})).errors == [
            (403, NOT_SUPPORTED, "/0/data/relationships/crew"),
            (403, NOT_SUPPORTED, "/0/data/relationships/fleet"),
            (422, "invalid-attribute", "/0/data/attributes/age"),
        ]
        assert post(client, update("boats", "1", {"tender": BOAT})).status == 200

    def test_an_addition_with_relationships_needs_none_but_its_own(self):
        client = permitting({"add"})

        assert post(client, add("boats", {"crew": [BOAT], "tender": BOAT})).status == 200

    def test_a_layer_without_a_hook_does_not_support_its_operation(self):
        client = permitting(None, Log())

        for operation in ALL:
            answer = post(client, operation)
            if operation is ADD:
                assert answer.status == 200
            else:
                assert answer.errors == [(403, NOT_SUPPORTED, "/0/op")]

        itself = add("boats", {"tender": lid("boats", "a")}, lid="a")
        assert post(client, itself).errors == [(403, NOT_SUPPORTED, "/0/data/relationships")]


class Guard:
    """Refuses what its table says, and notes what it was asked."""

    def __init__(self, **refusals):
        self.refusals = refusals
        self.asked = []

    @hookimpl
    def atomic_authorize(self, operation, resource):
        self.asked.append((operation.index, operation.op, resource.type))
        if refusal := self.refusals.get(operation.meta.get("refuse")):
            raise refusal


ARTICLE = id_("articles", "3")
COUNT = {"wordCount": 1}


def marked(operation, refuse):
    return {**operation, "meta": {"refuse": refuse}}


class TestAuthorization:
    def test_refusals_are_told_together_before_anything_is_begun(self):
        spy, guard = Spy(), Guard(it=Refused("Not you."))
        made = seeded(spy, guard)
        before = stored(made.layer)
        spy.begun, guard.asked = 0, []

        answer = post(
            made.client,
            marked(add("people", attributes={"name": "A"}), "it"),
            update("people", "1"),
            marked(relate("add", id_("articles", "3"), "editors", []), "it"),
            add("nothing"),
        )

        assert answer.errors == [
            (403, "operation-refused", "/0"),
            (403, "operation-refused", "/2"),
            (404, "unknown-type", "/3/data/type"),
        ]
        assert answer.error_objects[0]["detail"] == "Not you."
        assert guard.asked == [(0, "add", "people"), (1, "update", "people"), (2, "add", "articles")]
        assert spy.begun == 0
        assert stored(made.layer) == before

    @pytest.mark.parametrize(
        ("operation", "without_refusal"),
        [
            (add("people", attributes={"nickname": "A"}), 422),
            (add("people", id="7", attributes={"name": "A"}), 403),
            (update("people", "1", {"enemies": []}), 422),
            (update("people", "none", attributes={"name": ""}), 404),
            (remove("people", "none"), 404),
            ({"op": "remove", "ref": lid("people", "nobody")}, 400),
            (relate("add", id_("people", "none"), "friends", [id_("tags", "x")]), 404),
            (relate("add", ARTICLE, "author", []), 403),
            (relate("update", ARTICLE, "firstReader", None), 403),
        ],
    )
    def test_who_is_refused_hears_nothing_else_of_the_operation(self, operation, without_refusal):
        guard = Guard(it=Refused("Not you."))
        client = seeded(guard).client
        assert post(client, operation).status == without_refusal
        guard.asked.clear()

        answer = post(client, marked(operation, "it"), marked(add("tags", attributes={"label": 1}), "it"))

        assert answer.errors == [(403, "operation-refused", "/0"), (403, "operation-refused", "/1")]
        assert [index for index, _, _ in guard.asked] == [0, 1]

    def test_refusals_stand_beside_what_the_type_does_not_permit(self):
        guard = Guard(it=Refused("Not you."))
        client = permitting({"add"}, None, guard)

        answer = post(client, marked(ADD, "it"), UPDATE, marked(UPDATE, "it"))

        assert answer.status == 403
        assert answer.errors == [
            (403, "operation-refused", "/0"),
            (403, NOT_SUPPORTED, "/1/op"),
            (403, "operation-refused", "/2"),
        ]

    def test_the_local_id_of_a_refused_addition_is_declared_nevertheless(self):
        client = seeded(Guard(it=Refused("Not you."))).client

        answer = post(
            client,
            marked(add("people", lid="a", attributes={"name": "A"}), "it"),
            add("articles", {"author": lid("people", "a")}, attributes={"title": "T"}),
        )

        assert answer.errors == [(403, "operation-refused", "/0")]

    def test_a_type_or_relationship_that_is_not_there_asks_nobody(self):
        guard = Guard()
        client = seeded(guard).client
        guard.asked.clear()

        answer = post(client, add("nothing"), relate("add", ARTICLE, "nothing", []))

        assert answer.errors == [
            (404, "unknown-type", "/0/data/type"),
            (404, "unknown-relationship", "/1/ref/relationship"),
        ]
        assert guard.asked == []

    def test_it_is_asked_once_even_if_the_plan_is_run_twice(self):
        guard = Guard()
        made = seeded(guard)
        guard.asked.clear()

        post(made.client, *[add("tags", id="x")] * 2)

        assert guard.asked == [(0, "add", "tags"), (1, "add", "tags")]

    @pytest.mark.parametrize(
        ("operation", "blamed", "pointer"),
        [
            (update("people", "1", attributes={"name": "A"}), {"attribute": "name"}, "/0/data/attributes/name"),
            (update("articles", "3", attributes=COUNT), {"attribute": "word_count"}, "/0/data/attributes/wordCount"),
            (update("articles", "3", {"editors": []}), {"relationship": "edited_by"}, "/0/data/relationships/editors"),
            (relate("update", ARTICLE, "editors", []), {"relationship": "edited_by"}, "/0/data"),
        ],
    )
    def test_a_refusal_may_blame_a_member(self, operation, blamed, pointer):
        client = seeded(Guard(it=Refused("No.", **blamed))).client

        assert post(client, marked(operation, "it")).errors == [(403, "operation-refused", pointer)]

    @pytest.mark.parametrize(
        ("operation", "blamed"),
        [
            (update("people", "1"), {"attribute": "name"}),
            (remove("articles", "3"), {"attribute": "title"}),
            (update("articles", "3"), {"attribute": "no", "relationship": "neither"}),
            (update("articles", "3"), {"relationship": "author"}),
            (relate("update", ARTICLE, "editors", []), {"relationship": "author"}),
        ],
    )
    def test_one_that_blames_what_was_not_sent_is_told_at_the_operation(self, operation, blamed):
        client = seeded(Guard(it=Refused("No.", **blamed))).client

        assert post(client, marked(operation, "it")).errors == [(403, "operation-refused", "/0")]

    def test_all_plugins_are_asked(self):
        class Other(Guard):
            name = "other"

        client = seeded(Guard(one=Refused("One.")), Other(two=Refused("Two."))).client

        answer = post(client, marked(update("people", "1"), "one"), marked(update("people", "1"), "two"))

        assert [error["detail"] for error in answer.error_objects] == ["One.", "Two."]

    def test_a_failure_that_passes_is_told_alone(self):
        """The service that was asked does not answer: nothing is known of what it would say."""
        client = seeded(Guard(it=Refused("No."), that=Transient("Busy."))).client

        answer = post(
            client, add("nothing"), marked(update("people", "1"), "it"), marked(remove("people", "1"), "that")
        )

        assert answer.errors == [(503, "unavailable", None)]
        assert answer.response.headers["Retry-After"] == "1"

    def test_a_defect_is_not_taken_for_a_refusal(self):
        made = seeded(Guard(it=ZeroDivisionError("secret")))

        answer = post(made.client, marked(remove("people", "1"), "it"))

        assert answer.errors == [(500, "internal-error", None)]
        assert "secret" not in answer.response.text


class Ward:
    """A policy on rows: wraps the hooks of operations, inside the transaction."""

    def __init__(self, failure):
        self.failure = failure

    @hookimpl(wrapper=True)
    def atomic_update(self, entity):
        if entity.name == "Bob":
            raise self.failure
        return (yield)

    @hookimpl(wrapper=True)
    def atomic_set_relationship(self):
        yield
        raise self.failure


@pytest.mark.parametrize("batch", [True, False])
class TestRefusalsInsideTheTransaction:
    @pytest.mark.parametrize(
        ("failure", "error"),
        [
            (Refused("."), (403, "operation-refused", "/1")),
            (NotFound("."), (404, "resource-not-found", "/1")),
            (Conflict("."), (409, "conflict", "/1")),
            (Conflict(".", attribute="name"), (409, "conflict", "/1/data/attributes/name")),
            (Unprocessable("."), (422, "invalid-resource", "/1")),
            (Unprocessable(".", attribute="name"), (422, "invalid-attribute", "/1/data/attributes/name")),
            (
                Unprocessable(".", relationship="friends"),
                (422, "invalid-relationship", "/1/data/relationships/friends"),
            ),
            (Transient("."), (503, "unavailable", None)),
        ],
    )
    def test_they_undo_everything(self, batch, failure, error):
        made = seeded(ATOMIC_BATCH=batch)
        guarded = Atomic(made.layer, Ward(failure), name="guarded")
        guarded.resource(schema("people", name=fields.Str(), friends=to_many("people")))
        client = application(guarded, ATOMIC_BATCH=batch, ATOMIC_RETRIES=0).test_client()
        before = stored(made.layer)

        answer = post(
            client,
            update("people", "1", attributes={"name": "Eve"}),
            update("people", "2", {"friends": []}, attributes={"name": "B"}),
        )

        assert answer.errors == [error]
        assert answer.response.headers.get("Retry-After") == ("1" if error[0] == 503 else None)
        assert stored(made.layer) == before

    def test_one_that_blames_the_relationship_of_the_operation(self, batch):
        client = seeded(Ward(Unprocessable(".", relationship="author")), ATOMIC_BATCH=batch).client

        answer = post(client, update("articles", "3"), relate("update", id_("articles", "3"), "author", None))

        assert answer.errors == [(422, "invalid-relationship", "/1/data")]


class TestSchemasThatRefuse:
    def test_an_operation_failure_of_a_schema_is_told_at_the_operation(self):
        def refuse(_: str) -> None:
            raise Refused("Not on Sundays.")

        atomic = Atomic(MemoryLayer())
        atomic.resource(schema("notes", text=fields.Str(validate=refuse)))
        client = application(atomic).test_client()
        answer = post(client, add("notes"), add("notes", attributes={"text": "a"}))

        assert answer.errors == [(403, "operation-refused", "/1")]

    def test_a_failure_that_will_pass(self):
        def fail(_: str) -> None:
            raise Transient("The dictionary is being updated.")

        atomic = Atomic(MemoryLayer())
        atomic.resource(schema("notes", text=fields.Str(validate=fail)))
        answer = post(application(atomic).test_client(), add("notes", attributes={"text": "a"}))

        assert answer.errors == [(503, "unavailable", None)]
        assert answer.response.headers["Retry-After"] == "1"


class TestRemovalsThatTheStoreRefuses:
    def test_no_value_is_to_blame_where_none_was_sent(self):
        class Refuses:
            @hookimpl(wrapper=True)
            def atomic_remove(self):
                yield
                raise Unprocessable("A value is required.", attribute="title")

        (error,) = post(seeded(Refuses()).client, remove("articles", "3")).error_objects

        assert (error["status"], error["code"]) == ("409", "conflict")
        assert error["source"] == {"pointer": "/atomic:operations/0"}

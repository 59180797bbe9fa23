"""`flask_atomic.testing` for authors of applications: documents, the client, answers, and the fixtures of pytest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, abort, request, session

from flask_atomic import Atomic, ConfigurationError, MemoryLayer, Refused, hookimpl
from flask_atomic.testing import Answer, AtomicClient, Document, identifier, in_memory
from tests.application import CONTENT_TYPE, application, declare, id_, lid, relate, remove, schema, update
from tests.application import add as add_operation

pytest_plugins = ["pytester"]

CODE = Path(__file__).parents[1] / "docs" / "code"


# --------------------------------------------------------------------------------------------------------- documents


def only_operation(document: Document) -> dict[str, Any]:
    [operation] = document.to_json()["atomic:operations"]
    return operation  # type: ignore[no-any-return]


X, Y, ARTICLE = identifier("tags", "x"), identifier("tags", lid="y"), identifier("articles", "3")


@pytest.mark.parametrize(
    ("document", "operation"),
    [
        (Document().add("tags"), add_operation("tags")),
        (Document().add("tags", id="x", lid="l"), add_operation("tags", id="x", lid="l")),
        (
            Document().add("articles", attributes={"title": "A"}, relationships={"author": None, "tags": [X, Y]}),
            add_operation("articles", attributes={"title": "A"}, relationships={"author": None, "tags": [X, Y]}),
        ),
        (Document().add("tags", href="/tags"), {"op": "add", "href": "/tags", "data": {"type": "tags"}}),
        (Document().add("tags", meta={"m": 1}), {"op": "add", "data": {"type": "tags"}, "meta": {"m": 1}}),
        (Document().update(ARTICLE), update("articles", "3")),
        (
            Document().update(Y, attributes={"label": "Y"}, href="/tags/y", meta={}),
            {**update("tags", lid="y", attributes={"label": "Y"}), "href": "/tags/y", "meta": {}},
        ),
        (
            Document().update(ARTICLE, relationships={"author": identifier("people", "1")}),
            update("articles", "3", relationships={"author": id_("people", "1")}),
        ),
        (Document().remove(ARTICLE), remove("articles", "3")),
        (Document().remove(Y, meta={"m": 1}), {"op": "remove", "ref": lid("tags", "y"), "meta": {"m": 1}}),
        (Document().remove("/articles/3"), {"op": "remove", "href": "/articles/3"}),
        (Document().add_to_relationship(ARTICLE, "tags", [X]), relate("add", ARTICLE, "tags", [X])),
        (Document().set_relationship(ARTICLE, "author", None), relate("update", ARTICLE, "author", None)),
        (Document().set_relationship(ARTICLE, "tags", ()), relate("update", ARTICLE, "tags", [])),
        (Document().remove_from_relationship(ARTICLE, "tags", [X]), relate("remove", ARTICLE, "tags", [X])),
        (
            Document().set_relationship("/articles/3", "a b", X, meta={"m": 1}),
            {"op": "update", "href": "/articles/3/relationships/a%20b", "data": X, "meta": {"m": 1}},
        ),
        (Document().operation({"op": "burn"}), {"op": "burn"}),
    ],
)
def test_a_method_makes_the_operation_object(document: Document, operation: dict[str, Any]) -> None:
    assert only_operation(document) == operation


def test_a_resource_of_a_result_is_an_identifier() -> None:
    resource = {"type": "tags", "id": "x", "attributes": {"label": "X"}, "links": {"self": "/tags/x"}}
    assert only_operation(Document().update(resource)) == update("tags", "x")
    assert only_operation(Document().set_relationship(ARTICLE, "tags", [resource]))["data"] == [X]


def test_operations_keep_their_order_and_a_document_never_changes() -> None:
    empty = Document()
    attributes = {"options": {"a": 1}}
    one = empty.add("articles", attributes=attributes)
    two = one.remove(ARTICLE)
    attributes["options"]["a"] = 2
    one.to_json()["atomic:operations"].clear()
    one.to_json()["atomic:operations"][0]["data"].clear()
    assert [len(document.operations) for document in (empty, one, two)] == [0, 1, 2]
    assert two.to_json()["atomic:operations"] == [
        add_operation("articles", attributes={"options": {"a": 1}}),
        remove("articles", "3"),
    ]


def test_a_document_is_performed_without_http() -> None:
    atomic = Atomic(MemoryLayer())
    declare(atomic)
    with application(atomic).app_context():
        [result] = atomic.perform(Document().add("people", attributes={"name": "Ann"}).to_json())
    assert result["data"]["id"] == "1"


# ---------------------------------------------------------------------------------------------------------- in memory


class Guard:
    """Lets nobody remove anything."""

    @hookimpl
    def atomic_authorize(self, operation: Any) -> None:
        if operation.op == "remove":
            raise Refused("Everything is kept.")


class Unreachable(MemoryLayer):
    """A data layer whose store cannot be reached."""

    @hookimpl
    def atomic_begin(self) -> Any:
        raise AssertionError("The store of the application was asked.")


@pytest.fixture
def atomic() -> Atomic:
    made = Atomic(Unreachable(), Guard(), path="/batch", name="declared")
    declare(made)
    return made


@pytest.fixture
def atomic_client(atomic: Atomic) -> AtomicClient:
    return AtomicClient(in_memory(atomic))


ANN = Document().add("people", lid="ann", attributes={"name": "Ann"})


def test_the_resource_types_of_an_atomic_are_kept_in_memory(atomic_client: AtomicClient) -> None:
    assert atomic_client.path == "/batch"
    [ann] = atomic_client.send(ANN).resources
    [read] = atomic_client.send(Document().update(ann)).resources
    assert read == ann


def test_each_memory_is_its_own(atomic: Atomic, atomic_client: AtomicClient) -> None:
    [ann] = atomic_client.send(ANN).resources
    AtomicClient(in_memory(atomic)).send(Document().update(ann)).assert_error("resource-not-found")


def test_plugins_that_are_no_layers_work_in_memory(atomic_client: AtomicClient) -> None:
    [ann] = atomic_client.send(ANN).resources
    error = atomic_client.send(Document().remove(ann)).assert_error(status=403)
    assert error.detail == "Everything is kept."


def test_the_configuration_is_that_of_the_new_application(atomic: Atomic) -> None:
    client = AtomicClient(in_memory(atomic, ATOMIC_MAX_OPERATIONS=1))
    client.send(ANN.add("tags", id="x")).assert_error("too-many-operations")


def test_other_layers_need_not_have_the_names_that_were_asked_for() -> None:
    atomic = Atomic(Unreachable("other"), MemoryLayer())
    atomic.resource(schema("things"), layer="other")
    assert AtomicClient(in_memory(atomic)).send(Document().add("things")).resources == [{"type": "things", "id": "1"}]


def test_the_original_is_as_it_was(atomic: Atomic) -> None:
    atomic.with_layers(MemoryLayer()).resource(schema("things"))
    served = application(atomic)
    assert AtomicClient(served).send(ANN).status == 500
    AtomicClient(served).send(Document().add("things")).assert_error("unknown-type")


def test_decorators_stay() -> None:
    def closed(view: Any) -> Any:
        return lambda **values: abort(401)

    atomic = Atomic(MemoryLayer(), decorators=iter([closed]))
    declare(atomic)
    assert AtomicClient(in_memory(atomic)).send(ANN).status == 401


# ------------------------------------------------------------------------------------------------------------- client


def test_the_path_is_found_if_there_is_one_endpoint(atomic: Atomic) -> None:
    served = application(atomic.with_layers(MemoryLayer()), url_prefix="/api")
    assert AtomicClient(served).path == "/api/batch"
    served.register_blueprint(Atomic(MemoryLayer(), name="other").blueprint)
    with pytest.raises(ConfigurationError, match="2 endpoints"):
        AtomicClient(served)
    assert AtomicClient(served, "/api/batch").send(ANN).status == 200
    with pytest.raises(ConfigurationError, match="0 endpoints"):
        AtomicClient(Flask("empty"))


def test_a_test_client_of_the_application_is_used_as_it_is(atomic: Atomic) -> None:
    served = in_memory(atomic, SECRET_KEY="secret")
    seen = []

    @served.before_request
    def look() -> None:
        seen.append((session.get("user"), request.headers["X-Trace"], request.content_type))

    http = served.test_client()
    with http.session_transaction() as logged_in:
        logged_in["user"] = "ann"
    assert AtomicClient(http).send(ANN, headers={"X-Trace": "7"}).status == 200
    assert seen == [("ann", "7", CONTENT_TYPE)]


# ------------------------------------------------------------------------------------------------------------ answers


def test_there_is_a_result_for_each_operation(atomic_client: AtomicClient) -> None:
    answer = atomic_client.send(ANN.set_relationship(identifier("people", lid="ann"), "friends", []))
    person, nothing = answer.results
    assert (person["data"]["id"], nothing, answer.errors) == ("1", {}, [])
    assert answer.resources == [person["data"], None]
    assert str(answer) == "The answer is 200 OK."


def test_an_answer_without_a_document_has_empty_results(atomic_client: AtomicClient) -> None:
    [ann] = atomic_client.send(ANN).resources
    answer = atomic_client.send(Document().set_relationship(ann, "friends", [ann]).set_relationship(ann, "friends", []))
    assert (answer.status, answer.results, answer.resources) == (204, [{}, {}], [None, None])


def refused(client: AtomicClient) -> Answer:
    return client.send(
        ANN.add("articles", attributes={"title": 7, "wordCount": "many"}).remove(identifier("burgers", "1"))
    )


MESSAGE = """The answer is 400 BAD REQUEST:
  422 invalid-attribute at /atomic:operations/1/data/attributes/title (7): Not a valid string.
  422 invalid-attribute at /atomic:operations/1/data/attributes/wordCount ("many"): Not a valid integer.
  404 unknown-type at /atomic:operations/2/ref/type ("burgers"): The type 'burgers' is not served here."""


def test_results_that_are_not_there_fail_with_the_errors(atomic_client: AtomicClient) -> None:
    answer = refused(atomic_client)
    for name in ("results", "resources"):
        with pytest.raises(AssertionError) as failure:
            getattr(answer, name)
        assert str(failure.value) == f"There are no results. {MESSAGE}"


def test_a_success_is_asserted(atomic_client: AtomicClient) -> None:
    atomic_client.send(ANN).assert_success()
    with pytest.raises(AssertionError) as failure:
        refused(atomic_client).assert_success()
    assert str(failure.value) == f"There are no results. {MESSAGE}"


def test_errors_are_objects(atomic_client: AtomicClient) -> None:
    errors = refused(atomic_client).errors
    assert [(error.status, error.code, error.pointer) for error in errors] == [
        (422, "invalid-attribute", "/atomic:operations/1/data/attributes/title"),
        (422, "invalid-attribute", "/atomic:operations/1/data/attributes/wordCount"),
        (404, "unknown-type", "/atomic:operations/2/ref/type"),
    ]


@pytest.mark.parametrize(
    ("expected", "index"),
    [
        ({}, 0),
        ({"code": "invalid-attribute"}, 0),
        ({"pointer": "/atomic:operations/1/data/attributes/wordCount"}, 1),
        ({"code": "invalid-attribute", "pointer": "/atomic:operations/1/data/attributes/wordCount", "status": 422}, 1),
        ({"status": 404}, 2),
    ],
)
def test_the_error_that_is_expected_is_returned(
    atomic_client: AtomicClient, expected: dict[str, Any], index: int
) -> None:
    answer = refused(atomic_client)
    assert answer.assert_error(**expected) == answer.errors[index]


@pytest.mark.parametrize(
    ("expected", "described"),
    [
        ({"code": "conflict"}, "code 'conflict'"),
        ({"code": "unknown-type", "status": 400}, "code 'unknown-type', status 400"),
        ({"pointer": "/atomic:operations/1"}, "pointer '/atomic:operations/1'"),
    ],
)
def test_an_error_that_is_not_there_fails_with_those_that_are(
    atomic_client: AtomicClient, expected: dict[str, Any], described: str
) -> None:
    with pytest.raises(AssertionError) as failure:
        refused(atomic_client).assert_error(**expected)
    assert str(failure.value) == f"There is no error with {described}. {MESSAGE}"


def test_a_success_has_no_error(atomic_client: AtomicClient) -> None:
    with pytest.raises(AssertionError, match=r"^There is no error\. The answer is 200 OK\.$"):
        atomic_client.send(ANN).assert_error()


def test_the_value_that_an_error_is_about_is_looked_up(atomic_client: AtomicClient) -> None:
    answer = atomic_client.send(Document().add("articles", attributes={"title": 7, "options": {"a/b": {"~": [1, 2]}}}))
    assert answer.value_at(answer.assert_error("invalid-attribute").pointer or "") == 7
    assert answer.value_at("/atomic:operations/0/data/attributes/options/a~1b/~0/1") == 2
    assert answer.value_at("") == answer.sent.to_json()


@pytest.mark.parametrize(
    "pointer", ["/nothing", "/atomic:operations/9", "/atomic:operations/x", "/atomic:operations/0/op/x"]
)
def test_a_pointer_that_leads_nowhere_is_told(atomic_client: AtomicClient, pointer: str) -> None:
    with pytest.raises(LookupError):
        atomic_client.send(ANN).value_at(pointer)


def test_errors_about_headers_and_parameters_are_told(atomic_client: AtomicClient) -> None:
    wrong_accept = atomic_client.send(ANN, headers={"Accept": "text/html"})
    assert " not-acceptable at Accept: " in str(wrong_accept)
    assert " invalid-parameter at include: " in str(atomic_client.send(ANN, query_string={"include": "friends"}))


@pytest.mark.parametrize(
    ("told", "described"),
    [
        ({"detail": "Out of order."}, "0 : Out of order."),
        ({"status": "500", "source": {"pointer": "/gone", "other": 1}}, "500  at /gone (which leads nowhere): "),
    ],
)
def test_error_objects_of_others_may_lack_members(told: dict[str, Any], described: str) -> None:
    served = Flask("others")
    served.post("/operations")(lambda: ({"errors": [told]}, 500))
    answer = AtomicClient(served, "/operations").send(ANN)
    assert str(answer) == f"The answer is 500 INTERNAL SERVER ERROR:\n  {described}"


def test_an_answer_that_is_no_document_is_shown() -> None:
    answer = AtomicClient(Flask("empty"), "/operations").send(ANN)
    assert (answer.status, answer.errors) == (404, [])
    with pytest.raises(AssertionError, match=r"There are no results\. The answer is 404 NOT FOUND: <!doctype html>"):
        _ = answer.results


# -------------------------------------------------------------------------------------------------- the documentation


@pytest.mark.parametrize(("name", "passed"), [("testing_app", 3), ("testing_database", 1)])
def test_the_tests_of_the_documentation_pass(name: str, passed: int, pytester: pytest.Pytester) -> None:
    for module in (name, "quickstart"):
        pytester.path.joinpath(f"{module}.py").write_text((CODE / f"{module}.py").read_text("utf-8"), "utf-8")
    pytester.syspathinsert()
    pytester.runpytest_subprocess(f"{name}.py").assert_outcomes(passed=passed)


def test_the_failure_of_the_documentation_is_told(pytester: pytest.Pytester) -> None:
    source = (CODE / "testing_app.py").read_text("utf-8")
    failing = source.replace("atomic_client.send(document)\n", "atomic_client.send(document).results\n")
    pytester.path.joinpath("quickstart.py").write_text((CODE / "quickstart.py").read_text("utf-8"), "utf-8")
    pytester.syspathinsert()
    pytester.makepyfile(failing)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=2, failed=1)
    told = [line.removeprefix("E").strip() for line in result.outlines if line.startswith("E ")]
    shown = (CODE / "testing_failure.txt").read_text("utf-8").splitlines()
    assert told == [line.strip() for line in shown]


# ----------------------------------------------------------------------------------------------------------- the plugin


def test_pytest_finds_the_fixtures(pytester: pytest.Pytester) -> None:
    shown = pytester.runpytest_inprocess("--fixtures").stdout.str()
    assert "fixtures defined from pytest_flask_atomic" in shown
    assert "atomic_application" in shown
    assert "atomic_client" in shown


def test_a_test_that_defines_no_atomic_is_told_so(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(atomic_client): pass")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["E * fixture 'atomic' not found"])


def test_the_plugin_imports_neither_flask_nor_the_package() -> None:
    """Otherwise coverage, which begins later, misses what importing it executes."""
    code = "import pytest_flask_atomic, sys; print({'flask', 'flask_atomic', 'marshmallow'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"

"""JSON:API 1.1, "Query Parameters", "Sparse Fieldsets" and the like."""

from __future__ import annotations

import pytest

from tests.application import add, id_, post, relate, stored, update


def with_query(client, query, *operations):
    return post(client, *(operations or [update("articles", "3")]), path=f"/api/operations?{query}")


def assert_refused(made, query, parameter):
    before = stored(made.layer)
    answer = with_query(made.client, query, add("tags", id="z"))
    assert answer.errors == [(400, "invalid-parameter", None)]
    assert answer.error_objects[0]["source"] == {"parameter": parameter}
    assert stored(made.layer) == before


@pytest.mark.statement("B56", "B57")
@pytest.mark.parametrize("value", ["", "author", "author.friends", "nothing"])
def test_include_is_not_supported(firm, value):
    assert_refused(firm, f"include={value}", "include")


@pytest.mark.statement("B59")
@pytest.mark.parametrize("value", ["", "title", "-title"])
def test_sort_is_not_supported(firm, value):
    assert_refused(firm, f"sort={value}", "sort")


@pytest.mark.statement("B60", "B61", "B63")
@pytest.mark.parametrize(
    "parameter",
    [
        *("page", "page[size]", "page[number]", "filter", "filter[title]", "atomic:anything", "anything", "camelCase"),
        *("fields", "fields[]", "fields[articles", "Fields[articles]", "fields[articles][title]", "a_b", "_", "@x"),
    ],
)
def test_no_other_parameter_is_known(firm, parameter):
    assert_refused(firm, f"{parameter}=1", parameter)


@pytest.mark.statement("B63")
def test_every_parameter_that_is_not_known_is_told(firm):
    answer = with_query(firm.client, "sort=a&fields[people]=name&include=b&sort=c")

    assert [error["source"]["parameter"] for error in answer.error_objects] == ["sort", "include"]


@pytest.mark.statement("B58", "B64")
@pytest.mark.parametrize(
    "query",
    [
        "fields[articles]=title,author",
        "fields%5Barticles%5D=title,author",
        "fields%5barticles%5d=author%2Ctitle",
        "fields[articles]=ti%74le%2Cauthor",
        "fields[articles]=title,author&fields[people]=",
    ],
)
def test_no_other_fields_are_sent_than_those_that_were_asked_for(client, query):
    (result,) = with_query(client, query).results

    assert result["data"] == {
        **id_("articles", "3"),
        "attributes": {"title": "First"},
        "relationships": {"author": {"data": id_("people", "1")}},
    }


@pytest.mark.statement("B58")
def test_all_are_sent_where_none_were_asked_for(client):
    whole = post(client, update("articles", "3")).results

    assert with_query(client, "fields[people]=name").results == whole
    assert with_query(client, "fields[articles]=").results == [{"data": id_("articles", "3")}]


@pytest.mark.statement("B58")
def test_fields_of_every_type_may_be_asked_for(client):
    query = "fields[people]=friends&fields[articles]=title"

    answer = with_query(
        client,
        query,
        update("people", "1"),
        relate("update", id_("people", "1"), "friends", []),
        update("articles", "3"),
    )

    assert [result.get("data", {}).keys() for result in answer.results] == [
        {"type", "id", "relationships"},
        set(),
        {"type", "id", "attributes"},
    ]


@pytest.mark.statement("B58", "B63")
@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("fields[nothing]=a", "fields[nothing]"),
        ("fields[articles]=nothing", "fields[articles]"),
        ("fields[articles]=title,", "fields[articles]"),
        ("fields[articles]=title, author", "fields[articles]"),
        ("fields[articles]=word_count", "fields[articles]"),
        ("fields[articles]=id", "fields[articles]"),
        ("fields[articles]=title&fields[articles]=author", "fields[articles]"),
        ("fields[articles]=title&fields%5Barticles%5D=title", "fields[articles]"),
    ],
)
def test_fields_that_there_are_not_or_twice(firm, query, parameter):
    assert_refused(firm, query, parameter)

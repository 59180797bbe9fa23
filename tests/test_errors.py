"""What can go wrong and how it is told: error objects, pointers, the status of an answer."""

from __future__ import annotations

import re
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_atomic.errors import (
    Code,
    Conflict,
    ErrorObject,
    NotFound,
    OperationFailed,
    OutOfSpace,
    Refused,
    RequestFailed,
    Transient,
    Unprocessable,
    overall_status,
    pointer,
)
from tests.documents import names
from tests.pointers import resolve


class TestCode:
    def test_every_kind_of_problem_has_its_own_code_and_title(self):
        assert len({code.code for code in Code}) == len({code.title for code in Code}) == len(Code.__members__)

    @pytest.mark.parametrize("code", Code)
    def test_a_code_is_its_name_in_kebab_case(self, code):
        assert code.code == code.name.lower().replace("_", "-")
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code.code)

    @pytest.mark.parametrize("code", Code)
    def test_the_status_is_one_of_an_error(self, code):
        assert code.status in {400, 403, 404, 405, 406, 409, 413, 415, 422, 500, 503, 507}


class TestErrorObject:
    def test_it_is_told_with_a_string_for_its_status_and_without_empty_members(self):
        error = ErrorObject.of(Code.INVALID_OPERATION, "The operation is not an object.")

        assert error.to_json() == {
            "status": "400",
            "code": "invalid-operation",
            "title": "An operation is malformed",
            "detail": "The operation is not an object.",
        }

    @pytest.mark.parametrize("source", [{"pointer": "/a/0"}, {"parameter": "sort"}, {"header": "Accept"}])
    def test_the_source_holds_the_one_member_that_is_known(self, source):
        assert ErrorObject.of(Code.CONFLICT, "No.", **source).to_json()["source"] == source

    def test_the_empty_pointer_names_the_whole_document_and_is_told(self):
        assert ErrorObject.of(Code.INVALID_DOCUMENT, "No.", pointer="").to_json()["source"] == {"pointer": ""}

    def test_the_id_of_an_occurrence_is_told(self):
        assert ErrorObject.of(Code.INTERNAL_ERROR, "See the log.", id="e1").to_json()["id"] == "e1"

    def test_the_title_does_not_vary_with_the_detail(self):
        first, second = (ErrorObject.of(Code.CONFLICT, detail) for detail in ("One.", "Two."))

        assert first.title == second.title
        assert first.detail != second.detail


class TestPointer:
    @pytest.mark.parametrize(
        ("tokens", "expected"),
        [
            ((), ""),
            (("",), "/"),
            (("foo", 0), "/foo/0"),
            (("a/b",), "/a~1b"),
            (("m~n",), "/m~0n"),
            (("~1",), "/~01"),
            (("~/",), "/~0~1"),
            ((" ", "%d"), "/ /%d"),
            (("atomic:operations", 2, "data"), "/atomic:operations/2/data"),
        ],
    )
    def test_tokens_are_escaped(self, tokens, expected):
        assert pointer(*tokens) == expected

    @given(st.lists(names | st.integers(0, 3), max_size=5))
    def test_it_leads_where_its_tokens_lead(self, tokens):
        document = "found"
        for token in reversed(tokens):
            document = {token: document} if isinstance(token, str) else [None] * token + [document]

        assert resolve(document, pointer(*tokens)) == "found"


class TestTheResolverOfTheTests:
    """RFC 6901, section 5, and the pointers that the section's document does not hold."""

    DOCUMENT: ClassVar = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "m~n": 8}

    @pytest.mark.parametrize(
        ("text", "expected"),
        [("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1), ("/c%d", 2), ("/m~0n", 8)],
    )
    def test_what_is_there_is_found(self, text, expected):
        assert resolve(self.DOCUMENT, text) == expected

    @pytest.mark.parametrize(
        "text", ["foo", "/foo/2", "/foo/-", "/foo/-1", "/foo/00", "/foo/x", "/bar", "//x", "/m~n", "/foo/0/0", "/~2"]
    )
    def test_what_is_not_there_is_an_error(self, text):
        with pytest.raises(LookupError):
            resolve(self.DOCUMENT, text)


class TestStatus:
    @pytest.mark.parametrize(
        ("codes", "status"),
        [
            ([Code.CONFLICT], 409),
            ([Code.CONFLICT, Code.ID_TAKEN], 409),
            ([Code.CONFLICT, Code.UNKNOWN_TYPE], 400),
            ([Code.CONFLICT, Code.INTERNAL_ERROR], 500),
            ([Code.UNAVAILABLE], 503),
            ([Code.UNAVAILABLE, Code.INTERNAL_ERROR], 500),
            ([Code.UNAVAILABLE, Code.CONFLICT], 500),
        ],
    )
    def test_it_is_that_of_the_errors_or_the_most_general_one(self, codes, status):
        errors = [ErrorObject.of(code, "No.") for code in codes]

        assert overall_status(errors) == status
        assert RequestFailed(*errors).status == status

    @given(st.lists(st.sampled_from(Code), min_size=1))
    def test_the_order_of_the_errors_does_not_matter_and_the_class_is_that_of_the_worst(self, codes):
        errors = [ErrorObject.of(code, "No.") for code in codes]

        assert overall_status(errors) == overall_status(errors[::-1])
        assert overall_status(errors) // 100 == max(code.status for code in codes) // 100


class TestExceptions:
    def test_a_failed_request_says_in_a_log_what_failed_and_where(self):
        error = ErrorObject.of(Code.INVALID_OPERATION, "No 'op'.", pointer="/atomic:operations/0")

        assert str(RequestFailed(error)) == "invalid-operation at /atomic:operations/0: No 'op'."

    def test_a_failed_request_keeps_its_own_copy_of_the_headers(self):
        headers = {"Allow": "POST"}
        failed = RequestFailed(ErrorObject.of(Code.METHOD_NOT_ALLOWED, "No."), headers=headers)
        headers.clear()

        assert failed.headers == {"Allow": "POST"}

    @pytest.mark.parametrize(
        ("failure", "status"),
        [(Refused, 403), (NotFound, 404), (Conflict, 409), (Unprocessable, 422), (Transient, 503), (OutOfSpace, 507)],
    )
    def test_what_a_data_layer_raises_has_a_status_and_names_the_culprit(self, failure, status):
        raised = failure("The title is taken.", attribute="title", relationship="author")

        assert isinstance(raised, OperationFailed)
        assert raised.code.status == status
        assert (raised.detail, raised.attribute, raised.relationship) == ("The title is taken.", "title", "author")
        assert str(raised) == "The title is taken."

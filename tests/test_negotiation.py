"""Media types and query parameters: what is served, what is refused, and by which error.

The numbers are those of the normative statements that the documentation lists.
"""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header, parse_list_header, parse_options_header

from flask_atomic.errors import RequestFailed
from flask_atomic.negotiation import (
    CONTENT_TYPE,
    EXTENSION,
    MEDIA_TYPE,
    check_accept,
    check_content_type,
    sparse_fields,
)

WITH_EXT = f'{MEDIA_TYPE};ext="{EXTENSION}"'
OTHER = "https://example.com/ext/other"
WITH_OTHER = f'{MEDIA_TYPE};ext="{OTHER}"'


def errors_of(check, *arguments, **named):
    with pytest.raises(RequestFailed) as failed:
        check(*arguments, **named)
    return failed.value.errors


def status_of(check, *arguments, **named):
    """The status of the refusal, None if there is none; any other exception fails the test."""
    try:
        check(*arguments, **named)
    except RequestFailed as failed:
        return failed.status
    return None


def assert_unsupported(value, *, strict):
    (error,) = errors_of(check_content_type, value, strict=strict)
    assert (error.status, error.code, error.header) == (415, "unsupported-media-type", "Content-Type")
    assert error.pointer is None
    assert error.parameter is None
    return error


def assert_not_acceptable(value):
    (error,) = errors_of(check_accept, value)
    assert (error.status, error.code, error.header) == (406, "not-acceptable", "Accept")
    return error


def test_the_answer_has_the_media_type_with_the_extension():
    """B4, B5."""
    assert CONTENT_TYPE == 'application/vnd.api+json;ext="https://jsonapi.org/ext/atomic"'


@pytest.mark.parametrize(
    "value",
    [
        WITH_EXT,
        f'{MEDIA_TYPE}; ext="{EXTENSION}"',
        f'  {MEDIA_TYPE}\t ; \text="{EXTENSION}" ; ',
        f'APPLICATION/VND.API+JSON;EXT="{EXTENSION}"',
        f'{MEDIA_TYPE};ext="  {EXTENSION}   {EXTENSION} "',
        f"{MEDIA_TYPE};ext={EXTENSION}",
        f'{MEDIA_TYPE};;ext="{EXTENSION}";',
        MEDIA_TYPE + ';ext="https:\\/\\/jsonapi.org/ext/atomic"',
        f'{WITH_EXT};profile="https://example.com/a https://example.com/b"',
        f'{MEDIA_TYPE};Profile="x";ext="{EXTENSION}"',
        f'{MEDIA_TYPE};ext="{EXTENSION}";ext="{EXTENSION}"',
        f'{MEDIA_TYPE};ext="";ext="{EXTENSION}"',
        f"{WITH_EXT};profile=https://example.com/unquoted",
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_the_media_type_with_the_extension_is_accepted(value, strict):
    """B2; B16: whatever profiles are named."""
    check_content_type(value, strict=strict)


@pytest.mark.parametrize(
    "value",
    [
        MEDIA_TYPE,
        f" {MEDIA_TYPE} ;",
        "Application/Vnd.Api+Json",
        f'{MEDIA_TYPE};profile="https://example.com/unknown"',
        f'{MEDIA_TYPE};ext=""',
        f'{MEDIA_TYPE};ext=" "',
        "application/json",
        "Application/JSON; Charset=UTF-8",
        "application/json;charset",
        f'application/json;ext="{OTHER}"',
    ],
)
def test_without_the_extension_a_media_type_is_accepted_unless_one_is_strict(value):
    """B5, B16."""
    check_content_type(value, strict=False)
    assert_unsupported(value, strict=True)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        ";",
        "text/plain",
        "text/plain;charset=utf-8",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/*",
        "*/*",
        "application/json+x",
        "application/hal+json",
        "application/jsonx",
        "json",
        f"{MEDIA_TYPE}, {MEDIA_TYPE}",
        f"{MEDIA_TYPE} x",
        f"text/plain, {WITH_EXT}",
        f'x{MEDIA_TYPE};ext="{EXTENSION}"',
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_other_media_types_are_refused(value, strict):
    assert CONTENT_TYPE in assert_unsupported(value, strict=strict).detail


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (f"{MEDIA_TYPE};charset=utf-8", "charset"),
        (f"{MEDIA_TYPE}; CHARSET=utf-8", "charset"),
        (f"{WITH_EXT};charset=utf-8", "charset"),
        (f"{MEDIA_TYPE};q=0.5", "q"),
        (f'{MEDIA_TYPE};extra="{EXTENSION}"', "extra"),
        (f"{MEDIA_TYPE};ext*=\"utf-8''{OTHER}\"", "ext*"),
        (f'{MEDIA_TYPE};ext*0="{EXTENSION}"', "ext*0"),
        (f'{MEDIA_TYPE};profile="x;y";version=1', "version"),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_parameters_other_than_ext_and_profile_are_refused(value, named, strict):
    """B1, B10."""
    assert f"'{named}'" in assert_unsupported(value, strict=strict).detail


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (WITH_OTHER, OTHER),
        (f"{MEDIA_TYPE};ext={OTHER}", OTHER),
        (f'{MEDIA_TYPE};ext="{EXTENSION} {OTHER}"', OTHER),
        (f'{MEDIA_TYPE};ext="{OTHER}";ext="{EXTENSION}"', OTHER),
        (f'{MEDIA_TYPE};ext="{EXTENSION}/"', EXTENSION + "/"),
        (f'{MEDIA_TYPE};ext="{EXTENSION.upper()}"', EXTENSION.upper()),
        (f'{MEDIA_TYPE};ext="{EXTENSION},{OTHER}"', f"{EXTENSION},{OTHER}"),
        (f"{MEDIA_TYPE};ext='{EXTENSION}'", f"'{EXTENSION}'"),
        (f"{MEDIA_TYPE};ext=atomic", "atomic"),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_an_extension_that_is_not_supported_is_refused(value, named, strict):
    """B11."""
    assert f"'{named}'" in assert_unsupported(value, strict=strict).detail


@pytest.mark.parametrize(
    "parameters",
    [
        "charset",
        "charset =utf-8",
        f'ext = "{EXTENSION}"',
        f'ext ="{EXTENSION}"',
        f'ext= "{EXTENSION}"',
        "ext= ",
        'ext="',
        'ext="x',
        "=x",
        'ext="a"b',
        '"ext"="a"',
        "ext=a b",
        'é="x"',
        "ext=a,b",
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_parameters_that_cannot_be_read_are_refused(parameters, strict):
    assert_unsupported(f"{MEDIA_TYPE};{parameters}", strict=strict)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " , ,",
        "*/*",
        "application/*",
        "application/json",
        "application/json; charset=utf-8",
        MEDIA_TYPE,
        MEDIA_TYPE.upper(),
        WITH_EXT,
        f"{MEDIA_TYPE};ext={EXTENSION}",
        f'{MEDIA_TYPE} ; EXT="{EXTENSION} {EXTENSION}" ; Q=0.1',
        f'{WITH_EXT};profile="https://example.com/unknown"',
        f'{MEDIA_TYPE};ext=""',
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
        f"text/html , {MEDIA_TYPE};q=0.001",
        "*/*;q=1.000",
        "*/*;q=0.5;level=1",
        f'text/html;title="a, b;q=0 \\" , {WITH_OTHER} ,"  , */*',
    ],
)
def test_what_the_answer_satisfies_is_accepted(value):
    """B8, B9, B16: a wanted extension is applied, a wanted profile is ignored."""
    check_accept(value)


@pytest.mark.parametrize(
    "value",
    [
        "text/html",
        "text/*",
        "*/json",
        "application",
        "application/hal+json",
        "application/vnd.api",
        "application/vnd.*",
        "text/html, image/png;q=0.5",
        "nonsense",
        "text/html,",
    ],
)
def test_where_nothing_listed_could_match_nothing_is_acceptable(value):
    assert CONTENT_TYPE in assert_not_acceptable(value).detail


@pytest.mark.parametrize(
    "value",
    [
        f"{MEDIA_TYPE};charset=utf-8, {MEDIA_TYPE}",
        f"{MEDIA_TYPE}, {MEDIA_TYPE};charset=utf-8",
        f"{WITH_OTHER}, {WITH_EXT}",
        f"{MEDIA_TYPE};charset=utf-8, {WITH_OTHER}, {MEDIA_TYPE};profile=x;q=0.1",
    ],
)
def test_instances_with_foreign_parameters_are_passed_over(value):
    """B12; q is a weight and no parameter."""
    check_accept(value)


@pytest.mark.parametrize("beside", ["", ", */*", ", application/json", ", application/*;q=0.5"])
@pytest.mark.parametrize(
    ("instances", "named"),
    [
        ([f"{MEDIA_TYPE};charset=utf-8"], "charset"),
        ([f"{MEDIA_TYPE}; Version=1;q=0.5", f"{WITH_EXT};charset=utf-8"], "version"),
        ([WITH_OTHER], OTHER),
        ([f'{MEDIA_TYPE};ext="{EXTENSION} {OTHER}"'], OTHER),
        ([WITH_OTHER, f'{MEDIA_TYPE};ext="urn:another"'], OTHER),
        ([WITH_OTHER, f"{MEDIA_TYPE};charset=utf-8"], OTHER),
    ],
)
def test_where_every_instance_has_something_foreign_nothing_is_acceptable(instances, named, beside):
    """B13, B14."""
    error = assert_not_acceptable(", ".join(instances) + beside)
    assert f"'{named}'" in error.detail


@pytest.mark.parametrize(
    "value",
    [
        "*/*;q=0",
        "*/*;q=0.000, text/html",
        f"{MEDIA_TYPE};q=0",
        f"{MEDIA_TYPE};q=0, */*",
        f"{MEDIA_TYPE};q=0, application/*, application/json",
        f"{WITH_EXT};q=0, {MEDIA_TYPE}, */*",
        "application/*;q=0, */*",
        "application/json;q=0",
        "application/json;q=0, text/html",
    ],
)
def test_a_weight_of_zero_excludes(value):
    assert_not_acceptable(value)


@pytest.mark.parametrize(
    "value",
    [
        f"*/*;q=0, {MEDIA_TYPE}",
        f"application/*;q=0, {WITH_EXT};q=0.2",
        "*/*;q=0, application/*;q=0.1",
        "*/*;q=0, application/json",
        "application/*;q=0, application/json",
        f"{MEDIA_TYPE};q=0, {WITH_EXT}",
        f"{MEDIA_TYPE};q=0, {MEDIA_TYPE}",
        "application/json;q=0, */*",
        "application/json;q=0, application/*;q=0.1",
        "text/html;q=0, */*",
    ],
)
def test_the_most_specific_range_decides(value):
    check_accept(value)


@pytest.mark.parametrize("weight", ["2", "-1", "1.5", "", "x", "0.5.5", "nan", "inf", "1e0", "\u0660", "00", '"x"'])
def test_a_range_whose_weight_cannot_be_read_allows_nothing(weight):
    assert_not_acceptable(f"*/*;q={weight}")
    check_accept(f"*/*;q={weight}, application/json")


HEADER_TEXT = st.text(st.characters(exclude_characters="\r\n")) | st.lists(
    st.sampled_from(
        [MEDIA_TYPE, EXTENSION, "*/*", "application/", ";", ",", "=", '"', "\\", " ", "\t", "q", "ext", "0", "1", "é"]
    )
).map("".join)


@given(HEADER_TEXT, st.booleans())
def test_no_header_causes_anything_but_a_refusal(text, strict):
    assert status_of(check_accept, text) in (None, 406)
    assert status_of(check_content_type, text, strict=strict) in (None, 415)


@pytest.mark.parametrize(
    "repeated", [";", "; ", '";', '"\\', "\\", ";a=b", ';a="', ", ", "=", " ;\t", ";a=b ", "a", " "]
)
def test_long_headers_are_read_in_one_pass(repeated):
    """With a quantifier that backtracks this test does not end."""
    hostile = MEDIA_TYPE + repeated * 20_000
    for text in (hostile, hostile + "\0", ";" + hostile + '"'):
        assert status_of(check_accept, text) in (None, 406)
        assert status_of(check_content_type, text, strict=False) in (None, 415)


# ------------------------------------------------------------------------- why Werkzeug's parsers are not asked for it


@pytest.mark.parametrize(
    "parameters",
    [
        "charset",
        "charset=",
        "charset =utf-8",
        "charset= utf-8",
        '"charset"=utf-8',
        "x@y=1",
        f'ext="{EXTENSION}";version',
        f'ext="{EXTENSION}"x',
        f'ext="{EXTENSION}" {OTHER}',
        f'ext = "{OTHER}"',
        f'ext="{OTHER}',
        f'ext="{OTHER}";ext="{EXTENSION}"',
        f"ext*=utf-8''{quote(EXTENSION, safe='')}",
        f'ext*0="{EXTENSION[:9]}";ext*1="{EXTENSION[9:]}"',
    ],
)
def test_werkzeug_passes_over_parameters_that_are_not_to_be_there(parameters):
    """What it leaves of them could be accepted; what was sent is refused."""
    value = f"{MEDIA_TYPE};{parameters}"

    name, read = parse_options_header(value)

    assert name == MEDIA_TYPE
    assert read in ({}, {"ext": EXTENSION})
    assert_unsupported(value, strict=False)
    assert_not_acceptable(value)


def test_werkzeug_makes_one_media_type_of_two():
    assert parse_options_header(f'text/plain, {MEDIA_TYPE};ext="{EXTENSION}"')[1] == {"ext": EXTENSION}
    assert_unsupported(f'text/plain, {MEDIA_TYPE};ext="{EXTENSION}"', strict=False)


def test_werkzeug_cuts_a_uri_without_quotes_at_its_colon():
    """The grammar wants quotes for it; without them there is still no doubt about what is meant."""
    value = f"{MEDIA_TYPE};ext={EXTENSION}"

    assert parse_options_header(value) == (MEDIA_TYPE, {"ext": "https"})
    check_content_type(value, strict=True)


def test_werkzeug_reads_a_quotation_mark_into_a_uri():
    """As browsers write the names of files."""
    value = f'{MEDIA_TYPE};ext="{EXTENSION}%22"'

    assert parse_options_header(value) == (MEDIA_TYPE, {"ext": f'{EXTENSION}"'})
    assert f"'{EXTENSION}%22'" in assert_unsupported(value, strict=False).detail


def werkzeug_accepts(value):
    """Whether Werkzeug finds any of the media types acceptable by which the answer is known."""
    accepted = parse_accept_header(value, MIMEAccept)
    return any(accepted.quality(media_type) for media_type in (CONTENT_TYPE, MEDIA_TYPE, "application/json"))


@pytest.mark.parametrize(
    "value",
    [
        f"{MEDIA_TYPE};charset=utf-8, */*",  # B13
        f"{MEDIA_TYPE};charset",
        f"{WITH_OTHER}, application/*",  # B14
        f'{WITH_OTHER};ext="{EXTENSION}"',
        f"{MEDIA_TYPE};q=0, */*",  # RFC 9110: the most specific range decides
        f"application/json, {WITH_EXT};q=0",
        f'"{MEDIA_TYPE}"',
        "*/*;q=",
    ],
)
def test_werkzeug_accepts_what_is_not_to_be_answered(value):
    assert werkzeug_accepts(value)
    assert_not_acceptable(value)


@pytest.mark.parametrize(
    "value",
    [
        f'{MEDIA_TYPE};profile="https://example.com/unknown"',  # B16
        f'{WITH_EXT};profile="https://example.com/unknown"',
        f'{MEDIA_TYPE};ext="{EXTENSION} {EXTENSION}"',  # B2: a list
        f'{MEDIA_TYPE};ext=""',
        f"{MEDIA_TYPE};ext={EXTENSION}",
    ],
)
def test_werkzeug_compares_parameters_as_texts(value):
    assert not werkzeug_accepts(value)
    check_accept(value)


def test_werkzeug_takes_quotes_from_the_elements_of_a_list():
    assert parse_list_header('"*/*"') == ["*/*"]
    assert_not_acceptable('"*/*"')


FIELDS = {"articles": frozenset({"title", "body", "author", "two words"}), "people": frozenset({"name"})}


def fields_in(*parameters):
    return sparse_fields(parameters, FIELDS.get)


def assert_bad_parameters(parameters, *expected):
    errors = errors_of(sparse_fields, parameters, FIELDS.get)
    assert [error.parameter for error in errors] == list(expected)
    assert {(error.status, error.code) for error in errors} == {(400, "invalid-parameter")}
    return errors


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ([], {}),
        ([("fields[articles]", "title")], {"articles": {"title"}}),
        ([("fields[articles]", "title,author,title")], {"articles": {"title", "author"}}),
        ([("fields[articles]", "two words")], {"articles": {"two words"}}),
        ([("fields[articles]", "")], {"articles": set()}),
        ([("fields[people]", "name"), ("fields[articles]", "body")], {"people": {"name"}, "articles": {"body"}}),
    ],
)
def test_fields_are_chosen_by_type(parameters, expected):
    """B58."""
    assert fields_in(*parameters) == expected


def test_any_iterable_of_pairs_will_do():
    assert sparse_fields(iter([("fields[people]", "name")]), FIELDS.get) == {"people": {"name"}}


@pytest.mark.parametrize(
    "parameter",
    [
        "include",  # B56, B57
        "sort",  # B59
        "filter",
        "filter[title]",  # B60
        "page[number]",
        "atomic:anything",  # B61
        "camelCase",  # B62
        "unknown",
        "",
        "fields",
        "fields[]",
        "fields[articles",
        "fields[articles]x",
        " fields[articles]",
        "Fields[articles]",
        "FIELDS[articles]",
        "fields[articles][title]",
        "fields.articles",
        "fields%5Barticles%5D",
        "fields[articles]\n",
        "\ud800",
    ],
)
def test_any_other_parameter_is_refused(parameter):
    """B63."""
    assert_bad_parameters([(parameter, "title")], parameter)
    assert_bad_parameters([(parameter, "")], parameter)


@pytest.mark.parametrize("type_", ["unknown", "Articles", "articles ", "title"])
def test_fields_of_an_unknown_type_are_refused(type_):
    (error,) = assert_bad_parameters([(f"fields[{type_}]", "title")], f"fields[{type_}]")
    assert f"'{type_}'" in error.detail


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("unknown", "unknown"),
        ("title,unknown", "unknown"),
        ("Title", "Title"),
        ("title, body", " body"),
        ("title,", ""),
        (",", ""),
        ("id", "id"),
        ("type", "type"),
        ("name", "name"),
        ("title;body", "title;body"),
    ],
)
def test_unknown_fields_are_refused(value, named):
    (error,) = assert_bad_parameters([("fields[articles]", value)], "fields[articles]")
    assert f"'{named}'" in error.detail


@pytest.mark.parametrize("values", [("title", "title"), ("", ""), ("title", "body", "author")])
def test_fields_given_twice_for_one_type_are_refused(values):
    assert_bad_parameters([("fields[articles]", value) for value in values], "fields[articles]")


def test_every_bad_parameter_is_told_once():
    assert_bad_parameters(
        [("sort", "a"), ("fields[articles]", "title"), ("fields[x]", "y"), ("sort", "b"), ("fields[people]", "age")],
        "sort",
        "fields[x]",
        "fields[people]",
    )


@given(st.lists(st.tuples(st.text() | st.just("fields[articles]"), st.text() | st.just("title"))))
def test_no_parameter_causes_anything_but_a_refusal(parameters):
    assert status_of(sparse_fields, parameters, FIELDS.get) in (None, 400)

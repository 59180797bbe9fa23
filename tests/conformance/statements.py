"""The normative statements of the Atomic Operations extension and of JSON:API 1.1 that bear on the endpoint.

Each has a number, by which tests name it (`@pytest.mark.statement("A31")`). The texts are told in words of our own; the
sections are those of the two documents. This is the one list: the page of the documentation is made of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

__all__ = ["SECTIONS", "Section", "Statement", "by_number"]


class Statement(NamedTuple):
    """One normative statement.

    :param keyword: how strong it is, in the words of RFC 2119.
    :param binds: whom: who serves, who asks, or both. What a client must send, the server enforces.
    :param untested: why there is no test; empty where there is one.
    """

    number: str
    keyword: str
    binds: Literal["server", "client", "both"]
    text: str
    untested: str = ""


class Section(NamedTuple):
    """The statements under one heading."""

    title: str
    statements: tuple[Statement, ...]


def by_number() -> dict[str, Statement]:
    """All statements by their numbers."""
    return {statement.number: statement for statement in _all()}


def _all() -> Iterator[Statement]:
    return (statement for sections in SECTIONS.values() for section in sections for statement in section.statements)


_NOT_TAKEN = "A freedom that is not taken: "
_CLIENT = "Binds the client alone: "
_NOT_HERE = "Does not apply: "

ATOMIC_OPERATIONS = (
    Section(
        "Document structure",
        (
            Statement("A1", "MAY", "both", "An atomic document has any top-level member of JSON:API but those of A2."),
            Statement("A2", "MUST NOT", "both", "It has no top-level `data` and no `included`."),
            Statement(
                "A3",
                "MAY",
                "both",
                "It has `atomic:operations`, an array of one or more operations, or `atomic:results`, an array of one "
                "or more results, and never both.",
            ),
            Statement("A4", "MUST NOT", "both", "It has no `errors` beside either of them."),
        ),
    ),
    Section(
        "Operation objects",
        (
            Statement("A5", "MUST", "client", "Every operation has the member `op`."),
            Statement("A6", "MUST", "client", "`op` is one of the strings `add`, `update` and `remove`."),
            Statement("A7", "MAY", "client", "An operation has one of `ref` and `href`, and never both."),
            Statement(
                "A8",
                "MUST",
                "client",
                "`ref` has `type` with `id` or `lid`, and perhaps `relationship`; its `lid` was assigned by an earlier "
                "operation. `href` is a string that is a URI reference.",
            ),
            Statement("A9", "MAY", "client", "An operation has `data`, and `meta`, which is an object."),
        ),
    ),
    Section(
        "Result objects",
        (Statement("A10", "MAY", "server", "A result has `data` and `meta`; it may be empty where no data is due."),),
    ),
    Section(
        "Processing",
        (
            Statement("A11", "MUST", "client", "A request of the extension is a POST."),
            Statement("A12", "MUST", "server", "Operations are performed in the order of the array."),
            Statement("A13", "MUST", "server", "All of them are performed as one."),
            Statement("A14", "MUST", "server", "A failure undoes what earlier operations have done."),
            Statement("A15", "MUST", "server", "A success with a document is a 200."),
            Statement("A16", "MUST", "server", "That document has the results in the top-level `atomic:results`."),
            Statement("A17", "MUST", "server", "There are as many results as operations."),
            Statement("A18", "MUST", "server", "Each result stands where its operation stands."),
            Statement("A19", "MAY", "server", "Where no operation has to return data, the answer is a 204."),
        ),
    ),
    Section(
        "Processing errors",
        (
            Statement(
                "A20", "MUST", "server", "Where any operation fails, the answer is as JSON:API has it for errors."
            ),
            Statement("A21", "SHOULD", "server", "Errors have a `source.pointer` into the request document."),
            Statement("A22", "MUST", "server", "A malformed or incomplete operation is a 400."),
            Statement("A23", "SHOULD", "server", "That 400 has a document with `errors`."),
            Statement("A24", "SHOULD", "server", "Its `source.pointer` leads to the invalid operation."),
            Statement(
                "A25", "MUST", "server", "An operation that is valid but cannot be processed is a 400 or a closer code."
            ),
            Statement("A26", "SHOULD", "server", "The errors of that answer have details."),
        ),
    ),
    Section(
        "Creating resources",
        (
            Statement(
                "A27", "MAY", "client", "The collection is targeted by `href`, whose name may differ from the type."
            ),
            Statement("A28", "MUST", "client", "The operation is an `add` whose `data` is a resource object."),
            Statement("A29", "MUST", "client", "The resource object has at least `type`."),
            Statement(
                "A30",
                "MAY",
                "server",
                "Where the client's id is accepted and the resource is as it was sent, the result has no `data`, or "
                "has the resource.",
            ),
            Statement("A31", "MUST", "server", "In every other success the result has the new resource as `data`."),
            Statement("A32", "MUST", "server", "Where the resource cannot be created, the answer is a fitting error."),
            Statement("A33", "SHOULD", "server", "It has a document with `errors`."),
        ),
    ),
    Section(
        "Updating resources",
        (
            Statement("A34", "MAY", "client", "The resource is targeted by `ref` or `href`, and not by both."),
            Statement("A35", "MUST", "client", "The operation is an `update`."),
            Statement(
                "A36",
                "MUST",
                "server",
                "Where the server changed more than was sent, the result has the resource as `data`.",
            ),
            Statement("A37", "MUST", "server", "Where it did not, the result has no `data`, or has the resource."),
            Statement(
                "A38",
                "MAY",
                "server",
                "Where all results are empty, the answer is a 204.",
                _NOT_TAKEN + "an update always returns the resource, so that its result is never empty.",
            ),
            Statement("A39", "MUST", "server", "Where the resource cannot be updated, the answer is a fitting error."),
            Statement("A40", "SHOULD", "server", "It has a document with `errors`."),
        ),
    ),
    Section(
        "Deleting resources",
        (
            Statement("A41", "MUST", "client", "The resource is targeted by `ref` or `href`, and not by both."),
            Statement("A42", "MUST", "client", "The operation is a `remove`."),
            Statement("A43", "MUST", "server", "The result has no member `data`."),
            Statement("A44", "MAY", "server", "Where all results are empty, the answer is a 204."),
            Statement("A45", "MUST", "server", "Where the resource cannot be deleted, the answer is a fitting error."),
            Statement("A46", "SHOULD", "server", "It has a document with `errors`."),
        ),
    ),
    Section(
        "Updating to-one relationships",
        (
            Statement("A47", "MUST", "client", "The relationship is targeted by `ref` or `href`, and not by both."),
            Statement("A48", "MUST", "client", "The operation is an `update`; its `data` is an identifier or null."),
            Statement("A49", "MUST", "server", "The result has no member `data`."),
            Statement("A50", "MAY", "server", "Where all results are empty, the answer is a 204."),
            Statement("A51", "MUST", "server", "Where it cannot be updated, the answer is a fitting error."),
            Statement("A52", "SHOULD", "server", "It has a document with `errors`."),
        ),
    ),
    Section(
        "Updating to-many relationships",
        (
            Statement("A53", "MUST", "client", "The relationship is targeted by `ref` or `href`, and not by both."),
            Statement("A54", "MUST", "client", "Members are added by `add`."),
            Statement("A55", "MUST", "client", "All members are replaced by `update`."),
            Statement("A56", "MUST", "client", "Members are removed by `remove`."),
            Statement("A57", "MUST", "server", "The result has no member `data`."),
            Statement("A58", "MAY", "server", "Where all results are empty, the answer is a 204."),
            Statement("A59", "MUST", "server", "Where it cannot be updated, the answer is a fitting error."),
            Statement("A60", "SHOULD", "server", "It has a document with `errors`."),
        ),
    ),
)

JSON_API = (
    Section(
        "Media type and content negotiation",
        (
            Statement("B1", "MUST NOT", "both", "The media type has no parameters but `ext` and `profile`."),
            Statement("B2", "MUST", "both", "Their values are URIs, separated by spaces, in quotes."),
            Statement(
                "B3",
                "SHOULD",
                "server",
                "Such a URI leads to documentation.",
                _NOT_HERE + "the URI of the extension is not ours, and no other is used.",
            ),
            Statement("B4", "MUST", "both", "Documents are sent as `application/vnd.api+json`."),
            Statement("B5", "MUST", "both", "Where an extension is applied, the `Content-Type` has it in `ext`."),
            Statement(
                "B6",
                "MUST",
                "both",
                "Where a profile is applied, the `Content-Type` has it in `profile`.",
                _NOT_HERE + "no profile is ever applied.",
            ),
            Statement(
                "B7",
                "MUST",
                "client",
                "Other parameters in the answer are ignored.",
                _CLIENT + "answers have none (B1).",
            ),
            Statement("B8", "MAY", "client", "`ext` in `Accept` asks for extensions to be applied to the answer."),
            Statement("B9", "MAY", "client", "`profile` in `Accept` asks for profiles."),
            Statement("B10", "MUST", "server", "A `Content-Type` with another parameter is a 415."),
            Statement("B11", "MUST", "server", "A `Content-Type` with an extension that is not supported is a 415."),
            Statement(
                "B12", "MUST", "server", "Instances of the media type in `Accept` with other parameters are ignored."
            ),
            Statement("B13", "MUST", "server", "Where all of them have other parameters, the answer is a 406."),
            Statement(
                "B14", "MUST", "server", "Where all of them have an extension that is not supported, it is a 406, too."
            ),
            Statement(
                "B15",
                "SHOULD",
                "server",
                "A profile that is asked for is applied if possible.",
                _NOT_HERE + "no profile is known.",
            ),
            Statement("B16", "MUST", "server", "Unknown profiles are ignored."),
            Statement("B17", "SHOULD", "server", "Every answer has `Vary: Accept`."),
            Statement(
                "B18",
                "MUST NOT",
                "both",
                "An extension takes nothing away from JSON:API: what follows holds inside operations.",
                _NOT_HERE + "it binds those who write extensions. All tests of B67 to B101 send operations.",
            ),
        ),
    ),
    Section(
        "Document structure",
        (
            Statement("B19", "MUST", "both", "Members of an extension are called `namespace:name`."),
            Statement("B20", "MUST NOT", "both", "Objects have no members but those that are defined."),
            Statement("B21", "MUST", "server", "Other members are ignored."),
            Statement("B22", "MUST", "both", "The root of a document is an object."),
            Statement(
                "B23", "MUST", "both", "It has one of `data`, `errors`, `meta` or a member of an extension at least."
            ),
            Statement("B24", "MUST NOT", "both", "It does not have `data` and `errors`."),
            Statement("B25", "MAY", "both", "It may have `jsonapi`, `links` and `included`."),
            Statement("B26", "MUST NOT", "both", "It has no `included` without `data`."),
            Statement(
                "B27",
                "MAY",
                "server",
                "Its `links` are `self`, `related`, `describedby` and those of pagination.",
                _NOT_TAKEN + "answers have no top-level links.",
            ),
            Statement(
                "B28",
                "SHOULD",
                "server",
                "The top-level link `self` tells the media type with its parameters.",
                _NOT_HERE + "there is none: the answer to a POST has no URL of its own.",
            ),
            Statement(
                "B29", "MUST", "both", "Primary data is a resource, an identifier, null, or for collections an array."
            ),
            Statement("B30", "MUST", "both", "A collection is an array, however many items it has."),
        ),
    ),
    Section(
        "Resource objects and identifiers",
        (
            Statement("B31", "MUST", "both", "A resource has `type` and `id`, and one that is new need not have `id`."),
            Statement("B32", "MAY", "client", "One that is new may have `lid`, which identifies it in the document."),
            Statement("B33", "MUST", "client", "Wherever the document names that resource, it has the same `lid`."),
            Statement("B34", "MUST", "both", "`id`, `type` and `lid` are strings."),
            Statement("B35", "MUST", "both", "`type` and `id` together identify one resource."),
            Statement("B36", "MUST", "server", "A `type` is such a name as members may have."),
            Statement("B37", "MAY", "both", "A resource may have `attributes`, `relationships`, `links` and `meta`."),
            Statement(
                "B38",
                "MUST",
                "both",
                "Attributes and relationships share one namespace, in which there is no `type` and no `id`.",
            ),
            Statement("B39", "MUST", "both", "`attributes` is an object."),
            Statement(
                "B40",
                "SHOULD NOT",
                "server",
                "Foreign keys are no attributes, but relationships.",
                _NOT_HERE + "which attributes there are, the application's schemas say.",
            ),
            Statement("B41", "MUST", "both", "`relationships` is an object, and each value in it."),
            Statement(
                "B42",
                "MUST",
                "both",
                "A relationship has one of `links`, `data`, `meta`, or a member of an extension.",
            ),
            Statement(
                "B43",
                "MUST",
                "server",
                "Pagination links of a to-many relationship page the linkage.",
                _NOT_HERE + "linkage is always whole.",
            ),
            Statement(
                "B44",
                "MUST",
                "server",
                "A `related` link is valid even if nothing is related, and stays when that changes.",
                _NOT_HERE + "relationships are shown by their linkage, without links.",
            ),
            Statement(
                "B45", "MUST", "both", "Linkage is null or an identifier, or an array of identifiers, empty or not."
            ),
            Statement("B46", "MAY", "server", "A resource has a link `self`."),
            Statement("B47", "MUST", "server", "A GET of that link answers with the resource."),
            Statement(
                "B48",
                "MUST",
                "both",
                "An identifier has `type` and `id`, for a new resource `lid`, and perhaps `meta`.",
            ),
            Statement(
                "B49",
                "MUST NOT",
                "server",
                "A compound document has each resource once, and none that nothing refers to.",
                _NOT_HERE + "there is no compound document without `included` (A2). Results repeat a resource as often "
                "as operations wrote it.",
            ),
        ),
    ),
    Section(
        "Meta, links, the implementation, and names",
        (
            Statement("B50", "MUST", "both", "Every `meta` is an object, with any members."),
            Statement("B51", "MUST", "both", "`links` is an object of URIs, link objects and nulls."),
            Statement("B52", "MUST", "both", "`jsonapi` is an object with `version`, `ext`, `profile` and `meta`."),
            Statement("B53", "MUST NOT", "both", "Nothing is negotiated by it, only by media types."),
            Statement(
                "B54",
                "MUST",
                "both",
                "Names are case sensitive, not empty, and of characters that are allowed.",
            ),
            Statement("B55", "MUST", "both", "Members that begin with `@` may stand anywhere, and are ignored."),
        ),
    ),
    Section(
        "Query parameters",
        (
            Statement("B56", "MUST", "server", "An endpoint that does not know `include` answers it with a 400."),
            Statement("B57", "MAY", "server", "One that does returns `included`, or a 400 for unknown paths."),
            Statement(
                "B58",
                "MUST",
                "both",
                "`fields[TYPE]` is a list with commas; no other fields are sent then.",
            ),
            Statement("B59", "MUST", "server", "A `sort` that is not supported is a 400."),
            Statement("B60", "SHOULD", "server", "The families `page` and `filter` are kept for what they stand for."),
            Statement("B61", "MUST", "both", "Parameters of an extension begin with its namespace; this one has none."),
            Statement(
                "B62",
                "MAY",
                "server",
                "Applications have parameters of their own, with such names as members have and a character that is "
                "not a to z.",
                _NOT_TAKEN + "the endpoint has none.",
            ),
            Statement("B63", "MUST", "server", "A parameter that is badly named or not known is a 400."),
            Statement(
                "B64", "MUST", "both", "Parameters are read as of forms; brackets that are not encoded mean the same."
            ),
        ),
    ),
    Section(
        "Writing in general",
        (
            Statement(
                "B65", "MAY", "server", "The server decides for each type what can be created, updated, deleted."
            ),
            Statement("B66", "MUST", "server", "A request succeeds or fails as a whole."),
        ),
    ),
    Section(
        "Creating resources",
        (
            Statement("B67", "MUST", "client", "There is one resource object, with `type`."),
            Statement("B68", "MUST", "client", "A relationship in it is an object with `data`."),
            Statement("B69", "MAY", "server", "Ids of the client are accepted; they are in `id`, and unique."),
            Statement("B70", "MUST", "server", "Where they are not, the answer is a 403."),
            Statement(
                "B71",
                "MUST",
                "server",
                "The answer is a 201, with `Location` and the resource.",
                _NOT_HERE + "in a batch A15, A30 and A31 stand in its place.",
            ),
            Statement(
                "B72",
                "MUST",
                "server",
                "What is accepted but not done is a 202.",
                _NOT_HERE + "whatever is answered with a success is done.",
            ),
            Statement(
                "B73",
                "MUST",
                "server",
                "What is created as it was sent is a 201 with a document or a 204.",
                _NOT_HERE + "in a batch A15 and A30 stand in its place.",
            ),
            Statement("B74", "MAY", "server", "A creation that is not supported is a 403."),
            Statement("B75", "MUST", "server", "A related resource that does not exist is a 404."),
            Statement("B76", "MUST", "server", "An id of the client that exists is a 409."),
            Statement("B77", "MUST", "server", "A type that is not in the collection is a 409."),
            Statement("B78", "SHOULD", "server", "Details show where the conflict comes from."),
        ),
    ),
    Section(
        "Updating resources",
        (
            Statement("B79", "MUST", "client", "There is one resource object, with `type` and `id`, or a `lid`."),
            Statement("B80", "MUST", "server", "Attributes that are missing keep their values; they are no nulls."),
            Statement("B81", "MUST", "server", "So do relationships."),
            Statement("B82", "MUST", "server", "A relationship has `data`, which replaces its value."),
            Statement(
                "B83",
                "MUST",
                "server",
                "Where a to-many relationship cannot be replaced, the whole update is refused with a 403.",
            ),
            Statement(
                "B84",
                "MUST",
                "server",
                "The answer is a 200 with the resource where more was changed, and else a 200 or 204.",
            ),
            Statement("B85", "MUST", "server", "An update that is not supported is a 403."),
            Statement("B86", "MUST", "server", "A resource that does not exist is a 404."),
            Statement("B87", "MUST", "server", "A related resource that does not exist is a 404."),
            Statement("B88", "MAY", "server", "Other constraints that are violated are a 409."),
            Statement("B89", "MUST", "server", "Where `type` and `id` do not match the target, the answer is a 409."),
            Statement("B90", "SHOULD", "server", "Details show where the conflict comes from."),
        ),
    ),
    Section(
        "Updating relationships",
        (
            Statement("B91", "MUST", "both", "To-one: `data` is there, an identifier or null; a success tells of one."),
            Statement("B92", "MUST", "client", "To-many: `data` is an array of identifiers, empty or not."),
            Statement(
                "B93",
                "MUST",
                "server",
                "Every member is replaced, or the answer is an error, a 403 where replacing is not allowed.",
            ),
            Statement("B94", "MUST", "server", "Members are added unless they are there, and never twice."),
            Statement("B95", "MUST", "server", "It is a success, also where all of them were there."),
            Statement(
                "B96", "MUST", "server", "Members are removed or it is a 403; that they were missing is a success, too."
            ),
            Statement(
                "B97",
                "MUST",
                "server",
                "Where a relationship changed in other ways, the answer has the linkage as `data`.",
                _NOT_HERE + "in a batch A49 and A57 forbid data. A plugin may tell of it in the `meta` of the result.",
            ),
            Statement("B98", "MUST", "server", "Otherwise the answer is a 200 without data or a 204."),
            Statement("B99", "MUST", "server", "An update of a relationship that is not supported is a 403."),
        ),
    ),
    Section(
        "Deleting resources",
        (
            Statement("B100", "MUST", "server", "The answer is a 204, or a 200 with a document without `data`."),
            Statement("B101", "SHOULD", "server", "A resource that does not exist is a 404."),
            Statement("B102", "MUST", "both", "Other answers mean what HTTP says that they mean."),
        ),
    ),
    Section(
        "Errors",
        (
            Statement("B103", "MAY", "server", "The server stops at the first problem, or tells several."),
            Statement("B104", "SHOULD", "server", "Several have the status that applies to all: 400 or 500 for a mix."),
            Statement("B105", "MUST", "server", "Error objects are in an array, the top-level `errors`."),
            Statement(
                "B106",
                "MUST",
                "server",
                "An error object has one at least of `id`, `links`, `status`, `code`, `title`, `detail`, `source` and "
                "`meta`.",
            ),
            Statement(
                "B107",
                "MAY",
                "server",
                "Its links `about` and `type` lead to explanations.",
                _NOT_TAKEN + "errors have no links; the documentation lists their codes.",
            ),
            Statement("B108", "SHOULD", "server", "`status` is there, as a string."),
            Statement("B109", "SHOULD NOT", "server", "`title` does not vary from occurrence to occurrence."),
            Statement(
                "B110", "SHOULD", "server", "`source` has one of `pointer`, `parameter` and `header`, or is left out."
            ),
            Statement("B111", "MUST", "server", "A pointer (RFC 6901) names a value that is in the request document."),
        ),
    ),
)

SECTIONS = {"Atomic Operations": ATOMIC_OPERATIONS, "JSON:API 1.1": JSON_API}
"""The sections of both texts, by the title of the text."""

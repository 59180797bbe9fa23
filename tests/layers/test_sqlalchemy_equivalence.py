"""A batched run cannot be told from a strict one, whatever the models: what the random documents' models do not have.

Each test has models in which a write reaches further than its operation says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from marshmallow import fields as plain
from sqlalchemy import (
    CheckConstraint,
    Computed,
    Enum,
    ForeignKey,
    Integer,
    String,
    UniqueConstraint,
    create_engine,
    event,
    func,
    select,
    table,
    text,
)
from sqlalchemy.orm import DeclarativeBase, declared_attr, mapped_column, relationship, sessionmaker, validates
from sqlalchemy.pool import StaticPool

from flask_atomic import Atomic, runs
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from tests.application import add, application, id_, post, relate, remove, schema, to_many, to_one, update

# ----------------------------------------------------------------------------------------------------------- comparing


class Declared(NamedTuple):
    """A resource type: its model, its name, and its fields."""

    model: Any
    type: str
    fields: dict[str, Any] = {}  # noqa: RUF012
    client_ids: str = "forbidden"


class Seen(NamedTuple):
    """All that can be seen of a run."""

    status: int
    document: Any
    rows: dict[str, list[dict[str, Any]]]


def compare(types: Sequence[Declared], seed: Sequence[Any], operations: Sequence[Any], status: int = 200) -> Seen:
    """Run the operations in all ways, each time on a new database, and return what all runs show.

    That is strictly and batched, and with and without a listener, for which every row is left to the session; and as if
    each operation stood in a row of many like it, so that what is updated need not be read.

    :param seed: the statements that insert what is there before.
    :param status: the status that the answer is to have.
    """
    strict = run(types, seed, operations, batch=False, listened=True)
    assert strict.status == status, strict.document
    for batch, listened in ((True, True), (False, False), (True, False)):
        assert run(types, seed, operations, batch=batch, listened=listened) == strict
    with patch.object(runs, "_LONG", 1):
        assert run(types, seed, operations, batch=True, listened=False) == strict
    return strict


def run(
    types: Sequence[Declared], seed: Sequence[Any], operations: Sequence[Any], *, batch: bool, listened: bool
) -> Seen:
    metadata = types[0].model.metadata
    engine = create_engine("sqlite://", poolclass=StaticPool)
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON"))
    metadata.create_all(engine)
    with engine.begin() as connection:
        for statement in seed:
            connection.execute(statement)
    sessions = sessionmaker(engine)
    if listened:
        event.listen(sessions, "before_flush", lambda *_: None)
    answer = post(application(atomic_of(types, sessions), ATOMIC_BATCH=batch).test_client(), *operations)
    with engine.connect() as connection:
        rows = {
            name: [dict(row) for row in connection.execute(written.select().order_by(*written.primary_key)).mappings()]
            for name, written in metadata.tables.items()
        }
    engine.dispose()
    return Seen(answer.status, answer.response.get_json(silent=True), rows)


def atomic_of(types: Sequence[Declared], sessions: Any, *plugins: object) -> Atomic:
    atomic = Atomic(SQLAlchemyLayer(sessions), *plugins)
    for declared in types:
        fields = schema(declared.type, **declared.fields)
        atomic.resource(fields, model=declared.model, client_ids=declared.client_ids)
    return atomic


def row(model: Any, **values: Any) -> Any:
    return model.__table__.insert().values(**values)


def words() -> plain.Str:
    return plain.Str(allow_none=True)


def hidden(type_: str) -> Any:
    """A to-many relationship that answers do not show."""
    return to_many(type_, include_resource_linkage=False)


def new_base() -> Any:
    """A base of models that have an integer as id, and a table of their name."""

    class Base(DeclarativeBase):
        id = mapped_column(Integer, primary_key=True)

        @declared_attr.directive
        def __tablename__(cls) -> str:  # noqa: N805
            return cls.__name__.lower()

    return Base


# ------------------------------------------------------------------------------------------------------------- orphans


def orphans(*, back: bool) -> tuple[list[Declared], list[Any]]:
    """Parents whose children are deleted when they leave them; `back`: a child shows its parent."""
    base = new_base()

    class Parent(base):
        children = relationship("Child", cascade="all, delete-orphan", **({"back_populates": "parent"} if back else {}))

    class Child(base):
        name = mapped_column(String)
        parent_id = mapped_column(ForeignKey("parent.id"))
        if back:
            parent = relationship("Parent", back_populates="children")

    class Friend(base):
        child_id = mapped_column(ForeignKey("child.id"))
        child = relationship("Child")

    types = [
        Declared(Parent, "parents", {"children": hidden("children")}),
        Declared(Child, "children", {"name": words()} | ({"parent": to_one("parents")} if back else {})),
        Declared(Friend, "friends", {"child": to_one("children")}),
    ]
    seed = [row(Parent, id=1), row(Parent, id=2), row(Child, id=1, name="x", parent_id=1), row(Friend, id=1)]
    return types, seed


both_ways = pytest.mark.parametrize("back", [False, True], ids=["one way", "both ways"])

PARENT, CHILD = id_("parents", "1"), id_("children", "1")
ORPHANING = {
    "update of the parent": update("parents", "1", {"children": []}),
    "update of the relationship": relate("update", PARENT, "children", []),
    "removal from the relationship": relate("remove", PARENT, "children", [CHILD]),
}
USES = {
    "updated": update("children", "1", attributes={"name": "q"}),
    "read": update("children", "1"),
    "removed": remove("children", "1"),
    "related by its next parent": update("parents", "2", {"children": [CHILD]}),
    "added to its next parent": relate("add", id_("parents", "2"), "children", [CHILD]),
    "related by another type": update("friends", "1", {"child": CHILD}),
    "related by a new resource": add("friends", {"child": CHILD}),
}


@both_ways
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("orphaning", ORPHANING)
def test_a_deleted_orphan_is_not_found(orphaning: str, use: str, back: bool) -> None:
    compare(*orphans(back=back), [ORPHANING[orphaning], USES[use]], 404)


def test_a_result_shows_a_related_orphan_that_is_deleted_later() -> None:
    base = new_base()

    class Parent(base):
        children = relationship("Child", cascade="all, delete-orphan")

    class Child(base):
        parent_id = mapped_column(ForeignKey("parent.id"))

    class Fan(base):
        name = mapped_column(String)
        child_id = mapped_column(ForeignKey("child.id", ondelete="SET NULL"))
        favourite = relationship("Child")

    types = [
        Declared(Parent, "parents", {"children": hidden("children")}),
        Declared(Child, "children"),
        Declared(Fan, "fans", {"name": words(), "favourite": to_one("children")}),
    ]
    seed = [row(Parent, id=1), row(Child, id=1, parent_id=1), row(Fan, id=1, child_id=1)]
    seen = compare(types, seed, [update("fans", "1", attributes={"name": "n"}), ORPHANING["update of the parent"]])
    assert seen.document["atomic:results"][0]["data"]["relationships"]["favourite"]["data"] == CHILD
    assert seen.rows["fan"] == [{"id": 1, "name": "n", "child_id": None}]


# -------------------------------------------------------------------------------------- what the column makes of values


def test_a_value_that_the_enum_does_not_have_is_refused() -> None:
    class Article(new_base()):
        status = mapped_column(Enum("draft", "published", name="status"))

    types = [Declared(Article, "articles", {"status": plain.Str()})]
    seen = compare(types, [], [add("articles", attributes={"status": "bogus"})], 422)
    assert seen.rows == {"article": []}
    updating = [update("articles", "1", attributes={"status": "bogus"})]
    seen = compare(types, [row(Article, id=1, status="draft")], updating, 422)
    assert seen.rows == {"article": [{"id": 1, "status": "draft"}]}


def test_a_number_in_a_column_of_texts_is_shown_as_it_was_at_each_operation() -> None:
    class Place(new_base()):
        name = mapped_column(String)
        zip = mapped_column(String)

    types = [Declared(Place, "places", {"name": words(), "zip": plain.Raw()})]
    operations = [update("places", "1", attributes={"zip": 5}), update("places", "1", attributes={"name": "b"})]
    compare(types, [row(Place, id=1, name="a")], operations)


NEXT = {
    "query": select(func.count() + 1).select_from(table("place")).scalar_subquery(),
    "call": lambda context: context.connection.execute(text("SELECT count(*) + 1 FROM place")).scalar(),
}


@pytest.mark.parametrize("default", NEXT)
def test_a_default_that_looks_at_the_table_sees_the_adds_before(default: str) -> None:
    class Place(new_base()):
        id = mapped_column(String(2), primary_key=True)
        position = mapped_column(Integer, default=NEXT[default])

    types = [Declared(Place, "places", {"position": plain.Int(dump_only=True)}, "required")]
    seen = compare(types, [], [add("places", id=id) for id in "abc"])
    assert [place["position"] for place in seen.rows["place"]] == [1, 2, 3]


# --------------------------------------------------------------------------------- members that two parents both claim

CONSTRAINTS = {
    409: lambda: UniqueConstraint("parent_id", "name"),
    422: lambda: CheckConstraint("parent_id = id OR name <> 'x'"),
}


def families(*, back: bool, refusal: int = 409) -> tuple[list[Declared], list[Any]]:
    """Two parents with a child each, both named x, which no child may be that joins the other."""
    base = new_base()

    class Parent(base):
        children = relationship("Child", **({"back_populates": "parent"} if back else {}))

    class Child(base):
        __table_args__ = (CONSTRAINTS[refusal](),)
        name = mapped_column(String)
        parent_id = mapped_column(ForeignKey("parent.id"))
        if back:
            parent = relationship("Parent", back_populates="children")

    parents = Declared(Parent, "parents", {"children": hidden("children")})
    children = Declared(Child, "children", {"name": words()})
    seed = [row(Parent, id=1), row(Parent, id=2)]
    return [parents, children], [*seed, *(row(Child, id=id, name="x", parent_id=id) for id in (1, 2))]


BOTH = [CHILD, id_("children", "2")]


@both_ways
def test_of_several_adds_that_claim_one_member_the_last_has_it(back: bool) -> None:
    seen = compare(*families(back=back), [add("parents", {"children": [CHILD]}) for _ in range(6)])
    assert [child["parent_id"] for child in seen.rows["child"]] == [8, 2]


@both_ways
@pytest.mark.parametrize("refusal", CONSTRAINTS)
def test_members_that_cannot_be_together_are_refused_although_one_is_renamed_later(refusal: int, back: bool) -> None:
    operations = [update("parents", "1", {"children": BOTH}), update("children", "2", attributes={"name": "y"})]
    compare(*families(back=back, refusal=refusal), operations, refusal)


@both_ways
def test_members_that_cannot_be_together_are_refused_although_one_is_claimed_later(back: bool) -> None:
    claims = [add("parents", {"children": [CHILD]}) for _ in range(5)]
    compare(*families(back=back), [add("parents", {"children": BOTH}), *claims], 409)


# -------------------------------------------------------------------------- columns that follow from other attributes


def lowered(context: Any) -> Any:
    return context.get_current_parameters()["title"].lower()


FOLLOWING = {
    "computed": lambda: mapped_column(String, Computed("lower(title)"), unique=True),
    "onupdate": lambda: mapped_column(String, unique=True, default=lowered, onupdate=lowered),
    "validator": lambda: mapped_column(String, unique=True),
}


@pytest.mark.parametrize("following", FOLLOWING)
def test_a_conflict_of_a_column_that_follows_the_attribute_is_found_at_once(following: str) -> None:
    class Post(new_base()):
        title = mapped_column(String)
        slug = FOLLOWING[following]()
        if following == "validator":

            @validates("title")
            def _follow(self, _: str, title: str) -> str:
                self.slug = title.lower()
                return title

    slugs = [{} if following == "computed" else {"slug": slug} for slug in "ab"]
    seed = [row(Post, id=id, title=title, **slug) for id, title, slug in zip((1, 2), "AB", slugs, strict=True)]
    operations = [update("posts", "2", attributes={"title": "a"}), update("posts", "1", attributes={"title": "c"})]
    compare([Declared(Post, "posts", {"title": words()})], seed, operations, 409)


def test_a_foreign_key_given_as_an_attribute_must_be_there_at_once() -> None:
    base = new_base()

    class Country(base):
        id = mapped_column(String(2), primary_key=True)

    class City(base):
        code = mapped_column(ForeignKey("country.id"))
        country = relationship("Country")

    types = [Declared(Country, "countries", client_ids="required"), Declared(City, "cities", {"code": words()})]
    compare(types, [], [add("cities", attributes={"code": "xx"}), add("countries", id="xx")], 409)


# ------------------------------------------------------------------------------------------------------------ cascades


@pytest.mark.filterwarnings("default:DELETE statement")  # as an error it would have the batch run again, strictly
def test_what_the_database_deletes_by_way_of_another_table_is_not_found() -> None:
    base = new_base()

    class Hen(base):
        egg_id = mapped_column(ForeignKey("egg.id", ondelete="CASCADE", use_alter=True, name="hatched"))

    class Egg(base):
        hen_id = mapped_column(ForeignKey("hen.id", ondelete="CASCADE"))

    types = [Declared(Hen, "hens"), Declared(Egg, "eggs")]
    seed = [row(Hen, id=1), row(Egg, id=1, hen_id=1), row(Hen, id=2, egg_id=1)]
    compare(types, seed, [remove("hens", "1"), remove("hens", "2")], 404)


def test_a_removal_that_takes_along_what_others_refer_to_is_a_conflict_at_once() -> None:
    base = new_base()

    class Parent(base):
        pass

    class Child(base):
        parent_id = mapped_column(ForeignKey("parent.id"))
        parent = relationship("Parent", cascade="all")

    types = [Declared(Parent, "parents"), Declared(Child, "children", {"parent": to_one("parents")})]
    seed = [row(Parent, id=1), row(Child, id=1, parent_id=1), row(Child, id=2, parent_id=1)]
    compare(types, seed, [remove("children", "1"), remove("children", "2")], 409)


# ------------------------------------------------------------------------------------------ one row, two resource types


def test_two_types_on_one_row_each_show_it_as_it_was() -> None:
    class Person(new_base()):
        name = mapped_column(String)

    types = [Declared(Person, type_, {"name": words()}) for type_ in ("people", "users")]
    operations = [update(type_, "1", attributes={"name": type_}) for type_ in ("people", "users")]
    seen = compare(types, [row(Person, id=1, name="0")], operations)
    assert names(seen) == ["people", "users"]


def test_the_types_of_a_class_and_its_subclass_each_show_a_row_as_it_was() -> None:
    base = new_base()

    class Party(base):
        kind = mapped_column(String)
        name = mapped_column(String)
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "party"}  # noqa: RUF012

    class Firm(Party):
        id = mapped_column(ForeignKey("party.id"), primary_key=True)
        __mapper_args__ = {"polymorphic_identity": "firm"}  # noqa: RUF012

    types = [Declared(Party, "parties", {"name": words()}), Declared(Firm, "firms", {"name": words()})]
    operations = [update(type_, "1", attributes={"name": type_}) for type_ in ("parties", "firms")]
    seen = compare(types, [row(Party, id=1, kind="firm", name="0"), row(Firm, id=1)], operations)
    assert names(seen) == ["parties", "firms"]


def names(seen: Seen) -> list[str]:
    return [result["data"]["attributes"]["name"] for result in seen.document["atomic:results"]]

"""Rows that are written without being read: those that are removed, and those of which all that is shown is sent.

It saves the SELECT, and makes no other difference: who would have been heard when they were read is heard still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

import pytest
from marshmallow import fields as plain
from sqlalchemy import Numeric, Select, String, create_engine, event, insert, select, text
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    reconstructor,
    sessionmaker,
    with_loader_criteria,
)

from flask_atomic import Atomic, hookimpl
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from tests.application import add, application, post, remove, schema, update
from tests.servers import second_connection

MANY = 25


class Base(DeclarativeBase):
    pass


class Shelf(Base):
    """Rows of which a client may send all that it sees; there is more in them."""

    __tablename__ = "shelves"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20))
    width: Mapped[int]
    tenant: Mapped[str] = mapped_column(String(20), default="ours")


class Weight(Base):
    """Rows that may not hold what they are given."""

    __tablename__ = "weights"
    id: Mapped[int] = mapped_column(primary_key=True)
    grams: Mapped[Any] = mapped_column(Numeric(5, 1))


class Label(Base):
    """Rows with a text as their key, that the database compares without regard to case."""

    __tablename__ = "labels"
    id: Mapped[str] = mapped_column(
        String(20, "NOCASE").with_variant(String(20, "utf8mb4_general_ci"), "mysql", "mariadb"), primary_key=True
    )
    text: Mapped[str] = mapped_column(String(20))


class Heard(Base):
    """Rows that somebody listens to when they are read."""

    __tablename__ = "heard"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20))


class Rebuilt(Base):
    """Rows that are told when they are read."""

    __tablename__ = "rebuilt"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20))
    ids: ClassVar[list[int]] = []

    @reconstructor
    def note(self) -> None:
        self.ids.append(self.id)


class Dot(Base):
    """Rows of which nothing is shown."""

    __tablename__ = "dots"
    id: Mapped[int] = mapped_column(primary_key=True)


heard_of: list[int] = []
event.listen(Heard, "load", lambda entity, _: heard_of.append(entity.id))


class Shop:
    """An application with shelves, labels and what is heard; the SQL statements it sends are in `sent`."""

    def __init__(self, url: str, *plugins: object, layer: type[SQLAlchemyLayer] = SQLAlchemyLayer) -> None:
        self.engine = create_engine(url)
        Base.metadata.create_all(self.engine, tables=self.tables())
        with self.engine.begin() as connection:
            connection.execute(insert(Shelf), [{"id": n, "name": "old", "width": 1} for n in range(1, MANY + 1)])
            connection.execute(insert(Weight), [{"id": n, "grams": 1} for n in range(1, MANY + 1)])
            connection.execute(insert(Heard), [{"id": n, "name": "old"} for n in range(1, MANY + 1)])
            connection.execute(insert(Rebuilt), [{"id": n, "name": "old"} for n in range(1, MANY + 1)])
            connection.execute(insert(Dot), [{"id": n} for n in range(1, MANY + 1)])
        self.sessions = sessionmaker(self.engine)
        atomic = Atomic(layer(self.sessions), *plugins)
        atomic.resource(schema("shelves", name=plain.Str(), width=plain.Int()), model=Shelf)
        atomic.resource(schema("weights", grams=plain.Decimal()), model=Weight)
        atomic.resource(schema("heard", name=plain.Str()), model=Heard)
        atomic.resource(schema("rebuilt", name=plain.Str()), model=Rebuilt)
        atomic.resource(schema("dots"), model=Dot)
        if Label.__table__ in self.tables():
            atomic.resource(schema("labels", text=plain.Str()), model=Label, client_ids="required")
        self.client = application(atomic).test_client()
        self.look = second_connection(url)

    def tables(self) -> list[Any]:
        texts = [] if self.engine.dialect.name == "postgresql" else [Label.__table__]  # which knows no such collation
        return [each.__table__ for each in (Shelf, Weight, Heard, Rebuilt, Dot)] + texts

    def post(self, *operations: Any) -> Any:
        return post(self.client, *operations)

    def stored(self, query: str) -> list[tuple[Any, ...]]:
        with self.look.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        sent: list[str] = []

        def note(*call: Any) -> None:
            sent.append(call[2].partition(" ")[0])

        event.listen(self.engine, "before_cursor_execute", note)
        yield sent
        event.remove(self.engine, "before_cursor_execute", note)


def whole(id_: int, name: str = "new", width: int = 2) -> Any:
    return update("shelves", str(id_), attributes={"name": name, "width": width})


def pointer_of(answer: Any) -> str:
    (error,) = answer.response.json["errors"]
    return str(error["source"]["pointer"])


def ids(count: int = MANY) -> range:
    return range(1, count + 1)


NAMES = "SELECT DISTINCT name, width, tenant FROM shelves"


class TestStatements:
    def test_of_updates_that_name_all_that_is_shown(self, database_url: str) -> None:
        shop = Shop(database_url)
        with shop.statements() as sent:
            answer = shop.post(*map(whole, ids()))
        assert (answer.status, sent) == (200, ["UPDATE"])
        assert [each["data"]["id"] for each in answer.results] == [str(id_) for id_ in ids()]
        assert answer.results[0]["data"]["attributes"] == {"name": "new", "width": 2}
        assert shop.stored(NAMES) == [("new", 2, "ours")]

    def test_of_updates_that_name_less(self, database_url: str) -> None:
        shop = Shop(database_url)
        operations = [update("shelves", str(id_), attributes={"name": "new"}) for id_ in ids()]
        with shop.statements() as sent:
            answer = shop.post(*operations, whole(MANY))
        assert (answer.status, sent) == (200, ["SELECT", "UPDATE", "UPDATE"])
        assert answer.results[0]["data"]["attributes"] == {"name": "new", "width": 1}

    def test_of_updates_of_nothing(self, database_url: str) -> None:
        shop = Shop(database_url)
        with shop.statements() as sent:
            answer = shop.post(*(update("dots", str(n)) for n in range(1, MANY + 1)))

        assert [result["data"]["id"] for result in answer.results] == [str(n) for n in range(1, MANY + 1)]
        assert sent == ["SELECT"]

    def test_of_updates_that_the_session_writes(self, sqlite_url: str) -> None:
        """They are read once."""
        shop = Shop(sqlite_url)
        event.listen(shop.sessions, "before_flush", lambda *_: None)
        with shop.statements() as sent:
            shop.post(*(whole(n) for n in range(1, MANY + 1)))

        assert sent == ["SELECT", "UPDATE"]

    def test_of_few_updates_which_are_read_at_once(self, sqlite_url: str) -> None:
        shop = Shop(sqlite_url)
        heard = [update("heard", str(id_), attributes={"name": "new"}) for id_ in ids(6)]
        with shop.statements() as sent:
            assert (
                shop.post(*(each for pair in zip(map(whole, ids(6)), heard, strict=True) for each in pair)).status
                == 200
            )
        assert sent == ["SELECT", "SELECT", "UPDATE", "UPDATE"]

    def test_of_removals(self, database_url: str) -> None:
        shop = Shop(database_url)
        with shop.statements() as sent:
            assert shop.post(*(remove("shelves", str(id_)) for id_ in ids())).status == 204
        assert sent == ["DELETE"]
        assert shop.stored(NAMES) == []

    def test_of_what_is_stored_otherwise_than_it_was_sent(self, sqlite_url: str) -> None:
        shop = Shop(sqlite_url)
        with shop.statements() as sent:
            answer = shop.post(*(update("weights", str(id_), attributes={"grams": 2.44}) for id_ in ids()))
        assert sent == ["UPDATE", "SELECT"]
        assert answer.results[0]["data"]["attributes"]["grams"] == 2.4


CHANGES: dict[str, Callable[[int], Any]] = {"update": whole, "remove": lambda id_: remove("shelves", str(id_))}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
class TestRefusals:
    @pytest.mark.parametrize("missing", [0, 12, MANY - 1])
    def test_one_that_is_missing_is_named_and_nothing_is_changed(
        self, database_url: str, change: Callable[[int], Any], missing: int
    ) -> None:
        shop = Shop(database_url)
        operations = [change(id_) for id_ in ids()]
        operations[missing] = change(99)
        answer = shop.post(*operations)
        assert answer.status == 404
        assert pointer_of(answer).startswith(f"/atomic:operations/{missing}/")
        assert len(shop.stored("SELECT id FROM shelves WHERE name = 'old'")) == MANY

    def test_one_that_is_missing_is_found_by_reading(self, sqlite_url: str, change: Callable[[int], Any]) -> None:
        shop = Shop(sqlite_url)
        with shop.statements() as sent:
            assert shop.post(*map(change, ids()), change(99)).status == 404
        assert len(sent) <= 5

    def test_who_decides_on_what_is_read_is_asked(self, sqlite_url: str, change: Callable[[int], Any]) -> None:
        shop = Shop(sqlite_url)

        @event.listens_for(shop.sessions, "do_orm_execute")
        def only_ours(state: Any) -> None:
            state.statement = state.statement.options(with_loader_criteria(Shelf, Shelf.tenant == "ours"))

        with shop.engine.begin() as connection:
            connection.execute(text("UPDATE shelves SET tenant = 'theirs' WHERE id = 7"))
        answer = shop.post(*map(change, ids()))
        assert answer.status == 404
        assert pointer_of(answer).startswith("/atomic:operations/6/")
        assert len(shop.stored("SELECT id FROM shelves WHERE name = 'old'")) == MANY

    def test_who_rewrites_statements_is_asked(self, sqlite_url: str, change: Callable[[int], Any]) -> None:
        shop = Shop(sqlite_url)

        def hide(_connection: Any, clause: Any, multiparams: Any, params: Any, _options: Any) -> Any:
            if isinstance(clause, Select):
                clause = clause.where(Shelf.__table__.c.id != 7)
            return clause, multiparams, params

        event.listen(shop.engine, "before_execute", hide, retval=True)

        answer = shop.post(*(change(n) for n in range(1, MANY + 1)))

        assert answer.response.status_code == 404
        assert pointer_of(answer).startswith("/atomic:operations/6/")
        assert shop.stored("SELECT count(*) FROM shelves WHERE name = 'old'") == [(MANY,)]

    def test_a_session_that_reads_in_its_own_way_is_asked(self, sqlite_url: str, change: Callable[[int], Any]) -> None:
        class Narrow(Session):
            def scalars(self, statement: Any, *args: Any, **options: Any) -> Any:
                return super().scalars(statement.where(Shelf.id < 20), *args, **options)

        shop = Shop(sqlite_url)
        shop.sessions.class_ = Narrow
        assert shop.post(*map(change, ids())).status == 404
        assert shop.post(*map(change, ids(19))).status < 300

    def test_a_plugin_that_hides_resources_is_asked(self, sqlite_url: str, change: Callable[[int], Any]) -> None:
        class Hiding:
            @hookimpl(wrapper=True)
            def atomic_get(self) -> Any:
                found = yield
                return {id_: entity for id_, entity in found.items() if id_ != 7}

        shop = Shop(sqlite_url, Hiding())
        answer = shop.post(*map(change, ids()))
        assert answer.status == 404
        assert pointer_of(answer).startswith("/atomic:operations/6/")

    def test_a_layer_that_hides_resources_is_asked(self, sqlite_url: str, change: Callable[[int], Any]) -> None:
        class Hiding(SQLAlchemyLayer):
            @hookimpl
            def atomic_get(self, unit: Any, resource: Any, ids: Any) -> Any:
                return super().atomic_get(unit, resource, [id_ for id_ in ids if id_ != 7])

        assert Shop(sqlite_url, layer=Hiding).post(*map(change, ids())).status == 404


@pytest.mark.parametrize("op", ["update", "remove"])
def test_who_listens_to_what_is_read_hears_of_it(sqlite_url: str, op: str) -> None:
    shop = Shop(sqlite_url)
    heard_of.clear()
    changes = {
        "update": [update("heard", str(id_), attributes={"name": "new"}) for id_ in ids()],
        "remove": [remove("heard", str(id_)) for id_ in ids()],
    }
    assert shop.post(*changes[op]).status < 300
    assert heard_of == list(ids())


@pytest.mark.parametrize("op", ["update", "remove"])
def test_a_reconstructor_is_called(sqlite_url: str, op: str) -> None:
    shop = Shop(sqlite_url)
    Rebuilt.ids.clear()
    changes = {
        "update": lambda n: update("rebuilt", n, attributes={"name": "new"}),
        "remove": partial(remove, "rebuilt"),
    }

    shop.post(*(changes[op](str(n)) for n in range(1, MANY + 1)))

    assert sorted(Rebuilt.ids) == list(range(1, MANY + 1))


@pytest.mark.parametrize("server", ["sqlite", "mariadb"])
@pytest.mark.parametrize("op", ["update", "remove"])
def test_a_text_that_the_database_takes_for_another_is_no_id_of_its_row(
    server: str, op: str, request: pytest.FixtureRequest
) -> None:
    shop = Shop(request.getfixturevalue(f"{server}_url"))
    names = [f"label{number}" for number in ids()]
    assert shop.post(*(add("labels", id=name, attributes={"text": "old"}) for name in names)).status == 200
    changes = {
        "update": [update("labels", name, attributes={"text": "new"}) for name in names],
        "remove": [remove("labels", name) for name in names],
        "odd update": update("labels", "LABEL7", attributes={"text": "new"}),
        "odd remove": remove("labels", "LABEL7"),
    }
    answer = shop.post(*changes[op][:6], changes[f"odd {op}"], *changes[op][7:])
    assert answer.status == 404
    assert pointer_of(answer).startswith("/atomic:operations/6/")
    assert len(shop.stored("SELECT id FROM labels WHERE text = 'old'")) == MANY


class TestOfOneRequest:
    def test_what_follows_finds_the_resource_as_it_is(self, database_url: str) -> None:
        shop = Shop(database_url)
        answer = shop.post(
            *map(whole, ids()),
            whole(3, name="once more"),
            update("shelves", "4", attributes={"width": 9}),
            remove("shelves", "5"),
            *(whole(id_, name="last") for id_ in ids() if id_ not in (3, 4, 5)),
            update("shelves", "6", attributes={"width": 8}),
        )
        assert answer.status == 200
        shown = [each["data"]["attributes"] if each else None for each in answer.results]
        assert shown[MANY : MANY + 3] == [{"name": "once more", "width": 2}, {"name": "new", "width": 9}, None]
        assert shown[-1] == {"name": "last", "width": 8}
        rows = shop.stored("SELECT id, name, width, tenant FROM shelves WHERE id < 7 ORDER BY id")
        assert rows == [
            (1, "last", 2, "ours"),
            (2, "last", 2, "ours"),
            (3, "once more", 2, "ours"),
            (4, "new", 9, "ours"),
            (6, "last", 8, "ours"),
        ]

    def test_what_was_added_is_updated_and_removed(self, sqlite_url: str) -> None:
        shop = Shop(sqlite_url)
        new = [add("shelves", lid=f"n{n}", attributes={"name": "new", "width": 1}) for n in ids()]
        updates = [update("shelves", lid=f"n{n}", attributes={"name": "newer", "width": 2}) for n in ids()]
        removals = [{"op": "remove", "ref": {"type": "shelves", "lid": f"n{n}"}} for n in ids(20)]
        assert shop.post(*new, *updates, *removals).status == 200
        assert shop.stored("SELECT count(*) FROM shelves WHERE name = 'newer'") == [(MANY - 20,)]

    def test_one_that_is_named_twice(self, sqlite_url: str) -> None:
        shop = Shop(sqlite_url)
        assert shop.post(*map(whole, ids()), *(whole(id_, name="again") for id_ in ids())).status == 200
        assert shop.stored("SELECT DISTINCT name FROM shelves") == [("again",)]
        removals = [remove("shelves", str(id_)) for id_ in (*ids(), 3)]
        answer = shop.post(*removals)
        assert pointer_of(answer) == f"/atomic:operations/{MANY}/ref/id"
        assert shop.stored("SELECT count(*) FROM shelves") == [(MANY,)]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_plugin_that_uses_the_session_finds_the_rows_there(sqlite_url: str, when: str) -> None:
    class Looking:
        seen: Any = None

        @hookimpl(wrapper=True)
        def atomic_flush(self, unit: Any) -> Any:
            if when == "before":
                self.look(unit.session)
            result = yield
            if when == "after":
                self.look(unit.session)
            return result

        def look(self, session: Session) -> None:
            shelf = session.scalars(select(Shelf).where(Shelf.id == 3)).one()
            self.seen = (shelf.name, shelf.tenant)

    looking = Looking()
    shop = Shop(sqlite_url, looking)
    assert shop.post(*map(whole, ids())).status == 200
    assert looking.seen == ("new", "ours")
    assert shop.stored("SELECT DISTINCT name, tenant FROM shelves") == [("new", "ours")]


def test_a_missing_row_that_the_session_was_left_to_write(sqlite_url: str) -> None:
    class Looking:
        @hookimpl(wrapper=True)
        def atomic_flush(self, unit: Any) -> Any:
            assert isinstance(unit.session, Session)
            return (yield)

    shop = Shop(sqlite_url, Looking())
    for change in CHANGES.values():
        answer = shop.post(*map(change, ids()), change(99))
        assert answer.status == 404
        assert pointer_of(answer).startswith(f"/atomic:operations/{MANY}/")
    assert shop.stored("SELECT DISTINCT name FROM shelves") == [("old",)]

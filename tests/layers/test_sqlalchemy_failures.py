"""What the SQLAlchemy layer tells of a failure: its kind, what is to blame, and nothing that a driver said."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    MetaData,
    Table,
    UniqueConstraint,
    create_engine,
    delete,
    event,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker

from flask_atomic import Atomic
from flask_atomic.errors import Conflict, OperationFailed, Transient, UnknownOutcome, Unprocessable
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from tests.application import add, application, id_, post, relate, schema, to_many
from tests.layers.hooks import Store, Work
from tests.layers.music import Company


def failure_of(work: Work) -> OperationFailed:
    with pytest.raises(OperationFailed) as failure:
        work.flush()
    told = failure.value.detail.lower()
    assert not any(word in told for word in ("sql", "constraint", "insert", "update", "column", "key", "error"))
    return failure.value


def kind(failure: OperationFailed) -> tuple[Any, ...]:
    return type(failure), failure.attribute, failure.relationship


def test_a_unique_value_that_is_taken(store: Store) -> None:
    with store.work(commit=False) as work:
        company = work.add("companies", name="A")
        work.flush()
        work.add("companies", name="A")
        assert kind(failure_of(work)) == (Conflict, "name", None)
    with store.work(commit=False) as work:
        company = work.add("companies", name="A")
        work.add("companies", name="'B' for key 'seats'")
        work.flush()
        work.update("companies", company, name="'B' for key 'seats'")
        assert kind(failure_of(work)) == (Conflict, "name", None)


def test_a_unique_value_over_several_columns(store: Store) -> None:
    with store.work(commit=False) as work:
        playlist = work.add("playlists", name="A")
        work.add("entries", position=1, playlist=playlist)
        work.flush()
        work.add("entries", position=1, playlist=playlist)
        failure = failure_of(work)
        assert isinstance(failure, Conflict)
        assert (failure.relationship, failure.attribute) in [("playlist", None), (None, "position")]


def test_a_client_id_that_is_taken(store: Store) -> None:
    with store.work() as work:
        work.add("tags", "c")
    with store.work(commit=False) as work:
        work.add("tags", "c")
        assert kind(failure_of(work)) == (Conflict, None, None)


def test_a_client_id_that_the_database_takes_for_another(store: Store) -> None:
    with store.work() as work:
        work.add("tags", "c")
    with store.work(commit=False) as work:
        assert work.get("tags", "C") == {}
        work.add("tags", "C")
        if store.dialect == "mysql":
            assert kind(failure_of(work)) == (Conflict, None, None)
        else:
            work.flush()


def test_a_related_row_that_was_removed_meanwhile(store: Store) -> None:
    with store.work() as work:
        work.add("companies", name="A")
    with store.work(commit=False) as work:
        company = work.unit.session.query(Company).one()
        work.unit.session.connection().execute(delete(Company))
        work.add("tracks", title="a", owner=company)
        failure = failure_of(work)
        assert isinstance(failure, Conflict)
        if store.dialect != "sqlite":  # which does not tell
            assert failure.relationship == "owner"


def test_a_value_that_is_missing(store: Store) -> None:
    with store.work(commit=False) as work:
        work.add("companies")
        assert kind(failure_of(work)) == (Unprocessable, "name", None)
    with store.work(commit=False) as work:
        work.add("tracks", title=None)
        assert kind(failure_of(work)) == (Unprocessable, "title", None)
    with store.work(commit=False) as work:
        work.add("entries", position=1)
        assert kind(failure_of(work)) == (Unprocessable, None, "playlist")
    with store.work(commit=False) as work:
        badge = work.add("badges", person=work.add("people"))
        work.flush()
        work.set("badges", badge, "person", None)
        assert kind(failure_of(work)) == (Unprocessable, None, "person")


def test_a_value_that_breaks_a_check(store: Store) -> None:
    with store.work(commit=False) as work:
        work.add("tracks", title="a", seconds=-1)
        assert kind(failure_of(work))[0] is Unprocessable


VALUES: list[tuple[str, dict[str, Any], str]] = [
    ("companies", {"name": "x" * 21}, "postgresql mysql"),
    ("companies", {"name": "nul\0"}, "postgresql"),
    ("companies", {"name": "\ud800"}, "sqlite postgresql mysql"),
    ("companies", {"name": {"an": "object"}}, "sqlite postgresql mysql"),
    ("tracks", {"title": "a", "seconds": 2**31}, "postgresql mysql"),
    ("tracks", {"title": "a", "seconds": 2**63}, "sqlite postgresql mysql"),
    ("tracks", {"title": "a", "seconds": 10**4000}, "sqlite postgresql mysql"),
    ("tracks", {"title": "a", "seconds": "many"}, "postgresql mysql"),
    ("tracks", {"title": "a", "seconds": {}}, "sqlite postgresql mysql"),
    ("readings", {"amount": Decimal("1e9")}, "postgresql mysql"),
    ("readings", {"amount": "many"}, "sqlite postgresql mysql"),
    ("readings", {"taken_at": "one day"}, "sqlite postgresql mysql"),
]


@pytest.mark.parametrize(("type_", "values", "refusing"), VALUES)
def test_a_value_that_cannot_be_stored(store: Store, type_: str, values: dict[str, Any], refusing: str) -> None:
    with store.work(commit=False) as work:
        work.add(type_, **values)
        if store.dialect in refusing:
            failure = failure_of(work)
            assert isinstance(failure, Unprocessable)
            assert failure.attribute in (None, *values)
        else:
            work.flush()


@pytest.mark.parametrize("id_", [2**31, -(2**31) - 1])
def test_an_id_beyond_the_column(store: Store, id_: int) -> None:
    with store.work(commit=False) as work:
        work.add("performers", id_, name="A")
        if store.dialect == "sqlite":
            work.flush()
        else:
            assert kind(failure_of(work)) == (Unprocessable, None, None)


def test_what_is_stored_may_refuse_by_a_trigger(store: Store) -> None:
    triggers = {
        "sqlite": ["CREATE TRIGGER no BEFORE INSERT ON fans BEGIN SELECT RAISE(ABORT, 'private'); END"],
        "mysql": [
            "CREATE TRIGGER no BEFORE INSERT ON fans FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='private'"
        ],
        "postgresql": [
            "CREATE FUNCTION no() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'private'; END $$ LANGUAGE plpgsql",
            "CREATE TRIGGER no BEFORE INSERT ON fans FOR EACH ROW EXECUTE FUNCTION no()",
        ],
    }
    dropping = "DROP TRIGGER no" + (" ON fans" if store.dialect == "postgresql" else "")
    with store.engine.begin() as connection:
        for statement in triggers[store.dialect]:
            connection.exec_driver_sql(statement)
    try:
        with store.work(commit=False) as work:
            work.add("fans")
            failure = failure_of(work)
            assert type(failure) is Conflict
            assert "private" not in failure.detail
    finally:
        with store.engine.begin() as connection:
            connection.exec_driver_sql(dropping)


def test_a_defect_is_told_as_it_is(store: Store) -> None:
    def wrong(session: Session, _flush_context: Any, _instances: Any) -> None:
        session.execute(text("SELECT id FROM nowhere"))

    with store.work(commit=False) as work:
        work.add("companies", name="A")
        event.listen(work.unit.session, "before_flush", wrong)
        with pytest.raises(DBAPIError, match="nowhere"):
            work.flush()


def disconnect(store: Store, work: Work) -> None:
    """End the connection of the unit, as a server does that is shut down."""
    ask, end = {
        "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend({})"),
        "mysql": ("SELECT connection_id()", "KILL {}"),
    }[store.dialect]
    process = work.unit.session.scalar(text(ask))
    with store.engine.connect() as other:
        other.exec_driver_sql(end.format(process))


class TestBusy:
    """Failures that pass: the same request may succeed later."""

    def test_a_lock_that_somebody_else_holds(self, store: Store) -> None:
        with store.work() as work:
            company = work.add("companies", name="A")
            work.flush()
            id_ = company.id
        with Session(store.engine) as other, store.work(commit=False) as work:
            other.execute(update(Company).values(country="CH"))
            company = work.one("companies", id_)
            limit = {
                "sqlite": "PRAGMA busy_timeout = 50",
                "postgresql": "SET LOCAL lock_timeout = '50ms'",
                "mysql": "SET SESSION innodb_lock_wait_timeout = 1",
            }
            work.unit.session.connection().exec_driver_sql(limit[store.dialect])
            work.update("companies", company, country="FR")
            assert isinstance(failure_of(work), Transient)
            other.rollback()
        store.engine.dispose()

    def test_a_pool_without_connections(self, store: Store) -> None:
        pool: Any = store.engine.pool
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pool, "_timeout", 0.05)
            held = [store.engine.connect() for _ in range(pool.size() + pool._max_overflow)]
            work = Work(store)
            with pytest.raises(Transient):
                work.get("companies", 1)
            work.rollback()
            for connection in held:
                connection.close()

    def test_a_server_that_is_not_there(self, store: Store) -> None:
        missing = {"database": "/no/such/folder"} if store.dialect == "sqlite" else {"port": 1}
        engine = create_engine(store.engine.url.set(**missing))
        with store.work(commit=False, layer=store.layer_on(sessionmaker(engine))) as work, pytest.raises(Transient):
            work.get("companies", 1)

    @pytest.mark.parametrize("module_store", ["postgresql", "mariadb"], indirect=True)
    def test_a_connection_that_is_lost(self, store: Store) -> None:
        with store.work(commit=False) as work:
            work.add("companies", name="A")
            work.flush()
            disconnect(store, work)
            work.add("companies", name="B")
            assert isinstance(failure_of(work), Transient)


class TestCommit:
    """The commit itself may fail: nothing is stored then, and nothing stays open."""

    @pytest.mark.parametrize("module_store", ["sqlite", "postgresql"], indirect=True)
    def test_a_constraint_that_is_checked_in_the_end(self, store: Store) -> None:
        with store.engine.begin() as connection:
            reference = "INT REFERENCES companies DEFERRABLE INITIALLY DEFERRED"
            connection.exec_driver_sql(f"CREATE TABLE later (company_id {reference})")
        try:
            work = Work(store)
            work.add("companies", name="A")
            work.flush()
            work.unit.session.execute(text("INSERT INTO later VALUES (-1)"))
            with pytest.raises(Conflict):
                work.commit()
            work.rollback()
            assert store.engine.pool.checkedout() == 0
            assert store.rows(text("SELECT * FROM companies")) == []
        finally:
            with store.engine.begin() as connection:
                connection.exec_driver_sql("DROP TABLE later")

    @pytest.mark.parametrize("module_store", ["postgresql", "mariadb"], indirect=True)
    def test_a_connection_that_is_lost(self, store: Store) -> None:
        """What the session hears is the same whether it was lost before the COMMIT or after."""
        work = Work(store)
        work.add("companies", name="A")
        work.flush()
        disconnect(store, work)
        with pytest.raises(UnknownOutcome):
            work.commit()
        work.rollback()
        assert store.engine.pool.checkedout() == 0
        assert store.rows(text("SELECT * FROM companies")) == []


def test_after_a_failed_flush_everything_is_undone_and_closed(store: Store) -> None:
    work = Work(store)
    work.add("companies", name="A")
    work.flush()
    work.add("companies", name="A")
    failure_of(work)
    work.rollback()
    assert store.engine.pool.checkedout() == 0
    assert store.rows(text("SELECT * FROM companies")) == []


@pytest.mark.parametrize(
    "taken",
    [lambda column: UniqueConstraint(column), lambda column: Index("taken", column, unique=True)],
    ids=["constraint", "index"],
)
@pytest.mark.parametrize("adding", [True, False])
def test_a_member_that_can_have_one_owner_only(database_url: str, taken: Any, adding: bool) -> None:
    """That is no race: trying again does not help."""

    class Base(DeclarativeBase):
        metadata = MetaData()

    shelf_books = Table(
        "shelf_books",
        Base.metadata,
        Column("shelf_id", ForeignKey("shelves.id"), primary_key=True),
        Column("book_id", ForeignKey("books.id"), primary_key=True),
        taken("book_id"),
    )

    class Book(Base):
        __tablename__ = "books"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Shelf(Base):
        __tablename__ = "shelves"
        id: Mapped[int] = mapped_column(primary_key=True)
        books: Mapped[list[Book]] = relationship(secondary=shelf_books)

    engine = create_engine(database_url)
    Base.metadata.create_all(engine)
    atomic = Atomic(SQLAlchemyLayer(sessionmaker(engine)))
    atomic.resource(schema("books"), model=Book, client_ids="allowed")
    atomic.resource(schema("shelves", books=to_many("books")), model=Shelf, client_ids="allowed")
    client = application(atomic).test_client()
    book = id_("books", "1")
    first = add("shelves", id="1", relationships={"books": [book]})
    assert post(client, add("books", id="1"), first, add("shelves", id="2")).status == 200

    again = relate("add", id_("shelves", "2"), "books", [book])
    answer = post(client, again if adding else add("shelves", id="3", relationships={"books": [book]}))

    assert [error[:2] for error in answer.errors] == [(409, "conflict")]
    with engine.connect() as connection:
        assert connection.execute(shelf_books.select()).all() == [(1, 1)]

"""Changes of many rows are one statement, also where the database performs an executemany one by one."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import pytest
from marshmallow import fields as plain
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
    column,
    create_engine,
    delete,
    event,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import registry, sessionmaker

from flask_atomic import Atomic
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from tests.application import application, post, schema, update
from tests.servers import second_connection

MANY = 25


class Things:
    """An application with a type of 25 rows that have a column `value` of this type."""

    def __init__(
        self, url: str, type_: Any, field: Any, name: str = "things", *, excluding: Any = None, **options: Any
    ) -> None:
        columns = Column("id", Integer, primary_key=True), Column("Value", type_, key="value", **options)
        self.table = Table(name, MetaData(), *columns, Column("other", Integer, nullable=True))
        if excluding is not None:
            self.table.append_constraint(excluding)
        model = type("Thing", (), {})
        registry(metadata=self.table.metadata).map_imperatively(model, self.table)
        self.engine = create_engine(url)
        self.table.metadata.create_all(self.engine)
        with self.engine.begin() as connection:
            connection.execute(insert(self.table), [{"id": number} for number in range(1, MANY + 1)])
        atomic = Atomic(SQLAlchemyLayer(sessionmaker(self.engine)))
        atomic.resource(schema("things", value=field, other=plain.Int(allow_none=True)), model=model)
        self.client = application(atomic).test_client()
        self.look = second_connection(url)

    def post(self, *operations: Any) -> tuple[Any, list[bool]]:
        """The answer, and for each UPDATE whether it was an executemany."""
        updates: list[bool] = []

        def note(
            connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
        ) -> None:
            if statement.startswith("UPDATE"):
                updates.append(executemany)

        event.listen(self.engine, "before_cursor_execute", note)
        answer = post(self.client, *operations)
        event.remove(self.engine, "before_cursor_execute", note)
        return answer, updates

    def stored(self) -> list[Any]:
        with self.look.connect() as connection:
            return list(connection.scalars(select(self.table.c.value).order_by(self.table.c.id)))


def updates(*values: Any, **others: Any) -> list[Any]:
    """An update of each thing; the values are taken in turns."""
    return [
        update("things", str(number + 1), attributes={"value": values[number % len(values)], **others})
        for number in range(MANY)
    ]


UUIDS = [f"6f1c1e2a-0000-4000-8000-00000000000{digit}" for digit in "ab"]
TEXTS = ["a'b\\{,}\"", "NULL", "", "é\U0001f600"]
VALUES: dict[str, tuple[Any, Any, list[Any], list[Any]]] = {
    "text": (
        String(20),
        plain.Str,
        ["a'b\\{,}\"", "NULL", "", "é\U0001f600"],
        ["a'b\\{,}\"", "NULL", "", "é\U0001f600"],
    ),
    "long text": (Text, plain.Str, ["x" * 5000, None], ["x" * 5000, None]),
    "number": (Integer, plain.Int, [1, -1, 2**31 - 1, None], [1, -1, 2**31 - 1, None]),
    "small number": (SmallInteger, plain.Int, [1, -1], [1, -1]),
    "big number": (BigInteger, plain.Int, [2**62, 1, None], [2**62, 1, None]),
    "truth": (Boolean, plain.Bool, [True, False, None], [True, False, None]),
    "date": (Date, plain.Date, ["2026-01-02", None], [date(2026, 1, 2), None]),
    "uuid": (Uuid, plain.UUID, [*UUIDS, None], [*map(UUID, UUIDS), None]),
    "nothing": (Integer, plain.Int, [None], [None]),
}


@pytest.mark.parametrize("kind", VALUES)
def test_values_of_every_kind_are_stored(database_url: str, kind: str) -> None:
    type_, field, sent, kept = VALUES[kind]
    things = Things(database_url, type_, field(allow_none=True))
    answer, statements = things.post(*updates(*sent, other=1))
    assert [result["data"]["attributes"]["value"] for result in answer.results] == [
        sent[number % len(sent)] for number in range(MANY)
    ]
    assert things.stored() == [kept[number % len(kept)] for number in range(MANY)]
    assert statements == [things.engine.dialect.name != "postgresql"]


def test_a_table_may_have_any_name(postgresql_url: str) -> None:
    for name in ("changed_rows", "unnest", "update"):
        things = Things(postgresql_url, Integer, plain.Int(), name=name)
        _, statements = things.post(*updates(1, 2))
        assert (statements, set(things.stored())) == ([False], {1, 2})


@pytest.mark.parametrize(
    ("type_", "value"), [(String(5), "too long"), (SmallInteger, 2**15), (Integer, 2**31), (Numeric(3, 1), 1000)]
)
def test_a_value_that_does_not_fit_is_refused_and_nothing_cut_off(postgresql_url: str, type_: Any, value: Any) -> None:
    things = Things(postgresql_url, type_, plain.Raw())
    sent = updates(1 if value != "too long" else "short")
    sent[7] = update("things", "8", attributes={"value": value})
    answer, _ = things.post(*sent)
    assert [(status, pointer[:3]) for status, _, pointer in answer.errors] == [(422, "/7")]
    assert things.stored() == [None] * MANY


def test_values_of_several_kinds_go_one_by_one(postgresql_url: str) -> None:
    things = Things(postgresql_url, String, plain.Raw())
    answer, statements = things.post(*updates("text", 5))
    assert (answer.status, statements) == (200, [True])
    assert set(things.stored()) == {"text", "5"}


def test_unique_values_go_in_the_order_of_the_operations(postgresql_url: str) -> None:
    things = Things(postgresql_url, Integer, plain.Int(allow_none=True), unique=True)
    first = [update("things", str(number), attributes={"value": number}) for number in range(1, MANY + 1)]
    assert things.post(*first)[0].status == 200
    freed = [update("things", str(MANY), attributes={"value": None})]
    onward = [update("things", str(number), attributes={"value": number + 1}) for number in range(MANY - 1, 0, -1)]
    assert things.post(*freed, *onward)[0].status == 200
    assert things.stored() == [*range(2, MANY + 1), None]


ELEMENTS: dict[str, tuple[tuple[Any, str], dict[str, Any]]] = {
    "a name": (("value", "="), {}),
    "a column without a table": ((column("Value"), "="), {}),
    "an expression": ((func.abs(column("Value")), "="), {}),
    "a text": ((text('abs("Value")'), "="), {}),
    "some rows": (("value", "="), {"where": text('"Value" > 0')}),
}


@pytest.mark.parametrize(("element", "options"), ELEMENTS.values(), ids=ELEMENTS)
def test_values_of_which_one_excludes_another_go_in_the_order_of_the_operations(
    postgresql_url: str, element: tuple[Any, str], options: dict[str, Any]
) -> None:
    """The rows lie in the other order, in which each value would be free before it is taken."""
    things = Things(postgresql_url, Integer, plain.Int(), excluding=ExcludeConstraint(element, using="hash", **options))
    with things.engine.begin() as connection:
        connection.execute(delete(things.table))
        connection.execute(insert(things.table), [{"id": number, "value": number} for number in range(MANY, 0, -1)])

    answer, _ = things.post(*(update("things", str(n), attributes={"value": n + 1}) for n in range(1, MANY + 1)))

    ((status, _, pointer),) = answer.errors
    assert (status, str(pointer)[:2]) == (409, "/0")

"""What the SQLAlchemy layer checks at start-up: which types it claims, and what it says of those it cannot serve."""

from __future__ import annotations

from typing import Any

import pytest
from flask_sqlalchemy import SQLAlchemy
from marshmallow import fields as plain
from sqlalchemy import CHAR, ForeignKey, LargeBinary, String, TypeDecorator, create_engine, event, func
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    column_property,
    mapped_column,
    relationship,
    sessionmaker,
    synonym,
)

from flask_atomic.codec import Codec
from flask_atomic.errors import ConfigurationError
from flask_atomic.hookspecs import Resource
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from tests.layers.music import resource, schema


class Base(DeclarativeBase):
    pass


class Guid(TypeDecorator[Any]):
    impl = CHAR(32)
    cache_ok = True


class House(Base):
    __tablename__ = "houses"
    key: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(5))
    street: Mapped[str] = mapped_column()
    city: Mapped[str]
    note: Mapped[str] = mapped_column(deferred=True)
    rooms: Mapped[list[Room]] = relationship(back_populates="house")
    big_rooms: Mapped[list[Room]] = relationship(viewonly=True)
    sizes: AssociationProxy[list[int]] = association_proxy("rooms", "size")
    length = column_property(func.length(street))
    road = synonym("street")

    @property
    def address(self) -> str:
        return f"{self.street}, {self.city}"

    @property
    def place(self) -> str:
        return self.city

    @place.setter
    def place(self, city: str) -> None:
        self.city = city

    @hybrid_property
    def shout(self) -> str:
        return self.street.upper()

    @hybrid_property
    def town(self) -> str:
        return self.city

    @town.inplace.setter
    def _town(self, city: str) -> None:
        self.city = city


class Room(Base):
    __tablename__ = "rooms"
    id: Mapped[int] = mapped_column(primary_key=True)
    size: Mapped[int]
    house_id: Mapped[int] = mapped_column(ForeignKey("houses.key"))
    house: Mapped[House] = relationship(back_populates="rooms")


class Pair(Base):
    __tablename__ = "pairs"
    left: Mapped[int] = mapped_column(primary_key=True)
    right: Mapped[int] = mapped_column(primary_key=True)


class Blob(Base):
    __tablename__ = "blobs"
    id: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)


class Opaque(Base):
    __tablename__ = "opaques"
    id: Mapped[Any] = mapped_column(Guid, primary_key=True)


class Watched(Base):
    __tablename__ = "watched"
    id: Mapped[int] = mapped_column(primary_key=True)


class Demanding(Base):
    __tablename__ = "demanding"
    id: Mapped[int] = mapped_column(primary_key=True)

    def __init__(self, secret: str) -> None:
        self.secret = secret


@pytest.fixture
def layer() -> SQLAlchemyLayer:
    return SQLAlchemyLayer(sessionmaker())


def test_a_type_without_a_model_is_left_to_other_layers(layer: SQLAlchemyLayer) -> None:
    codec = Codec(schema("houses", {}))
    assert layer.atomic_claim(Resource(codec=codec, collection="houses")) is None


def test_a_type_with_a_mapped_model_is_claimed(layer: SQLAlchemyLayer) -> None:
    assert layer.atomic_claim(resource(schema("houses", {"street": plain.Str}), House)) is layer


@pytest.mark.parametrize("model", [object, House(), "House", None, Base])
def test_a_model_that_is_not_mapped(layer: SQLAlchemyLayer, model: Any) -> None:
    with pytest.raises(ConfigurationError, match="not a mapped class"):
        layer.atomic_claim(resource(schema("houses", {}), model))


def test_models_that_sqlalchemy_cannot_configure(layer: SQLAlchemyLayer) -> None:
    class Broken(DeclarativeBase):
        pass

    class Lonely(Broken):
        __tablename__ = "lonely"
        id: Mapped[int] = mapped_column(primary_key=True)
        friend: Mapped[Any] = relationship("Nobody")

    try:
        with pytest.raises(ConfigurationError, match=r"(?s)'lonely'.*Nobody"):
            layer.atomic_claim(resource(schema("lonely", {}), Lonely))
    finally:
        Broken.registry.dispose()  # it would break the others, too


@pytest.mark.parametrize(
    ("model", "match"),
    [(Pair, "has 2 columns.*surrogate key"), (Blob, "integers, strings and UUIDs"), (Opaque, "python_type")],
)
def test_a_primary_key_that_is_no_id(layer: SQLAlchemyLayer, model: Any, match: str) -> None:
    with pytest.raises(ConfigurationError, match=match):
        layer.atomic_claim(resource(schema("things", {}), model))


def test_the_id_is_the_primary_key_by_its_name_or_by_none(layer: SQLAlchemyLayer) -> None:
    for name in (None, "id", "key"):
        claimed = resource(schema("houses", {}, id_attribute=name), House)
        layer.atomic_claim(claimed)
        house = House(key=5, id="five")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(layer, "_open_session", sessionmaker())
            assert layer.atomic_identify(layer.atomic_begin(), claimed, house) == 5
    with pytest.raises(ConfigurationError, match="primary key of House is 'key'"):
        layer.atomic_claim(resource(schema("houses", {}, id_attribute="street"), House))


def test_attributes_that_can_be_set(layer: SQLAlchemyLayer) -> None:
    attributes = {name: plain.Str() for name in ("street", "place", "town", "road", "note", "sizes")}
    assert layer.atomic_claim(resource(schema("houses", attributes), House)) is layer


@pytest.mark.parametrize("name", ["colour", "address", "shout", "length"])
def test_attributes_that_cannot_be_set(layer: SQLAlchemyLayer, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'{name}'.*dump_only"):
        layer.atomic_claim(resource(schema("houses", {name: plain.Str}), House))
    shown = resource(schema("houses", {name: plain.Str(dump_only=True)}), House)
    assert layer.atomic_claim(shown) is layer


@pytest.mark.parametrize(
    ("relationships", "match"),
    [
        ({"owner": "people"}, "no relationship\\(\\) of House"),
        ({"sizes": "rooms*"}, "no relationship\\(\\) of House"),
        ({"street": "streets*"}, "no relationship\\(\\) of House"),
        ({"rooms": "rooms"}, "holds many"),
        ({"big_rooms": "rooms*"}, "viewonly"),
    ],
)
def test_relationships_that_the_model_does_not_keep(
    layer: SQLAlchemyLayer, relationships: dict[str, str], match: str
) -> None:
    with pytest.raises(ConfigurationError, match=match):
        layer.atomic_claim(resource(schema("houses", {}, relationships), House))


def test_a_to_one_relationship_that_is_declared_to_many(layer: SQLAlchemyLayer) -> None:
    with pytest.raises(ConfigurationError, match="holds one"):
        layer.atomic_claim(resource(schema("rooms", {}, {"house": "houses*"}), Room))


def test_a_class_that_asks_for_what_is_not_mapped(layer: SQLAlchemyLayer) -> None:
    with pytest.raises(ConfigurationError, match="'secret'"):
        layer.atomic_claim(resource(schema("demanding", {}), Demanding))


@pytest.mark.parametrize(
    ("name", "independent"),
    [
        ("street", True),
        ("note", True),
        ("length", False),
        ("address", False),
        ("shout", False),
        ("sizes", False),
        ("elsewhere", False),
    ],
)
def test_computed_attributes_make_a_type_dependent(layer: SQLAlchemyLayer, name: str, independent: bool) -> None:
    claimed = resource(schema("houses", {name: plain.Str(dump_only=True)}), House)
    layer.atomic_claim(claimed)
    assert layer.atomic_independent(claimed) is independent


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("what", ["insert", "update", "delete"])
def test_events_of_single_rows_make_a_type_dependent(layer: SQLAlchemyLayer, when: str, what: str) -> None:
    def listen(*_: Any) -> None:
        """Could change other rows."""

    claimed = resource(schema("watched", {}), Watched)
    layer.atomic_claim(claimed)
    assert layer.atomic_independent(claimed)
    event.listen(Watched, f"{when}_{what}", listen)
    try:
        assert not layer.atomic_independent(claimed)
    finally:
        event.remove(Watched, f"{when}_{what}", listen)


@pytest.mark.parametrize("sessions", [None, "sqlite://", object(), sessionmaker])
def test_sessions_must_come_from_somewhere(sessions: Any) -> None:
    with pytest.raises(ConfigurationError, match="sessionmaker\\(engine\\)"):
        SQLAlchemyLayer(sessions)


def test_only_an_application_s_session_can_be_shared() -> None:
    with pytest.raises(ConfigurationError, match="scoped_session"):
        SQLAlchemyLayer(sessionmaker(), share_session=True)


AUTOCOMMIT = [{"isolation_level": "AUTOCOMMIT"}, {"execution_options": {"isolation_level": "AUTOCOMMIT"}}]


@pytest.mark.parametrize("options", AUTOCOMMIT)
@pytest.mark.parametrize(
    "url", ["sqlite://", "postgresql+psycopg://nobody:secret@nowhere/", "mysql+pymysql://nowhere/"]
)
def test_an_engine_that_rolls_nothing_back(url: str, options: dict[str, Any]) -> None:
    engine = create_engine(url, **options)
    claimed = resource(schema("houses", {"street": plain.Str()}), House)

    with pytest.raises(ConfigurationError, match="is set to AUTOCOMMIT: nothing could be rolled back") as told:
        SQLAlchemyLayer(sessionmaker(engine)).atomic_claim(claimed)
    assert "secret" not in str(told.value)
    SQLAlchemyLayer(sessionmaker(engine), isolation_level="serializable").atomic_claim(claimed)


@pytest.mark.parametrize("url", ["sqlite://", "postgresql+psycopg://nowhere/", "mysql+pymysql://nowhere/"])
def test_a_level_that_the_database_lacks(url: str) -> None:
    claimed = resource(schema("houses", {"street": plain.Str()}), House)

    with pytest.raises(ConfigurationError, match=r"'SNAPSHOT' .* none that \w+ has. It has: .*SERIALIZABLE"):
        SQLAlchemyLayer(sessionmaker(create_engine(url)), isolation_level="SNAPSHOT").atomic_claim(claimed)


def test_an_engine_that_is_not_known_yet() -> None:
    claimed = resource(schema("houses", {"street": plain.Str()}), House)

    for sessions in (sessionmaker(), SQLAlchemy()):
        assert SQLAlchemyLayer(sessions, isolation_level="SNAPSHOT").atomic_claim(claimed)


def test_autocommit_is_no_isolation_level() -> None:
    with pytest.raises(ConfigurationError, match="AUTOCOMMIT"):
        SQLAlchemyLayer(sessionmaker(), isolation_level="autocommit")

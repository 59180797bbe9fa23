"""The customers and computers of the benchmark on fastapi-jsonapi; BENCH_DB names the SQLite file."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, ClassVar, Optional

from fastapi import Depends, FastAPI
from fastapi.responses import ORJSONResponse
from fastapi_jsonapi import ApplicationBuilder
from fastapi_jsonapi.atomic import AtomicOperations
from fastapi_jsonapi.misc.sqla.generics.base import ViewBaseGeneric
from fastapi_jsonapi.schema_base import BaseModel
from fastapi_jsonapi.types_metadata import RelationshipInfo
from fastapi_jsonapi.views import Operation, OperationConfig, ViewBase
from pydantic import ConfigDict
from sqlalchemy import ForeignKey, event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

engine = create_async_engine(f"sqlite+aiosqlite:///{os.environ['BENCH_DB']}")
sessions = async_sessionmaker(bind=engine, autocommit=False, expire_on_commit=False)


@event.listens_for(engine.sync_engine, "connect")
def tune(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    email: Mapped[str]
    computers: Mapped[list[Computer]] = relationship(back_populates="owner")


class Computer(Base):
    __tablename__ = "computers"
    id: Mapped[int] = mapped_column(primary_key=True)
    serial: Mapped[str]
    owner_id: Mapped[Optional[int]] = mapped_column(ForeignKey("customers.id"), index=True)
    owner: Mapped[Optional[Customer]] = relationship(back_populates="computers")


class CustomerSchema(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    name: str
    email: str


class ComputerSchema(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    serial: str
    owner: Annotated[Optional[CustomerSchema], RelationshipInfo(resource_type="customer")] = None


async def open_session() -> AsyncIterator[AsyncSession]:
    async with sessions() as session:
        yield session


class SessionDependency(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    session: AsyncSession = Depends(open_session)


def handler(view: ViewBase, dto: SessionDependency) -> dict[str, Any]:
    return {"session": dto.session}


class View(ViewBaseGeneric):
    operation_dependencies: ClassVar = {
        Operation.ALL: OperationConfig(dependencies=SessionDependency, prepare_data_layer_kwargs=handler),
    }


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


application = FastAPI(lifespan=lifespan, default_response_class=ORJSONResponse)
builder = ApplicationBuilder(application)
for type_, schema, model in (("customer", CustomerSchema, Customer), ("computer", ComputerSchema, Computer)):
    builder.add_resource(path=f"/{type_}s", tags=[type_], view=View, schema=schema, model=model, resource_type=type_)
builder.initialize()
application.include_router(AtomicOperations().router)

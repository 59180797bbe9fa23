"""The default data layer: resources are kept by mapped classes of SQLAlchemy."""

from .layer import SQLAlchemyLayer
from .remembered import idempotency_table

__all__ = ["SQLAlchemyLayer", "idempotency_table"]

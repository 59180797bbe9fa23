"""The default data layer: resources are kept by mapped classes of SQLAlchemy."""

from .decisions import decisions_table
from .layer import SQLAlchemyLayer
from .remembered import idempotency_table
from .two_phase import TwoPhaseSQLAlchemyLayer

__all__ = ["SQLAlchemyLayer", "TwoPhaseSQLAlchemyLayer", "decisions_table", "idempotency_table"]

"""The default data layer: resources are kept by mapped classes of SQLAlchemy."""

from .layer import SQLAlchemyLayer

__all__ = ["SQLAlchemyLayer"]

"""A data layer of flask_atomic that keeps resources in Redis."""

from .discovery import from_config
from .layer import RedisLayer

__all__ = ["RedisLayer", "from_config"]

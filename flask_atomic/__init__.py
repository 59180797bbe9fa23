"""flask_atomic: the JSON:API Atomic Operations extension for Flask, with data layers as plugins."""

from .context import current_operation, current_request
from .errors import (
    ConfigurationError,
    Conflict,
    NotFound,
    OperationFailed,
    OutOfSpace,
    Refused,
    RequestFailed,
    Stale,
    Transient,
    UnknownOutcome,
    Unprocessable,
)
from .extension import Atomic
from .hookspecs import hookimpl
from .layers.memory import MemoryLayer

__all__ = [
    "Atomic",
    "ConfigurationError",
    "Conflict",
    "MemoryLayer",
    "NotFound",
    "OperationFailed",
    "OutOfSpace",
    "Refused",
    "RequestFailed",
    "Stale",
    "Transient",
    "UnknownOutcome",
    "Unprocessable",
    "current_operation",
    "current_request",
    "hookimpl",
]

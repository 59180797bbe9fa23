"""The entry point: a layer from the configuration of an application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .layer import RedisLayer

__all__ = ["from_config"]


def from_config(config: Mapping[str, Any]) -> RedisLayer | None:
    """Return a layer on the server at `REDIS_URL`, None where the application has no such setting.

    :param config: the application's configuration. `REDIS_PREFIX` is what the layer's keys begin with.
    :raises ConfigurationError: if the URL is none of Redis.
    """
    url = config.get("REDIS_URL")
    return None if url is None else RedisLayer(url, prefix=config.get("REDIS_PREFIX", "atomic"))

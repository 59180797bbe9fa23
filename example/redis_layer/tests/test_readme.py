"""The application of the README runs, and leaves the keys that are shown there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from flask_atomic.testing import AtomicClient, Document, identifier
from redis import Redis

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def stored(redis: Redis, key: str) -> str:
    kind = redis.type(key)
    if kind == "hash":
        return "   ".join(f"{name} {value}" for name, value in redis.hgetall(key).items())
    return " ".join(sorted(redis.smembers(key))) if kind == "set" else redis.get(key)


def test_the_application_of_the_readme(redis_url: str, redis: Redis, prefix: str) -> None:
    module: dict[str, Any] = {"__name__": "readme"}
    exec(block("python"), module)
    client = AtomicClient(module["create_app"](REDIS_URL=redis_url, REDIS_PREFIX=prefix))
    ada, bob = identifier("people", lid="ada"), identifier("people", lid="bob")
    document = (
        Document()
        .add("people", lid="ada", attributes={"name": "Ada"})
        .add("people", lid="bob", attributes={"name": "Bob"})
        .add(
            "articles",
            attributes={"title": "Notes", "published": "1843-09-01"},
            relationships={"author": ada, "readers": [ada, bob]},
        )
    )
    assert client.send(document).status == 200
    shown = {line.split(maxsplit=2)[0]: line.split(maxsplit=2)[1:] for line in block("text").splitlines()}
    keys = {key.replace(prefix, "atomic", 1): key for key in redis.scan_iter(f"{prefix}*")}
    there = {name: (redis.type(key), sorted(stored(redis, key).split("   "))) for name, key in keys.items()}
    assert {name: (kind, sorted(value.split("   "))) for name, (kind, value) in shown.items()} == there

"""Sending documents to an application, and an application that keeps its resources in memory."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from ..errors import ConfigurationError
from ..extension import Atomic, registered
from ..layers.memory import MemoryLayer
from ..negotiation import CONTENT_TYPE
from .answer import Answer
from .document import Document

__all__ = ["AtomicClient", "in_memory"]


def in_memory(atomic: Atomic, **config: Any) -> Flask:
    """Return a new application that serves the resource types of `atomic`, and keeps them in memory.

    The plugins of `atomic` that are no data layers are at work in it. The memory is empty at first, and its own.

    :param config: its configuration.
    """
    application = Flask("in_memory")
    application.config.update(config)
    application.register_blueprint(atomic.with_layers(MemoryLayer()).blueprint)
    return application


class AtomicClient:
    """Sends documents to an endpoint.

    :param application: the application, or a test client of it: one that is logged in, for instance.
    :param path: the path of the endpoint; may be left out if the application has only one.
    """

    def __init__(self, application: Flask | FlaskClient, path: str | None = None) -> None:
        self.http = application.test_client() if isinstance(application, Flask) else application
        """Flask's test client."""
        self.path = _only_path(self.http.application) if path is None else path

    def send(self, document: Document, **options: Any) -> Answer:
        """Send a document in the media type of the extension.

        :param options: what Flask's test client takes: `headers` and `query_string`, for instance.
        """
        given = {"json": document.to_json(), "content_type": CONTENT_TYPE, **options}
        return Answer(document, self.http.post(self.path, **given))


def _only_path(application: Flask) -> str:
    paths = [path for _, path, _ in registered(application)]
    if len(paths) != 1:
        raise ConfigurationError(f"The application has {len(paths)} endpoints. Name the path of one: path=...")
    return paths[0]

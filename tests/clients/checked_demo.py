"""The demo as the clients of the tests meet it: an answer that is no response document of the extension is a 500."""

from __future__ import annotations

from flask import Flask, Response, request

import example
from tests.json_schemas import check_response

__all__ = ["checked", "create_app"]


def create_app() -> Flask:
    return checked(example.create_app())


def checked(flask: Flask) -> Flask:
    """The application, which checks its answers against the JSON Schema of responses before it sends them."""

    @flask.after_request
    def check(response: Response) -> Response:
        check_response(response, request.method)
        return response

    return flask

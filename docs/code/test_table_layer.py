"""The layer of table_layer.py keeps the contract."""

import pytest
from table_app import create_app

from flask_atomic.testing import LayerContract


class TestTableLayer(LayerContract):
    lacks = frozenset({"prepare", "flush", "versions", "repeats", "forget"})
    samples = {
        "articles": [{"title": "One"}, {"title": "Two"}],
        "tags": [{"word": "one", "note": "first"}, {"word": "two", "note": "second"}, {"word": "three", "note": None}],
    }

    @pytest.fixture
    def application(self, tmp_path):
        return create_app(tmp_path / "articles.sqlite")

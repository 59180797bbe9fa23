"""JSON values to bytes: the same values with and without `orjson`."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given

from flask_atomic import compactjson
from flask_atomic.compactjson import dumps
from tests.documents import json_values


@pytest.fixture(params=["orjson", "json"], autouse=True, scope="module")
def library(request):
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "json":
            patched.setattr(compactjson, "orjson", None)
        else:
            pytest.importorskip("orjson", reason="The extra is not installed.")
        yield request.param


@given(json_values)
def test_every_value_is_written(value):
    assert json.loads(dumps(value)) == value


@pytest.mark.parametrize("value", [2**70, -(2**70), "half of a pair: \ud800", {"a": [2**64]}])
def test_what_only_the_standard_library_writes(value):
    assert json.loads(dumps(value)) == value


@pytest.mark.parametrize("value", [Decimal(1), {1, 2}, object(), {"a": b"bytes"}])
def test_what_json_has_nothing_for(value):
    with pytest.raises(TypeError):
        dumps(value)


def test_no_spaces(library):
    assert dumps({"a": [1, 2.5, None, True, "ä"]}) in (
        b'{"a":[1,2.5,null,true,"\\u00e4"]}',
        b'{"a":[1,2.5,null,true,"\xc3\xa4"]}',
    )

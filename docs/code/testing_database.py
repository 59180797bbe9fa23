"""Tests of the application that the quickstart builds, as it is."""

# <test>
import pytest
import quickstart

from flask_atomic.testing import Document


@pytest.fixture
def atomic_application(tmp_path):
    return quickstart.create_app(f"sqlite:///{tmp_path / 'test.sqlite'}")


def test_a_name_is_taken_once(atomic_client):
    ada = Document().add("people", attributes={"name": "Ada Lovelace"})
    atomic_client.send(ada).assert_success()

    atomic_client.send(ada).assert_error("conflict", pointer="/atomic:operations/0/data/attributes/name")


# </test>

"""Tests of the application that the quickstart builds, in memory."""

# <fixture>
import pytest
import quickstart

from flask_atomic.testing import Document, identifier


@pytest.fixture
def atomic():
    return quickstart.atomic


# </fixture>


# <results>
def test_an_article_is_added_with_its_author(atomic_client):
    document = (
        Document()
        .add("people", lid="ada", attributes={"name": "Ada Lovelace"})
        .add("articles", attributes={"title": "Notes"}, relationships={"author": identifier("people", lid="ada")})
    )

    ada, article = atomic_client.send(document).resources

    assert article["relationships"]["author"]["data"] == identifier("people", ada["id"])


# </results>


# <errors>
def test_a_title_is_a_text(atomic_client):
    document = Document().add("articles", attributes={"title": "Notes"}).add("articles", attributes={"title": 7})

    answer = atomic_client.send(document)

    error = answer.assert_error("invalid-attribute", pointer="/atomic:operations/1/data/attributes/title", status=422)
    assert answer.value_at(error.pointer) == 7


# </errors>


# <existing>
def test_an_article_changes_its_author(atomic_client):
    people = Document().add("people", attributes={"name": "Ada"}).add("people", attributes={"name": "Charles"})
    ada, charles = atomic_client.send(people).resources
    document = Document().add("articles", attributes={"title": "Notes"}, relationships={"author": ada})
    [article] = atomic_client.send(document).resources

    answer = atomic_client.send(Document().set_relationship(article, "author", charles).update(article))

    assert answer.resources[1]["relationships"]["author"]["data"] == identifier("people", charles["id"])


# </existing>

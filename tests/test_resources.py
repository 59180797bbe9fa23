"""Declared resource types: what may be done with them, and how the catalogue finds them. References."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from marshmallow_jsonapi import Schema, fields

from flask_atomic.codec import Codec
from flask_atomic.errors import ConfigurationError
from flask_atomic.resources import Catalog, Reference, Resource


class PlaylistSchema(Schema):
    id = fields.Str()
    name = fields.Str()
    tracks = fields.Relationship(type_="musicTracks", many=True)
    cover = fields.Relationship(type_="pictures", allow_none=True)

    class Meta:
        type_ = "playlists"


class TrackSchema(Schema):
    id = fields.Str()
    occurs_in = fields.Relationship(type_="playlists", many=True, data_key="occursIn")

    class Meta:
        type_ = "musicTracks"


class PictureSchema(Schema):
    id = fields.Str()

    class Meta:
        type_ = "pictures"


def resource(schema, collection=None, **facts):
    codec = Codec(schema)
    return Resource(codec, collection or codec.type, **facts)


def catalogue_with(playlists):
    return Catalog([playlists, resource(TrackSchema), resource(PictureSchema)])


class TestResource:
    def test_its_type_and_relationships_are_those_of_the_schema(self):
        playlists = resource(PlaylistSchema)

        assert playlists.type == "playlists"
        assert {name: (held.type, held.many) for name, held in playlists.relationships.items()} == {
            "tracks": ("musicTracks", True),
            "cover": ("pictures", False),
        }
        assert repr(playlists) == "<Resource playlists>"

    def test_it_cannot_be_changed(self):
        with pytest.raises(FrozenInstanceError):
            resource(PlaylistSchema).client_ids = "allowed"
        with pytest.raises(TypeError):
            resource(PlaylistSchema).options["model"] = object

    def test_two_declarations_of_one_schema_are_two_keys(self):
        first, second = resource(PlaylistSchema), resource(PlaylistSchema)

        assert {first: 1, second: 2}[first] == 1

    @pytest.mark.parametrize(
        ("operations", "permitted"),
        [
            (
                None,
                "add update remove cover.update tracks.add tracks.update tracks.remove",
            ),
            (set(), ""),
            ({"add"}, "add"),
            ({"remove"}, "remove"),
            ({"update"}, "update cover.update tracks.add tracks.update tracks.remove"),
            ({"update", "tracks.add"}, "update cover.update tracks.add"),
            ({"tracks.add", "tracks.remove"}, "tracks.add tracks.remove"),
            ({"add", "cover.update"}, "add cover.update"),
            ({"update", "cover.update", "tracks.update"}, "update cover.update tracks.update"),
        ],
    )
    def test_a_relationship_follows_its_resource_unless_it_is_named(self, operations, permitted):
        playlists = resource(PlaylistSchema, operations=None if operations is None else frozenset(operations))
        asked = {op: playlists.permits(op) for op in ("add", "update", "remove")}
        for name in ("cover", "tracks"):
            for op in ("add", "update", "remove") if name == "tracks" else ("update",):
                asked[f"{name}.{op}"] = playlists.permits(op, playlists.relationships[name])

        assert {name for name, answer in asked.items() if answer} == set(permitted.split())

    def test_a_relationship_is_permitted_by_its_name_in_documents(self):
        tracks = resource(TrackSchema, operations=frozenset({"occursIn.add"}))

        assert tracks.permits("add", tracks.relationships["occursIn"])
        assert not tracks.permits("update", tracks.relationships["occursIn"])
        catalogue = Catalog([tracks, resource(PlaylistSchema), resource(PictureSchema)])
        assert catalogue["musicTracks"] is tracks


class TestCatalog:
    def test_resources_are_found_by_type_and_by_collection(self):
        playlists = resource(PlaylistSchema, "lists-of-tracks")
        catalogue = catalogue_with(playlists)

        assert catalogue["playlists"] is catalogue.get("playlists") is playlists
        assert catalogue.of_collection("lists-of-tracks") is playlists

    def test_a_type_is_no_collection_and_a_collection_is_no_type(self):
        catalogue = catalogue_with(resource(PlaylistSchema, "lists-of-tracks"))

        assert catalogue.get("lists-of-tracks") is None
        assert catalogue.of_collection("playlists") is None
        with pytest.raises(KeyError):
            catalogue["lists-of-tracks"]

    def test_a_collection_may_have_the_name_of_another_type_if_that_has_moved(self):
        playlists, tracks = resource(PlaylistSchema, "musicTracks"), resource(TrackSchema, "tracks")
        catalogue = Catalog([playlists, tracks, resource(PictureSchema)])

        assert catalogue.of_collection("musicTracks") is playlists
        assert catalogue["musicTracks"] is tracks

    def test_resources_come_in_the_order_of_their_declaration(self):
        declared = [resource(PlaylistSchema), resource(TrackSchema), resource(PictureSchema)]

        assert list(Catalog(declared)) == declared
        assert list(Catalog(declared[::-1])) == declared[::-1]
        assert list(Catalog([])) == []

    def test_two_resources_of_one_type_are_a_mistake(self):
        with pytest.raises(ConfigurationError, match="Two resources have the type 'pictures': the schemas PictureSch"):
            Catalog([resource(PictureSchema), resource(PictureSchema, "photographs")])

    def test_two_collections_of_one_name_are_a_mistake(self):
        with pytest.raises(ConfigurationError) as mistake:
            Catalog([resource(PictureSchema), resource(TrackSchema, "pictures")])

        for named in ("collection 'pictures'", "PictureSchema", "TrackSchema"):
            assert named in str(mistake.value)

    def test_a_relationship_to_a_type_that_is_not_declared_is_a_mistake(self):
        with pytest.raises(ConfigurationError) as mistake:
            Catalog([resource(PlaylistSchema), resource(TrackSchema)])

        for named in ("'cover'", "'playlists'", "'pictures'", "atomic.resource(...)"):
            assert named in str(mistake.value)

    @pytest.mark.parametrize(
        "unknown",
        [
            "create",
            "Add",
            "",
            "tracks",
            "tracks.",
            ".add",
            "tracks.replace",
            "cover.add",
            "cover.remove",
            "name.update",
        ],
    )
    def test_an_operation_that_there_is_not_is_a_mistake(self, unknown):
        playlists = resource(PlaylistSchema, operations=frozenset({"add", unknown}))

        with pytest.raises(ConfigurationError) as mistake:
            catalogue_with(playlists)

        assert f"operations= of 'playlists' names {unknown!r}." in str(mistake.value)
        assert "add, cover.update, remove, tracks.add, tracks.remove, tracks.update, update" in str(mistake.value)

    def test_every_operation_that_there_is_may_be_named(self):
        operations = ["add", "update", "remove", "cover.update", "tracks.add", "tracks.update", "tracks.remove"]
        playlists = resource(PlaylistSchema, operations=frozenset(operations))

        assert catalogue_with(playlists)["playlists"].operations == set(operations)


class TestReference:
    def test_the_id_that_is_known_is_not_looked_for(self):
        pictures, entity = resource(PictureSchema), object()
        asked = []
        reference = Reference(pictures, entity, 7, asked.append)

        assert (reference.type, reference.resource) == ("pictures", pictures)
        assert (reference.entity, reference.id) == (entity, 7)
        assert asked == []

    def test_the_id_is_found_on_demand_and_once(self):
        asked = []

        def find_id(reference):
            asked.append(reference)
            return 7

        reference = Reference(resource(PictureSchema), object(), None, find_id)

        assert reference.entity is not None
        assert asked == []
        assert (reference.id, reference.id) == (7, 7)
        assert asked == [reference]

    @pytest.mark.parametrize("id_", [0, ""])
    def test_an_id_may_be_falsy(self, id_):
        assert Reference(resource(PictureSchema), object(), id_, [].append).id == id_

    def test_a_failure_to_find_the_id_is_passed_on_and_not_remembered(self):
        answers = iter([LookupError, 7])

        def find_id(reference):
            answer = next(answers)
            if answer is LookupError:
                raise LookupError
            return answer

        reference = Reference(resource(PictureSchema), object(), None, find_id)

        with pytest.raises(LookupError):
            _ = reference.id
        assert reference.id == 7

    def test_looking_at_it_does_not_look_for_the_id(self):
        asked = []

        assert repr(Reference(resource(PictureSchema), object(), None, asked.append)) == "<Reference pictures None>"
        assert repr(Reference(resource(PictureSchema), None, 7, asked.append)) == "<Reference pictures 7>"
        assert asked == []

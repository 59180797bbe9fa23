"""Which types are the layer's, and the ids of their resources."""

from __future__ import annotations

from ...hookspecs import Resource
from .expect import expect
from .promise import promise
from .tested import TestedLayer

__all__ = ["Identity"]

_TEXTS = (
    *(
        "1",
        "7",
        "007",
        "0",
        "-1",
        "-0",
        "+1",
        " 1",
        "1 ",
        "1.0",
        "1e3",
        "1_000",
        "0x1",
        "0b1",
        "1,5",
        "NaN",
        "Infinity",
    ),
    *("\u0661", "\uff11", "\u00b2", "\U0001d7d9", "1\u200b", "\u202e1", "\x01", "\n", "\x7f", "\x85", " ", "\ufeff"),
    *("null", "None", "true", "[]", "{}", '""', "'", '"', "\\", "%", "_", "*", "?", ":", "a:b", "a/b", "..", "--", ";"),
    *("6f1c1e2a-0000-4000-8000-00000000000a", "6F1C1E2A00004000800000000000000A", "{6f1c1e2a}", "urn:uuid:0", "g" * 36),
    *("a", "A", "\xe4", "a\u0308", "\u0130", "\u6625", "\U0001f680", "\U0010ffff", "a" * 255, "a" * 256, "\xe4" * 5000),
    *("2147483647", "2147483648", "-2147483649", "9223372036854775807", "9223372036854775808", "9" * 30, "1" * 5000),
)
"""What clients may send for an id."""


class Identity:
    """Tests of `atomic_claim`, `atomic_parse_id` and `atomic_identify`."""

    @promise("atomic_claim", "the layer itself to serve the type")
    def test_claim_returns_the_layer(self, tested: TestedLayer) -> None:
        """Of each type that it serves."""
        for binding in tested.bindings.values():
            claimed = tested.layer.claim(resource=binding.resource)
            assert claimed is tested.layer.plugin, f"For '{binding.resource.type}' it returned {claimed!r}."

    @promise("atomic_parse_id", "raises nothing, whatever the text")
    def test_parse_id_raises_nothing(self, tested: TestedLayer) -> None:
        """Clients send anything."""
        for binding in tested.bindings.values():
            for text in _TEXTS:
                tested.parse_id(binding.resource, text)

    @promise("atomic_parse_id", "The id can be hashed.")
    def test_ids_can_be_hashed(self, tested: TestedLayer) -> None:
        """The core keeps resources by their ids."""
        for resource, text in _parsed(tested):
            hash(tested.parse_id(resource, text))

    @promise("atomic_parse_id", "Texts for the same id give equal ids")
    def test_the_same_text_gives_equal_ids(self, tested: TestedLayer) -> None:
        """Equal to the eyes of a dictionary."""
        for resource, text in _parsed(tested):
            seen = {tested.parse_id(resource, text): "found"}.get(tested.parse_id(resource, text))
            expect(f"An id looked up by {text[:40]!r} that was kept by the same", seen, "found")

    @promise("atomic_parse_id", "the `str()` of the id is one of them")
    def test_the_text_of_an_id_gives_an_equal_one(self, tested: TestedLayer) -> None:
        """Clients are sent that text, and send it back."""
        for resource, text in _parsed(tested):
            id_ = tested.parse_id(resource, text)
            expect(f"The id for the text of {id_!r}"[:200], tested.parse_id(resource, str(id_)), id_)

    @promise("atomic_parse_id", "Return the canonical id that `text` stands for")
    def test_the_text_of_a_new_id_gives_that_id(self, tested: TestedLayer) -> None:
        """The id of a resource as the layer makes it is the one that clients name it by."""
        resource = tested.resource
        with tested.work() as work:
            id_ = work.one(resource).id
        expect(f"The id for {str(id_)!r}", tested.parse_id(resource, str(id_)), id_)

    @promise("atomic_parse_id", "None if no resource of the type can have it")
    def test_ids_can_be_looked_up(self, tested: TestedLayer) -> None:
        """An id that the store cannot compare should have been None."""
        for binding in tested.bindings.values():
            resource = binding.resource
            ids = dict.fromkeys(tested.parse_id(resource, text) for text in _TEXTS)
            ids.pop(None, None)
            if ids:
                with tested.work() as work:
                    expect("What was found in an empty store", dict(work.entities(resource, ids)), {})

    @promise("atomic_identify", "Return the id of the entity")
    def test_identify_returns_the_id(self, tested: TestedLayer) -> None:
        """Of what was read, the id that it was found by."""
        resource = tested.resource
        ids = tested.done(lambda work: [work.one(resource, number).id for number in (0, 1)])
        with tested.work() as work:
            identified = [work.identify(work.get(resource, id_)) for id_ in ids]
        expect("The ids of two entities", identified, ids)

    @promise("atomic_identify", "None if only `atomic_flush` can tell")
    def test_identify_knows_new_resources(self, tested: TestedLayer) -> None:
        """What is told before the flush holds afterwards; a layer that does not flush tells at once."""
        resource = tested.resource
        with tested.work() as work:
            one = work.one(resource)
            early = work.identify(one)
            work.flush()
            late = work.identify(one)
            assert late is not None, "It returned None for a new entity that does not wait any more."
            assert early in (None, late), f"It returned {early!r} before the flush and {late!r} after it."


def _parsed(tested: TestedLayer) -> list[tuple[Resource, str]]:
    """The texts that are ids, with the type that they are ids of."""
    resources = [binding.resource for binding in tested.bindings.values()]
    return [
        (resource, text) for resource in resources for text in _TEXTS if tested.parse_id(resource, text) is not None
    ]

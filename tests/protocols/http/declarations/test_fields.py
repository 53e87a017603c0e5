"""Objects of JSON: the keys that they take, their errors, and their schema."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.protocols.http.declarations.fields import Field, Fields, OptionalField
from gobelieve.protocols.http.declarations.shapes import AnyOf, Integer, ShapeError, Text


class Pair(Fields):
    """An object with one key that it must have, and one that it may have."""

    b = OptionalField(Text())
    a = Field(Integer())


class Triple(Pair):
    """The keys of a pair, and one more."""

    c = Field(Integer())


class Other(Fields):
    """An object with a key that a pair does not have."""

    d = Field(Integer())


class FieldsTests(SynchronousTestCase):
    """Objects of JSON are read by the class that declares their keys."""

    def refused(self, shape: type[Fields], value: Any) -> str:
        with self.assertRaises(ShapeError, msg=repr(value)) as caught:
            shape.read(value, "x")
        return str(caught.exception)

    def test_declared_keys_are_attributes(self) -> None:
        """An optional key that is absent is None; keys that are not declared are passed over."""
        pair = Pair.read({"a": 1, "b": "t", "c": 2}, "x")
        self.assertEqual((pair.a, pair.b, pair.given), (1, "t", {"a": 1, "b": "t"}))
        pair = Pair.read({"a": 1}, "x")
        self.assertEqual((pair.a, pair.b, pair.given), (1, None, {"a": 1}))

    def test_errors_name_the_key(self) -> None:
        """A missing key, a value of another shape, and a value that is no object are refused."""
        self.assertEqual(self.refused(Pair, {"b": "t"}), "x.a is missing")
        self.assertEqual(self.refused(Pair, {"a": 1, "b": 2}), "x.b: a text is wanted")
        self.assertEqual(self.refused(Pair, {"b": 2}), "x.a is missing", "required keys come first")
        others: list[Any] = [[], None, 1]
        for value in others:
            self.assertEqual(self.refused(Pair, value), "x: an object is wanted")

    def test_a_subclass_has_the_keys_of_its_base(self) -> None:
        """The base class keeps its own."""
        triple = Triple.read({"a": 1, "c": 3}, "x")
        self.assertEqual((triple.a, triple.b, triple.c), (1, None, 3))
        self.assertEqual(self.refused(Triple, {"a": 1}), "x.c is missing")
        self.assertEqual(Pair.read({"a": 1}, "x").a, 1)

    def test_schema(self) -> None:
        """The document lists required keys first."""
        schema = Triple.schema()
        self.assertEqual(list(schema["properties"]), ["a", "c", "b"])
        self.assertEqual(schema["required"], ["a", "c"])
        self.assertEqual(schema["properties"]["b"], {"type": "string"})

    def test_one_of_two_objects(self) -> None:
        """The first class that fits counts; the error names what each one lacks."""
        shape = AnyOf[Pair | Other](Pair, Other)
        self.assertIsInstance(shape.read({"a": 1, "d": 2}, "x"), Pair)
        self.assertIsInstance(shape.read({"d": 2}, "x"), Other)
        with self.assertRaises(ShapeError) as caught:
            shape.read({}, "x")
        self.assertEqual(str(caught.exception), "x.a is missing; or x.d is missing")

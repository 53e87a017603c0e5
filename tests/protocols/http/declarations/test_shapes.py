"""Shapes: the values that they take, and those that they refuse."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.protocols.http.declarations.shapes import (
    MAX_INTEGER,
    MIN_INTEGER,
    AnyOf,
    Boolean,
    Integer,
    ListOf,
    NumbersOf,
    Shape,
    ShapeError,
    Text,
)


class ShapeTests(SynchronousTestCase):
    """Each shape takes its values, and refuses others with the place of the error."""

    def takes(self, shape: Shape[object], *values: Any) -> None:
        for value in values:
            self.assertEqual(shape.read(value, "x"), value)

    def refuses(self, shape: Shape[object], *values: Any) -> None:
        for value in values:
            with self.assertRaises(ShapeError, msg=repr(value)) as caught:
                shape.read(value, "x")
            self.assertIn("x", str(caught.exception))

    def test_integer(self) -> None:
        """An integer has 64 bits. Neither true nor a whole float is one."""
        self.takes(Integer(), 0, MIN_INTEGER, MAX_INTEGER)
        self.refuses(Integer(), 1.0, True, "1", None, MAX_INTEGER + 1, MIN_INTEGER - 1)
        self.refuses(Integer(0, 1), 2, -1)

    def test_integer_in_a_url(self) -> None:
        """An integer in a URL consists of ASCII digits, with a sign or without."""
        for text, number in (("7", 7), ("-7", -7), ("+7", 7), ("007", 7)):
            self.assertEqual(Integer().parse(text, "x"), number)
        for text in (
            "",
            " 7",
            "7.0",
            "0x7",
            "\u0667",
            "7_0",
            str(MAX_INTEGER + 1),
            "9" * 5000,
            "--7",
        ):
            with self.assertRaises(ShapeError, msg=text[:30]):
                Integer().parse(text, "x")

    def test_text_and_boolean(self) -> None:
        """A text with choices is one of them; only true and false are booleans."""
        self.takes(Text(), "", "x")
        self.refuses(Text(), 1, None)
        self.takes(Text("a", "b"), "a")
        self.refuses(Text("a", "b"), "c")
        self.takes(Boolean(), True, False)
        self.refuses(Boolean(), 0, 1, "true")

    def test_half_a_character(self) -> None:
        """A surrogate, which JSON can name and no database takes, becomes U+FFFD."""
        self.assertEqual(Text().read("a\ud800b\udfff", "x"), "a\ufffdb\ufffd")
        self.assertEqual(Text(max_length=2).read("\udc80\U0001f600", "x"), "\ufffd\U0001f600")

    def test_lists(self) -> None:
        """A list has a maximum; the error names the item that is wrong."""
        self.takes(ListOf(Integer(), 2), [], [1, 2])
        self.refuses(ListOf(Integer(), 2), [1, 2, 3], None, {})
        with self.assertRaises(ShapeError) as caught:
            ListOf(Integer(), 9).read([1, "2"], "x")
        self.assertTrue(str(caught.exception).startswith("x[1]: "))

    def test_numbers(self) -> None:
        """Items that are not numbers are passed over; a float is refused."""
        self.assertEqual(NumbersOf(9).read([1, "2", None, True, [], {}, 3], "x"), [1, 3])
        self.assertEqual(NumbersOf(9).read(None, "x"), [])
        self.refuses(NumbersOf(9), [1.5], [MAX_INTEGER + 1], "1", {})

    def test_any_of(self) -> None:
        """The first shape that fits counts; if none does, the error names all reasons."""
        shape = AnyOf[object](Integer(), Text("a"), ListOf(Integer(), 1))
        self.takes(shape, 1, "a", [1])
        with self.assertRaises(ShapeError) as caught:
            shape.read("b", "x")
        reasons = str(caught.exception).split("; or ")
        self.assertEqual(reasons[1:], ["x: a is wanted", "x: a list of at most 1 is wanted"])
        same = AnyOf[object](Boolean(), Boolean())
        with self.assertRaises(ShapeError) as caught:
            same.read(1, "x")
        self.assertEqual(str(caught.exception), "x: true or false is wanted")

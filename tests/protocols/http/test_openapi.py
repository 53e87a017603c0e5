"""The OpenAPI document of a table of routes, and the page that is made of it."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.protocols.http.declarations.answers import Data, PageAnswer
from gobelieve.protocols.http.declarations.bodies import JsonBody, TextBody
from gobelieve.protocols.http.declarations.fields import Field, Fields, OptionalField
from gobelieve.protocols.http.declarations.parameters import (
    OptionalParameter,
    Parameter,
    Parameters,
)
from gobelieve.protocols.http.declarations.routes import Call, OpenToAll, Operation
from gobelieve.protocols.http.declarations.shapes import Boolean, Integer, ListOf, NumbersOf, Text
from gobelieve.protocols.http.docs import page
from gobelieve.protocols.http.openapi import document


async def answer(call: Call[Any, Any]) -> Any:
    """Answer nothing: the document is made of declarations alone."""


class Basic:
    """`Access` with another scheme."""

    name = "app"

    def scheme(self) -> dict[str, Any]:
        return {"type": "http", "scheme": "basic"}

    def check(self, request: object) -> None:
        raise NotImplementedError


class Group(Parameters):
    """A group to change."""

    group = Parameter("group", Integer(), "Which.")


class GroupAndWay(Group):
    """A group, and a way to change it."""

    how = OptionalParameter("how", Text("a", "b"), "How.")


class Change(Fields):
    """A change of a group."""

    name = Field(Text())
    members = Field(NumbersOf(5))
    on = OptionalField(Boolean())
    ids = OptionalField(ListOf(Integer(), 9))


ROUTES = [
    Operation(
        "PATCH PUT",
        "/groups/{group}",
        "Change <it> & `that`.",
        GroupAndWay,
        JsonBody(Change, "What."),
        Data[object]({"type": "object", "properties": {"id": {"type": "integer"}}}),
        {404: "There is none."},
    ).route(Basic(), answer),
    Operation("DELETE", "/groups/{group}", "End it.", Group).route(Basic(), answer),
    Operation(
        "GET", "/free", "Free.", body=TextBody("Text."), answer=PageAnswer("text/html")
    ).route(OpenToAll(), answer),
]


class DocumentTests(SynchronousTestCase):
    """The document shows what the operations declare."""

    def setUp(self) -> None:
        self.document = document(ROUTES, "1.2", "About.\n\nMore.")

    def test_parameters(self) -> None:
        """Each parameter is in the path or in the query, with its schema."""
        patch = self.document["paths"]["/groups/{group}"]["patch"]
        group, how = patch["parameters"]
        self.assertEqual((group["in"], group["required"]), ("path", True))
        self.assertEqual(group["schema"]["minimum"], -(1 << 63))
        self.assertEqual((how["in"], how["required"]), ("query", False))
        self.assertEqual(how["schema"], {"type": "string", "enum": ["a", "b"]})

    def test_methods(self) -> None:
        """Each method of a path is an operation with a name of its own."""
        operations = self.document["paths"]["/groups/{group}"]
        self.assertEqual(set(operations), {"patch", "put", "delete"})
        self.assertEqual(len({one["operationId"] for one in operations.values()}), 3)

    def test_access(self) -> None:
        """Each access has a scheme; operations that are open to all have none."""
        self.assertEqual(self.document["components"]["securitySchemes"], {"app": Basic().scheme()})
        paths = self.document["paths"]
        self.assertEqual(paths["/groups/{group}"]["put"]["security"], [{"app": []}])
        self.assertEqual(paths["/free"]["get"]["security"], [])
        self.assertNotIn("401", paths["/free"]["get"]["responses"])

    def test_answers(self) -> None:
        """Data is shown in its wrapping, other content as it is, each error with its text."""
        answers = self.document["paths"]["/groups/{group}"]["put"]["responses"]
        self.assertEqual(list(answers), ["200", "400", "401", "404", "413", "503"])
        schema = answers["200"]["content"]["application/json"]["schema"]
        self.assertEqual(schema["properties"]["data"]["properties"], {"id": {"type": "integer"}})
        free = self.document["paths"]["/free"]["get"]["responses"]["200"]["content"]
        self.assertEqual(list(free), ["text/html"])

    def test_the_page(self) -> None:
        """The page escapes texts, and shows methods with the same summary once."""
        text = page(self.document).decode()
        self.assertIn("Change &lt;it&gt; &amp; <code>that</code>.", text)
        self.assertNotIn("<it>", text)
        self.assertEqual(text.count("There is none."), 1)
        for shown in (
            "PATCH",
            "PUT",
            "DELETE",
            "&quot;ids&quot;: [integer, ...]  (optional)",
            "without a key",
        ):
            self.assertIn(shown, text)

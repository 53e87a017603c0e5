"""The OpenAPI document of a table of routes, and the page that is made of it."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.protocols.http.docs import page
from gobelieve.protocols.http.openapi import document
from gobelieve.protocols.http.routes import Answer, Call, JsonBody, Parameter, Route, TextBody
from gobelieve.protocols.http.shapes import (
    Anything,
    Boolean,
    Fields,
    Integer,
    ListOf,
    NumbersOf,
    Text,
)


async def nothing(call: Call) -> Answer:
    """Answers all of them."""
    return None


class Basic:
    """Another way to say who one is."""

    name = "app"

    def scheme(self) -> dict[str, Any]:
        return {"type": "http", "scheme": "basic"}

    def check(self, request: object) -> None:
        raise NotImplementedError


SHAPE = Fields(
    {"name": Text(), "members": NumbersOf(5)}, {"on": Boolean(), "ids": ListOf(Integer(), 9)}
)
ROUTES = [
    Route(
        "/groups/{group}",
        ("PATCH", "PUT"),
        "Change <it> & `that`.",
        nothing,
        Basic(),
        parameters=(
            Parameter("group", Integer(), "Which."),
            Parameter("how", Text("a", "b"), "How.", required=False),
        ),
        body=JsonBody(SHAPE, "What."),
        gives=Anything({"type": "object", "properties": {"id": {"type": "integer"}}}),
        errors={404: "There is none."},
    ),
    Route(
        "/groups/{group}",
        ("DELETE",),
        "End it.",
        nothing,
        Basic(),
        parameters=(Parameter("group", Integer(), ""),),
    ),
    Route("/free", ("GET",), "Free.", nothing, None, body=TextBody("Text."), gives="text/html"),
]


class DocumentTests(SynchronousTestCase):
    """What is declared is what is told."""

    def setUp(self) -> None:
        self.document = document(ROUTES, "1.2", "About.\n\nMore.")

    def test_parameters(self) -> None:
        """In the path or in the query, with their schema."""
        patch = self.document["paths"]["/groups/{group}"]["patch"]
        group, how = patch["parameters"]
        self.assertEqual((group["in"], group["required"]), ("path", True))
        self.assertEqual(group["schema"]["minimum"], -(1 << 63))
        self.assertEqual((how["in"], how["required"]), ("query", False))
        self.assertEqual(how["schema"], {"type": "string", "enum": ["a", "b"]})

    def test_methods(self) -> None:
        """Each is an operation with a name of its own."""
        operations = self.document["paths"]["/groups/{group}"]
        self.assertEqual(set(operations), {"patch", "put", "delete"})
        self.assertEqual(len({one["operationId"] for one in operations.values()}), 3)

    def test_who_may(self) -> None:
        """Each access has its scheme; free routes want none."""
        self.assertEqual(self.document["components"]["securitySchemes"], {"app": Basic().scheme()})
        paths = self.document["paths"]
        self.assertEqual(paths["/groups/{group}"]["put"]["security"], [{"app": []}])
        self.assertEqual(paths["/free"]["get"]["security"], [])
        self.assertNotIn("401", paths["/free"]["get"]["responses"])

    def test_answers(self) -> None:
        """Data in its wrapping, other content as it is, and every error."""
        answers = self.document["paths"]["/groups/{group}"]["put"]["responses"]
        self.assertEqual(list(answers), ["200", "400", "401", "404", "413", "503"])
        schema = answers["200"]["content"]["application/json"]["schema"]
        self.assertEqual(schema["properties"]["data"]["properties"], {"id": {"type": "integer"}})
        free = self.document["paths"]["/free"]["get"]["responses"]["200"]["content"]
        self.assertEqual(list(free), ["text/html"])

    def test_the_page(self) -> None:
        """Escapes what it shows; methods that do the same are told of once."""
        text = page(self.document).decode()
        self.assertIn("Change &lt;it&gt; &amp; <code>that</code>.", text)
        self.assertNotIn("<it>", text)
        self.assertEqual(text.count("There is none."), 1)
        for said in (
            "PATCH",
            "PUT",
            "DELETE",
            "&quot;ids&quot;: [integer, ...]  (optional)",
            "without a key",
        ):
            self.assertIn(said, text)

"""The OpenAPI document of a table of routes: it shows what they declare, and nothing else."""

import re
from collections.abc import Sequence
from typing import Any

from gobelieve.protocols.http.declarations.bodies import JSON
from gobelieve.protocols.http.declarations.routes import OpenToAll, Route

ERRORS = {
    400: "A parameter or the body is missing or invalid.",
    401: "The key is missing or wrong.",
    403: "The request is from a page of another site, or for another host's name.",
    413: "The body or the message is too long.",
    503: "Storage or the database of groups is away or full. The call may be done in part, or not "
    "at all; repeat it.",
}
BUSY = "There are too many large requests, or the store of secrets is away. Repeat the call."
"""A further meaning of 503, for each route that is not open to all."""

_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["meta"],
    "properties": {
        "meta": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string"},
                "detail": {"type": "string"},
            },
        },
        "data": {"type": "object"},
    },
}


def document(routes: Sequence[Route], version: str, about: str) -> dict[str, Any]:
    """Return the document, in OpenAPI 3.1; `about` is its description."""
    paths: dict[str, dict[str, Any]] = {}
    schemes: dict[str, Any] = {}
    for route in routes:
        for method in route.methods:
            paths.setdefault(route.path, {})[method.lower()] = _operation(route, method)
        scheme = route.access.scheme()
        if scheme is not None:
            schemes[route.access.name] = dict(scheme)
    return {
        "openapi": "3.1.0",
        "info": {"title": "gobelieve", "version": version, "description": about},
        "paths": paths,
        "components": {"schemas": {"Error": _ERROR}, "securitySchemes": schemes},
    }


def _operation(route: Route, method: str) -> dict[str, Any]:
    operation = route.operation
    made: dict[str, Any] = {
        "operationId": _name(route, method),
        "summary": operation.summary,
        "responses": _responses(route),
        "security": [] if route.access.scheme() is None else [{route.access.name: []}],
    }
    if operation.description:
        made["description"] = operation.description
    if operation.parameters.declared:
        made["parameters"] = [
            {
                "name": one.name,
                "in": "path" if f"{{{one.name}}}" in route.path else "query",
                "required": one.required,
                "description": one.description,
                "schema": one.shape.schema(),
            }
            for one in operation.parameters.declared
        ]
    body = operation.body.described()
    if body is not None:
        made["requestBody"] = body
    return made


def _name(route: Route, method: str) -> str:
    return f"{method.lower()}_" + re.sub(r"\W+", "_", route.path).strip("_")


def _responses(route: Route) -> dict[str, Any]:
    operation = route.operation
    done: dict[str, Any] = {"description": "Done."}
    content = operation.answer.described()
    if content is not None:
        done["content"] = content
    errors = dict(operation.errors)
    if operation.parameters.declared or operation.body.may_be_invalid:
        errors.setdefault(400, ERRORS[400])
    if not isinstance(route.access, OpenToAll):
        code = 403 if route.access.scheme() is None else 401
        errors[code] = ERRORS[code]
        errors.setdefault(503, BUSY)
    errors.setdefault(413, ERRORS[413])
    error = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    found = {str(code): {"description": errors[code], "content": error} for code in sorted(errors)}
    return {"200": done, **found}

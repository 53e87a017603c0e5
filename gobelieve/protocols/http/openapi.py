"""The OpenAPI document of a table of routes: of what is declared there, and of nothing else."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gobelieve.protocols.http.routes import JSON, JsonBody, Route, TextBody, TextOrJson

ERRORS = {
    400: "A parameter or the body is not what it must be.",
    401: "The key is missing or wrong.",
    403: "A page of another site asks, or it is asked for under another host's name.",
    413: "The body or the message is too long.",
    503: "Storage, or what the app's groups are read from, is away or full. Nothing is promised; "
    "try again.",
}
BUSY = "There are too many large requests, or what says who may is away. Try again."
"""What else 503 may mean, of every route that not everybody may use."""

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
    """All of it, OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    schemes: dict[str, Any] = {}
    for route in routes:
        for method in route.methods:
            paths.setdefault(route.path, {})[method.lower()] = _operation(route, method)
        scheme = _scheme(route)
        if route.access is not None and scheme is not None:
            schemes[route.access.name] = dict(scheme)
    return {
        "openapi": "3.1.0",
        "info": {"title": "gobelieve", "version": version, "description": about},
        "paths": paths,
        "components": {"schemas": {"Error": _ERROR}, "securitySchemes": schemes},
    }


def _scheme(route: Route) -> Mapping[str, Any] | None:
    return None if route.access is None else route.access.scheme()


def _operation(route: Route, method: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": _name(route, method),
        "summary": route.what,
        "responses": _responses(route),
        "security": [],
    }
    if route.access is not None and _scheme(route) is not None:
        made["security"] = [{route.access.name: []}]
    if route.more:
        made["description"] = route.more
    if route.parameters:
        made["parameters"] = [
            {
                "name": one.name,
                "in": "path" if f"{{{one.name}}}" in route.path else "query",
                "required": one.required,
                "description": one.what,
                "schema": one.shape.schema(),
            }
            for one in route.parameters
        ]
    if route.body is not None:
        made["requestBody"] = _body(route.body)
    return made


def _body(body: TextBody | JsonBody | TextOrJson) -> dict[str, Any]:
    if isinstance(body, TextOrJson):
        text, json = _body(body.text), _body(body.json)
        named = " and ".join(f"`{name}`" for name in body.parameters)
        what = f"With {named} in the URL text, else JSON. {text['description']}"
        return {"description": what, "content": {**json["content"], **text["content"]}}
    if isinstance(body, TextBody):
        content = {"text/plain": {"schema": {"type": "string"}}}
        return {"description": body.what, "content": content}
    made = {"required": True, "content": {JSON: {"schema": body.shape.schema()}}}
    return {"description": body.what, **made} if body.what else made


def _name(route: Route, method: str) -> str:
    return f"{method.lower()}_" + re.sub(r"\W+", "_", route.path).strip("_")


def _responses(route: Route) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "Done."}
    if isinstance(route.gives, str):
        good["content"] = {route.gives: {"schema": {"type": "string"}}}
    elif route.gives is not None:
        schema = route.gives.schema()
        if route.wraps:
            schema = {"type": "object", "required": ["data"], "properties": {"data": schema}}
        good["content"] = {"application/json": {"schema": schema}}
    errors = dict(route.errors)
    if route.parameters or isinstance(route.body, JsonBody | TextOrJson):
        errors.setdefault(400, ERRORS[400])
    if route.access is not None:
        code = 403 if _scheme(route) is None else 401
        errors[code] = ERRORS[code]
        errors.setdefault(503, BUSY)
    errors.setdefault(413, ERRORS[413])
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    found = {str(code): {"description": errors[code], "content": error} for code in sorted(errors)}
    return {"200": good, **found}

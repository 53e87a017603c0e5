"""The paths of routes, and the lookup of a request's path among them.

A request's path is split at its slashes. Then each segment is percent-decoded, once. So ``/k%69ck``
is ``/kick``, and ``%2F`` is a slash within a segment, never a separator. A segment with a malformed
escape, or with bytes that are not UTF-8, equals no segment of a route.
"""

import re
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

from gobelieve.protocols.http.declarations.parameters import PathValues

V = TypeVar("V")

_MALFORMED_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class PathTable(Generic[V]):
    """Maps paths to values. A segment may be a parameter: ``/groups/{group}/members``.

    A path without parameters wins over one with them. Among the latter the first one wins.
    """

    def __init__(self) -> None:
        self._fixed: dict[tuple[str | None, ...], V] = {}
        self._templates: dict[tuple[str, ...], V] = {}

    def setdefault(self, path: str, value: V) -> V:
        """Return the value of a route's path; store this one if there is none."""
        segments = tuple(path.split("/"))
        if "{" in path:
            return self._templates.setdefault(segments, value)
        return self._fixed.setdefault(segments, value)

    def find(self, path: bytes) -> tuple[V, PathValues] | None:
        """Return the value for a request's path, and the parameters in it; None if there is none.

        The path is still encoded, and has no query.
        """
        segments = tuple(_decoded(segment) for segment in path.split(b"/"))
        value = self._fixed.get(segments)
        if value is not None:
            return value, {}
        for template, value in self._templates.items():
            parameters = _match(template, segments)
            if parameters is not None:
                return value, parameters
        return None


def _decoded(segment: bytes) -> str | None:
    """Return a segment as text; None if it cannot be decoded."""
    if _MALFORMED_ESCAPE.search(segment):
        return None
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        return None


def _match(template: tuple[str, ...], segments: tuple[str | None, ...]) -> PathValues | None:
    """Return the parameters if the segments fit the template. A parameter is never empty."""
    if len(template) != len(segments):
        return None
    parameters: dict[str, str | None] = {}
    for wanted, segment in zip(template, segments, strict=True):
        if wanted.startswith("{"):
            if segment == "":
                return None
            parameters[wanted.strip("{}")] = segment
        elif wanted != segment:
            return None
    return parameters

"""The kinds of keys: each function declares a field of a configuration's dataclass.

A field carries its own check. The check is called with the value, which has the field's type
already, and with the name to show in an error; it raises `ConfigError`.
"""

import math
import re
from collections.abc import Callable
from dataclasses import field
from typing import Any

from gobelieve.config.values import parse_address, parse_memory
from gobelieve.errors import ConfigError

CHECK = "check"
"""Metadata of a field: its check."""
IGNORED = "ignored"
"""Metadata of a field: the reason why its key has no effect."""

ORIGIN = re.compile(r"[a-z*][a-z0-9+.*-]*://[\w.*-]+(:(\d+|\*))?")


def _checked(default: Any, check: Callable[[Any, str], object]) -> Any:
    return field(default=default, metadata={CHECK: check})


def ignored(default: Any, why: str) -> Any:
    """A key of the Go server that is accepted without effect."""
    return field(default=default, metadata={IGNORED: why})


def secret(default: Any = "") -> Any:
    """A key whose value is never shown."""
    return field(default=default, repr=False)


def one_of(*choices: str) -> Any:
    """A key that has one of these values; the first one is the default."""

    def check(value: str, name: str) -> None:
        if value not in choices:
            raise ConfigError(f"{name} must be one of {', '.join(choices)}, not {value!r}")

    return _checked(choices[0], check)


def positive(default: Any) -> Any:
    """A number above 0."""

    def check(value: float, name: str) -> None:
        if not 0 < value < math.inf:
            raise ConfigError(f"{name} must be above 0 and finite, not {value!r}")

    return _checked(default, check)


def not_negative(default: Any) -> Any:
    """A number that is 0 or above."""

    def check(value: float, name: str) -> None:
        if not 0 <= value < math.inf:
            raise ConfigError(f"{name} must be 0 or above and finite, not {value!r}")

    return _checked(default, check)


def port_number(default: int) -> Any:
    """The number of a TCP port; 0 lets the operating system choose."""

    def check(value: int, name: str) -> None:
        if not 0 <= value <= 65535:
            raise ConfigError(f"{name} must be the number of a port, not {value!r}")

    return _checked(default, check)


def address(default: str) -> Any:
    """``host:port``. If the default is empty, the value may be empty too, which means nowhere."""

    def check(value: str, name: str) -> None:
        if value or default:
            parse_address(value, name)

    return _checked(default, check)


def addresses(*defaults: str) -> Any:
    """A list of ``host:port``. It must not be empty, unless the default is empty."""

    def check(value: tuple[str, ...], name: str) -> None:
        if not value and defaults:
            raise ConfigError(f"{name} must name at least one address")
        for one in value:
            parse_address(one, name)

    return _checked(defaults, check)


def origins(*defaults: str) -> Any:
    """A list of ``scheme://host`` or ``scheme://host:port``, with ``*`` for any part; ``null``."""

    def check(value: tuple[str, ...], name: str) -> None:
        for one in value:
            if one not in ("*", "null") and not ORIGIN.fullmatch(one):
                raise ConfigError(
                    f"{name}: {one!r} is not an origin such as https://chat.example.com"
                )

    return _checked(defaults, check)


def memory(default: str) -> Any:
    """An amount of memory such as ``512M`` or ``4G``; or empty."""

    def check(value: str, name: str) -> None:
        if value:
            parse_memory(value, name)

    return _checked(default, check)

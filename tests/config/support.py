"""Helpers for the tests of configurations."""

from typing import Any

from gobelieve.config import load
from gobelieve.errors import ConfigError


def refusal(kind: Any, *overrides: str) -> str:
    """Return the reason why a configuration with these overrides is refused.

    The test fails if it is accepted.
    """
    try:
        load(kind, None, overrides)
    except ConfigError as why:
        return str(why).removeprefix("the defaults: ")
    raise AssertionError(f"{overrides} is accepted")

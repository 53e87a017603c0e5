"""Reading of a configuration from a TOML file and from the command line."""

import dataclasses
import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from gobelieve.config.fields import CHECK, IGNORED
from gobelieve.errors import ConfigError

C = TypeVar("C")


def load(kind: type[C], path: str | None, overrides: Iterable[str] = ()) -> C:
    """Read a TOML file (None: all defaults), then apply overrides of the form key=value.

    An override's value is TOML, or a string if it is not: ``port=24000``,
    ``redis.address=host:6379``.
    """
    tree: dict[str, Any] = {}
    if path is not None:
        try:
            tree = tomllib.loads(Path(path).read_text("utf-8"))
        except OSError as why:
            raise ConfigError(f"{path}: {why.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as why:
            raise ConfigError(f"{path}: {why}") from None
    config = _build(kind, tree, path or "the defaults", "", kind())
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise ConfigError(f"--set {override}: must have the form key=value")
        config = _override(kind, config, key, value)
    _check_together(config, path or "the defaults")
    return config


def _check_together(config: object, source: str) -> None:
    """Call the method `check` of each dataclass that has one: it compares keys with each other."""
    for f in dataclasses.fields(config):  # type: ignore[arg-type]
        table = getattr(config, f.name)
        if dataclasses.is_dataclass(table):
            _check_together(table, source)
    check = getattr(config, "check", None)
    if check is not None:
        try:
            check()
        except ConfigError as why:
            raise ConfigError(f"{source}: {why}") from None


def _override(kind: type[C], config: C, key: str, text: str) -> C:
    def build(value: Any) -> C:
        for name in reversed(key.split(".")):
            value = {name: value}
        return _build(kind, value, f"--set {key}", "", config)

    try:
        return build(_toml_value(text))
    except ConfigError as why:
        # For example a password of digits: TOML reads a number, but a string is meant.
        try:
            return build(text)
        except ConfigError:
            raise why from None


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _build(kind: type[C], tree: Mapping[str, Any], source: str, prefix: str, base: C) -> C:
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for key, value in tree.items():
        name = prefix + key
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            hint = f"; is {prefix}{near[0]} meant?" if near else ""
            raise ConfigError(f"{source}: there is no key {name}{hint}")
        if dataclasses.is_dataclass(hints[key]):
            if not isinstance(value, dict):
                raise ConfigError(f"{source}: {name} must be a table, not {type(value).__name__}")
            table: Any = hints[key]
            values[key] = _build(table, value, source, name + ".", getattr(base, key))
        else:
            shown = f"{source}: {name}"
            values[key] = _typed(hints[key], value, shown)
            check = fields[key].metadata.get(CHECK)
            if check is not None:
                check(values[key], shown)
    return dataclasses.replace(base, **values)  # type: ignore[type-var]


def _typed(wanted: Any, value: Any, name: str) -> Any:
    if get_origin(wanted) is tuple:
        item = get_args(wanted)[0]
        if isinstance(value, list):
            return tuple(_typed(item, one, name) for one in value)
    elif wanted is float and type(value) is int:
        return float(value)
    elif type(value) is wanted:
        return value
    shown = "a list" if get_origin(wanted) is tuple else wanted.__name__
    raise ConfigError(f"{name} must be {shown}, not {type(value).__name__}")


def without_effect(config: object, prefix: str = "") -> Iterator[str]:
    """Yield a line for each key that is set although it has no effect."""
    for f in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(config, f.name)
        if dataclasses.is_dataclass(value):
            yield from without_effect(value, f"{prefix}{f.name}.")
        elif IGNORED in f.metadata and value != f.default:
            yield f"{prefix}{f.name} has no effect: {f.metadata[IGNORED]}"

"""Parsing of values that are written as text: addresses and amounts of memory."""

from ipaddress import ip_address
from typing import NamedTuple

from gobelieve.errors import ConfigError

MEMORY_UNITS = {"M": 20, "G": 30}
"""The power of two of each unit."""


class Address(NamedTuple):
    """An address to listen on or connect to; to listen, an empty host means every interface."""

    host: str
    port: int


def parse_address(text: str, key: str = "address") -> Address:
    """Parse ``host:port``, ``:port`` or ``[v6]:port``; `ConfigError` if it is none of these."""
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ConfigError(f"{key}: {text!r} is not host:port")
    return Address(host.strip("[]"), int(port))


def is_loopback(host: str) -> bool:
    """Return True if only this machine reaches what listens on the host."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def parse_memory(text: str, key: str = "memory") -> int:
    """Return the bytes of an amount such as ``512M`` or ``4G``; `ConfigError` if malformed."""
    number, unit = text[:-1], text[-1:].upper()
    if unit not in MEMORY_UNITS or not (number.isascii() and number.isdigit()) or not int(number):
        raise ConfigError(f"{key}: {text!r} is not an amount of memory such as 512M or 4G")
    return int(number) << MEMORY_UNITS[unit]

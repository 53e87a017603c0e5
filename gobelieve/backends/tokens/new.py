"""New tokens."""

import secrets
import string

LENGTH = 30
"""As upstream's API server makes them; 178 bits."""

ALPHABET = string.ascii_letters + string.digits


def new_token() -> str:
    """A random token."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))

"""The messages with which our daemons authenticate each other at the start of a connection.

They are used only where a cluster secret or cluster TLS is configured. With TLS alone, the secret
is empty. Both ends send at once: the connector HELLO, the listener CHALLENGE, each with a nonce of
its own. Then PROOF shows that the connector knows the secret, and WELCOME that the listener does.
After WELCOME the port's own protocol begins. A listener that refuses sends REFUSED with the reason,
and closes the connection.

The connector proves first, so that a stranger who connects to a port receives nothing to try
secrets on. A proof is made for one port, one side and one pair of nonces, and is useless elsewhere.
"""

from enum import IntEnum
from hmac import digest

from gobelieve.wire.layout import U8, Bytes32
from gobelieve.wire.message import Message, Sender, message

CONNECTOR, LISTENER = Sender.CONNECTOR, Sender.LISTENER

NONCE_SIZE = 32


class Port(IntEnum):
    """The purpose of a port."""

    ROUTE = 1
    STORAGE_RPC = 2
    STORAGE_CLIENTS = 3
    REPLICATION = 4


class Refusal(IntEnum):
    """The reason why a listener refuses a connector."""

    NO_GREETING = 1
    """The connector sent something else than this protocol."""
    OTHER_PORT = 2
    OTHER_SECRET = 3
    TOO_LATE = 4
    NOTHING_HERE = 5
    """The listener has neither a secret nor TLS configured."""
    TOO_MANY = 6
    """Too many newer connections wait for their proof too."""


@message(160, "LINK_HELLO", senders=CONNECTOR)
class LinkHello(Message):
    """The port that the connector expects, and its nonce."""

    port: U8
    nonce: Bytes32


@message(161, "LINK_CHALLENGE", senders=LISTENER)
class LinkChallenge(Message):
    """The real purpose of the port, and the listener's nonce."""

    port: U8
    nonce: Bytes32


@message(162, "LINK_PROOF", senders=CONNECTOR)
class LinkProof(Message):
    """The connector's proof, see `proof_of`."""

    proof: Bytes32


@message(163, "LINK_WELCOME", senders=LISTENER)
class LinkWelcome(Message):
    """The listener's proof, see `proof_of`."""

    proof: Bytes32


@message(164, "LINK_REFUSED", senders=LISTENER)
class LinkRefused(Message):
    """The listener refuses; `reason` is a `Refusal`."""

    reason: U8


def proof_of(side: Sender, secret: bytes, port: Port, hello: bytes, challenge: bytes) -> bytes:
    """Return the proof that a side knows the secret: HMAC-SHA256 over side, port, both nonces."""
    name = b"connector" if side is CONNECTOR else b"listener"
    return digest(secret, b"gobelieve %b %c" % (name, port) + hello + challenge, "sha256")

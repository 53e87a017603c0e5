"""The messages by which our own daemons know each other, at the start of a connection.

Only where a cluster secret or cluster TLS is configured; without a secret it is empty. Both ends
speak at once: who connected says HELLO, who listens CHALLENGE, each with a nonce of its own. Then
PROOF shows that the connecting side knows the secret, and WELCOME that the listening side does.
Behind WELCOME the port's own dialogue begins. A listener that does not go along says why by
REFUSED, and ends the connection.

Who connects proves first: so a stranger who comes to a port gets nothing to try secrets on. A proof
is made for one port, one side and one pair of nonces, and is of no use anywhere else.
"""

from enum import IntEnum
from hmac import digest

from gobelieve.wire.layout import U8, Bytes32
from gobelieve.wire.message import Message, Sender, message

CONNECTOR, LISTENER = Sender.CONNECTOR, Sender.LISTENER

NONCE_SIZE = 32


class Port(IntEnum):
    """What a port is for."""

    ROUTE = 1
    STORAGE_RPC = 2
    STORAGE_CLIENTS = 3
    REPLICATION = 4


class Refusal(IntEnum):
    """Why a listener refuses."""

    NO_GREETING = 1
    """What came is not this dialogue."""
    OTHER_PORT = 2
    OTHER_SECRET = 3
    TOO_LATE = 4
    NOTHING_HERE = 5
    """Neither a secret nor TLS is configured here."""
    TOO_MANY = 6
    """Others came since that have not proved anything either."""


@message(160, "LINK_HELLO", senders=CONNECTOR)
class LinkHello(Message):
    """The port that the connecting side takes this to be, and its nonce."""

    port: U8
    nonce: Bytes32


@message(161, "LINK_CHALLENGE", senders=LISTENER)
class LinkChallenge(Message):
    """What this port is, and the listening side's nonce."""

    port: U8
    nonce: Bytes32


@message(162, "LINK_PROOF", senders=CONNECTOR)
class LinkProof(Message):
    """`proof_of` the connecting side."""

    proof: Bytes32


@message(163, "LINK_WELCOME", senders=LISTENER)
class LinkWelcome(Message):
    """`proof_of` the listening side."""

    proof: Bytes32


@message(164, "LINK_REFUSED", senders=LISTENER)
class LinkRefused(Message):
    """A `Refusal`."""

    reason: U8


def proof_of(side: Sender, secret: bytes, port: Port, hello: bytes, challenge: bytes) -> bytes:
    """That a side knows the secret: HMAC-SHA256 over side, port and both nonces."""
    name = b"connector" if side is CONNECTOR else b"listener"
    return digest(secret, b"gobelieve %b %c" % (name, port) + hello + challenge, "sha256")

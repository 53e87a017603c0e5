"""Proofs of the greeting between our own daemons."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.wire.cluster import CONNECTOR, LISTENER, Port, proof_of

SECRET = b"sixteen bytes or more"
HELLO, CHALLENGE = b"h" * 32, b"c" * 32


class ProofTests(SynchronousTestCase):
    """The bytes and the uniqueness of a proof."""

    def test_against_openssl(self) -> None:
        """``openssl dgst -sha256 -hmac`` gives the same proof for the bytes that docs/cluster.md
        names."""
        self.assertEqual(
            proof_of(CONNECTOR, SECRET, Port.ROUTE, HELLO, CHALLENGE).hex(),
            "710df1dacba9a1cff756e0dfb9343c92e1baa640f52d15e637e40a06e9fa08e4",
        )
        self.assertEqual(
            proof_of(LISTENER, SECRET, Port.REPLICATION, HELLO, CHALLENGE).hex(),
            "ce4d9909aa3ad83f56484fb678a6487107d76cf9c2a3c5da21f45a6625c22f84",
        )

    def test_each_is_good_for_one_thing(self) -> None:
        """Another side, port, secret or nonce gives another proof, and so do swapped nonces."""
        proofs = {
            proof_of(side, secret, port, *nonces)
            for side in (CONNECTOR, LISTENER)
            for secret in (SECRET, SECRET + b"!", b"")
            for port in Port
            for nonces in ((HELLO, CHALLENGE), (CHALLENGE, HELLO), (HELLO, HELLO))
        }
        self.assertEqual(len(proofs), 2 * 3 * 4 * 3)

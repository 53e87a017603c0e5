"""Values that are written as text."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.config import Address, parse_address
from gobelieve.errors import ConfigError


class AddressTests(SynchronousTestCase):
    """Addresses are written as ``host:port``."""

    def test_accepted_forms(self) -> None:
        """An empty host means every interface."""
        self.assertEqual(parse_address("127.0.0.1:80"), Address("127.0.0.1", 80))
        self.assertEqual(parse_address(":13891"), Address("", 13891))
        self.assertEqual(parse_address("[::1]:0"), Address("::1", 0))

    def test_malformed_values(self) -> None:
        """A malformed address is refused, and the error names the key."""
        for bad in ("", "host", "host:", "host:http", "host:65536", "host:-1", "host:²", "h:٣"):
            with self.assertRaises(ConfigError, msg=bad) as caught:
                parse_address(bad, "listen")
            self.assertIn("listen", str(caught.exception))

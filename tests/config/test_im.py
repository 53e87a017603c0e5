"""The gateway's configuration: keys that depend on each other, and values of their own kind."""

from twisted.trial.unittest import SynchronousTestCase

from gobelieve.config import EmbeddedConfig, ImConfig, load, without_effect
from tests.config.support import refusal


class HttpTests(SynchronousTestCase):
    """Addresses and keys of the HTTP API."""

    def test_an_address_beyond_this_machine_needs_a_key(self) -> None:
        """Each daemon with the HTTP API needs a key if the address is not on loopback."""
        key = "http_api_keys=['sixteen-bytes-ok']"
        for where in (
            ":6666",
            "0.0.0.0:6666",
            "10.0.0.1:6666",
            "gateway.example:6666",
            "[::]:6666",
        ):
            reason = refusal(ImConfig, f"http_listen_address={where}")
            self.assertIn("set http_api_keys", reason)
            load(ImConfig, None, [f"http_listen_address={where}", key])
        reason = refusal(EmbeddedConfig, "im.http_listen_address=:6666")
        self.assertIn("set http_api_keys", reason)
        for where in ("", "127.0.0.1:6666", "localhost:6666", "[::1]:6666"):
            load(ImConfig, None, [f"http_listen_address={where}"])

    def test_a_short_key_is_refused_and_no_key_is_shown(self) -> None:
        """A short key is refused, and no key is shown."""
        reason = refusal(ImConfig, "http_api_keys=['sixteen-bytes-ok', 'short']")
        self.assertEqual(reason, "each of http_api_keys must have at least 16 bytes")
        config = load(ImConfig, None, ["http_api_keys=['sixteen-bytes-ok']"])
        self.assertNotIn("sixteen", repr(config))

    def test_storage_addrs_has_no_effect(self) -> None:
        """``storage_addrs`` is accepted, and reported as a key without effect."""
        config = load(ImConfig, None, ["storage_addrs=['127.0.0.1:3333']"])
        self.assertIn("storage_addrs has no effect", next(without_effect(config)))


class RouterAddressTests(SynchronousTestCase):
    """The lists of routers: a router that is named twice is refused."""

    def test_a_router_in_both_lists(self) -> None:
        """A router in both lists is refused, and the error names both keys, however it is
        written."""
        for text in ("127.0.0.1:4444", ":4444", "localhost:4444", "LOCALHOST:04444"):
            reason = refusal(ImConfig, f"group_route_addrs=['h:1', '{text}']")
            self.assertEqual(reason, f"route_addrs and group_route_addrs both name {text}")

    def test_a_router_twice_in_one_list(self) -> None:
        """A router that is twice in one of the lists is refused."""
        self.assertEqual(
            refusal(ImConfig, "route_addrs=['h:1', 'H:1']"), "route_addrs names H:1 twice"
        )
        reason = refusal(ImConfig, "group_route_addrs=['h:1', 'h:2', 'h:1']")
        self.assertEqual(reason, "group_route_addrs names h:1 twice")

    def test_lists_that_swap_routers(self) -> None:
        """Only the final values count, not those between two overrides."""
        config = load(ImConfig, None, ["group_route_addrs=[':4444']", "route_addrs=['h:1']"])
        self.assertEqual(config.group_route_addrs, (":4444",))

    def test_no_routers_for_groups(self) -> None:
        """An empty list for groups is the default and may be set. An address in it must be
        valid."""
        self.assertEqual(load(ImConfig, None, ["group_route_addrs=[]"]), ImConfig())
        self.assertIn("'x' is not host:port", refusal(ImConfig, "group_route_addrs=['x']"))


class MemoryTests(SynchronousTestCase):
    """Amounts of memory in ``memory_limit``."""

    def test_accepted_forms(self) -> None:
        """Amounts are written as in the Go server: ``512M``, ``4G``."""
        self.assertEqual(load(ImConfig, None, ["memory_limit=512M"]).memory_bytes, 512 << 20)
        self.assertEqual(load(ImConfig, None, ["memory_limit=4G"]).memory_bytes, 4 << 30)
        self.assertEqual(ImConfig().memory_bytes, 0)

    def test_malformed_values(self) -> None:
        """A malformed amount is refused, and the error names the key."""
        for bad in ("512", "0M", "-1G", "M", "4T", "1.5G", "²M"):
            self.assertIn("memory_limit", refusal(ImConfig, f"memory_limit={bad}"))


class OriginTests(SynchronousTestCase):
    """Origins of web pages in ``ws_allowed_origins``."""

    def test_accepted_forms(self) -> None:
        """An origin may have a port, and ``*`` for any part."""
        for good in ("*", "null", "https://a.example", "http://*.a.example:*", "*://b:8080"):
            self.assertEqual(
                load(ImConfig, None, [f"ws_allowed_origins=['{good}']"]).ws_allowed_origins, (good,)
            )

    def test_malformed_values(self) -> None:
        """A path or a bare host is refused: they would silently match no page."""
        for bad in ("a.example", "https://a.example/", "https://", "", "http://[a", "http://a:b"):
            reason = refusal(ImConfig, f"ws_allowed_origins=['{bad}']")
            self.assertIn("ws_allowed_origins", reason)


class TLSTests(SynchronousTestCase):
    """The settings for ports on TLS."""

    def test_ports_on_tls_need_a_certificate(self) -> None:
        """A port on TLS needs a certificate and its key."""
        for overrides in (
            ["ssl_port=24430"],
            ["wss_address=':14891'", "cert_file=a"],
            ["key_file=b"],
        ):
            self.assertIn("cert_file", refusal(ImConfig, *overrides))
        both = ["cert_file=a", "key_file=b"]
        self.assertTrue(load(ImConfig, None, ["tls_address=':1'", *both]).has_tls)
        self.assertFalse(load(ImConfig, None, both).has_tls)

"""The HTTP API of a gateway, composed."""

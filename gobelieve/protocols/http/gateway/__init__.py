"""HTTP routes that only a gateway has: posts and reads of messages."""

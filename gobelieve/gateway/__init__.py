"""The gateway's rules: what happens when a client says something. No sockets, no Twisted."""

"""The queues of a directory: saving messages to them, and reading them."""

"""The queues of a directory: saving messages in them, and reading them."""

"""Queues of messages: saved, committed, indexed, read and recovered."""

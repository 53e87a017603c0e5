"""Measuring: how many messages a second, and what each costs every daemon."""

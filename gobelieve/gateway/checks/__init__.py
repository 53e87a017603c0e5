"""Permissions: may this user write, to whom, and what."""

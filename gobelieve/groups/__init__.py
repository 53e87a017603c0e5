"""The group manager: who is in which group, in memory and up to date."""

"""SQLite: the one database file of the all-in-one daemon."""

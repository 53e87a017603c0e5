"""Replication between storages: the master's port and the slave's link."""

"""Replication: the master's reader, the slave's follower, and the role of a directory."""

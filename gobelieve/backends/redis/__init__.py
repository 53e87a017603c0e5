"""Redis: the connection, the keys, and the events that other processes write."""

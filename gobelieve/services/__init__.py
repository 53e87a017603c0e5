"""The daemons, assembled from their parts; nothing listens or is opened before the start."""

"""Parts of several daemons: the gateway, its listeners, the cluster's TLS, replication."""

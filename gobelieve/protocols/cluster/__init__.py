"""Connections between daemons: the handshake by the cluster's secret, and the endpoints."""

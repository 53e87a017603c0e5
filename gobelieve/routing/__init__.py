"""The rules of the router: the routing table, publications, and pushes to phones."""

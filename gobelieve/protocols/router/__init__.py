"""The link between a gateway and the routers, with the port of a router."""

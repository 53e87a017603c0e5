"""Delivery: messages to the sessions of this gateway and, by the router, of the others."""

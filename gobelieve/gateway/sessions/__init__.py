"""Sessions: the logged-in devices of this gateway, their rooms, limits and timeouts."""

"""The router's core: who is where, what is forwarded, what is pushed to phones."""

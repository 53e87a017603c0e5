"""Waiting for a call, and staying connected to a peer: for all parts that use Twisted.

`gobelieve.protocols` and `gobelieve.backends` may not import each other, and both need this. So it
is a floor of its own below them: the lowest one on which there is an event loop.
"""

"""What the parts that use Twisted share: waiting for a call, and staying connected to a peer.

`gobelieve.protocols` and `gobelieve.backends` may not import each other, and both need this. So it
is a floor of its own below them: the lowest one on which there is an event loop.
"""

"""Small mechanisms that many parts need, such as throttled logging and back-off.

They know `gobelieve.interfaces` and no event loop, so that the rules can use them too.
"""

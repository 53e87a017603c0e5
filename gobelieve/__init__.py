"""GoBelieve: an instant-messaging gateway, router and storage on Twisted.

The floors, each importing only from itself and those below it:

5. ``services``, ``cli``, ``client``: composition and tools;
4. ``protocols``, ``backends``: Twisted I/O, Redis, SQL;
3. ``storage``, ``routing``, ``gateway``: the rules, without sockets or clocks of their own;
2. ``interfaces``: what the rules need of the world;
1. ``wire``: frames and messages;
0. ``errors``, ``names``, ``config``, ``metrics``.
"""

__version__ = "0.1.0"

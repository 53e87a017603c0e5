"""GoBelieve: an instant-messaging gateway, router and storage on Twisted.

The floors. A module imports only from its own package and from the floors below. The folders of one
package do not import each other in a circle:

7. ``services``, ``cli``, ``client``: composition and tools;
6. ``protocols``, ``backends``: Twisted I/O, Redis, SQL;
5. ``event_loop``: shared code for waiting and connecting; the lowest floor with Twisted;
4. ``storage``, ``routing``, ``gateway``, ``groups``: the rules, without sockets or clocks of
   their own;
3. ``support``: small mechanisms that all of the above use;
2. ``interfaces``: the outside world as the rules see it;
1. ``wire``: frames and messages;
0. ``errors``, ``names``, ``config``, ``metrics``.
"""

__version__ = "0.1.0"

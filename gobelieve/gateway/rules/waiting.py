"""Rules that may have to wait for a look-up, written as coroutines.

Nearly always the answer is in memory. Then the coroutine runs to its end at once, without the 5 us
of a Deferred.
"""

import types
from collections.abc import Coroutine, Generator
from typing import Any

from gobelieve.gateway.sessions.session import Session
from gobelieve.interfaces import Tasks


def run_in_order(session: Session, rule: Coroutine[Any, Any, None], tasks: Tasks) -> None:
    """Run a rule; if it must wait, the session's next frames wait until it has ended.

    Until it first waits, what it raises is raised here.
    """
    try:
        awaited = rule.send(None)
    except StopIteration:
        return
    session.hold()
    tasks.start(_rest(session, rule, awaited))


async def _rest(session: Session, rule: Coroutine[Any, Any, None], awaited: Any) -> None:
    try:
        await _resumed(rule, awaited)
    finally:
        session.release()


@types.coroutine
def _resumed(rule: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """Run a coroutine, which already waits for something, to its end."""
    while True:
        try:
            try:
                result = yield awaited
            except BaseException as why:  # for the rule, be it an error or a cancellation
                awaited = rule.throw(why)
            else:
                awaited = rule.send(result)
        except StopIteration:
            return

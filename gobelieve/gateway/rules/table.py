"""The table of rules by command. A rule is marked with the message that it receives.

::

    class Login:
        @receives(client.Ping, before_login=True)
        def ping(self, session: Session, frame: Frame) -> None: ...
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from gobelieve.gateway.sessions.session import Rule, Rules, Session
from gobelieve.wire import Message
from gobelieve.wire.frames import Frame

F = TypeVar("F", bound=Callable[[Any, Session, Frame], None])


class Mark(NamedTuple):
    """The mark that `receives` sets on a rule."""

    number: int
    before_login: bool
    after_login: bool


def receives(
    message: type[Message], *, before_login: bool = False, after_login: bool = True
) -> Callable[[F], F]:
    """Mark a method as the rule for a message, for sessions before or after their login."""

    def mark(rule: F) -> F:
        rule.__dict__["receives"] = Mark(message.number, before_login, after_login)
        return rule

    return mark


class RuleTables(NamedTuple):
    """The rules for sessions before and after their login."""

    before_login: Rules
    after_login: Rules


def gather(*holders: object) -> RuleTables:
    """Return the tables of all marked methods. Raises `TypeError` for two rules of one command."""
    before: list[Rule | None] = [None] * 256
    after: list[Rule | None] = [None] * 256
    for mark, rule in (found for holder in holders for found in _marked(holder)):
        for table, wanted in ((before, mark.before_login), (after, mark.after_login)):
            if wanted:
                if table[mark.number] is not None:
                    raise TypeError(f"two rules for command {mark.number}")
                table[mark.number] = rule
    return RuleTables(tuple(before), tuple(after))


def _marked(holder: object) -> Iterator[tuple[Mark, Rule]]:
    for name in dir(type(holder)):
        mark = getattr(getattr(type(holder), name), "receives", None)
        if isinstance(mark, Mark):
            yield mark, getattr(holder, name)

"""What was logged, for tests that say it must be, or must not."""

from typing import Any

from twisted.logger import ILogObserver, Logger, LogPublisher, formatEvent
from zope.interface import implementer


@implementer(ILogObserver)
class Events(list[dict[str, Any]]):
    """The events of one logger, apart from everybody else's."""

    def __call__(self, event: dict[str, Any]) -> None:
        self.append(event)

    def log(self, publisher: LogPublisher | None = None) -> Logger:
        """A logger whose events all come here."""
        publisher = publisher or LogPublisher()
        publisher.addObserver(self)
        return Logger("test", observer=publisher)

    def texts(self) -> list[str]:
        """As an operator reads them."""
        return [formatEvent(event) for event in self]

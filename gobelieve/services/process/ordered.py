"""Services that start one after another and stop in the opposite order."""

from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger


class OrderedService(MultiService):
    """A `MultiService` whose children stop one after another, the last started first.

    `MultiService` stops all at once, but sessions must end before the services that they write to.
    If children fail to stop, all others are stopped first. Then the first failure is raised; the
    others are logged.
    """

    log = Logger()

    def stopService(self) -> Deferred[None]:
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop_children())

    async def _stop_children(self) -> None:
        failed: Exception | None = None
        for child in reversed(list(self)):
            try:
                stopping = child.stopService()
                if isinstance(stopping, Deferred):
                    await stopping
            except Exception as why:
                if failed is not None:
                    self.log.failure("{child} did not stop", child=child)
                failed = failed or why
        if failed is not None:
            raise failed

    def add(self, name: str, child: IService) -> IService:
        """Add a child that starts after all others; ``getServiceNamed(name)`` finds it."""
        child.setName(name)
        child.setServiceParent(self)
        return child

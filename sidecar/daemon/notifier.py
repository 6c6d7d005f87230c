"""Tells people, by Apprise: a part that may crash, and that nothing waits for."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_delay,
    wait_exponential,
)

from sidecar.core.report import Report
from sidecar.core.show.notices import Kind, Message, Notices
from sidecar.errors import ProgramError, RefusedError
from sidecar.host.broadcast import Broadcast
from sidecar.programs import apprise

log = logging.getLogger("notify")

LOOK_EVERY: Final = 1.0
FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 60.0
TRY_FOR: Final = 600.0
"""Seconds for which a message is tried again."""


class Notifier:
    """Says through each of `urls` what is new in the reports, as long as this node speaks."""

    def __init__(
        self, urls: Sequence[str], report: Callable[[], Report], changes: Broadcast
    ) -> None:
        self._report, self._changes = report, changes
        self._outboxes = {url: asyncio.Queue[tuple[float, Message]]() for url in urls}
        self._notices = Notices()

    async def run(self) -> None:
        """Follow the reports until cancelled."""
        async with asyncio.TaskGroup() as group:
            for url, outbox in self._outboxes.items():
                group.create_task(_deliver(url, outbox), name=f"notify {apprise.service(url)}")
            while True:
                version = self._changes.version
                self._look(time.monotonic())
                await self._changes.wait_after(version, within=LOOK_EVERY)

    async def test(self) -> str:
        """Send a message through each URL now; raise RefusedError with what failed."""
        if not self._outboxes:
            raise RefusedError("cannot send a test message: HA_NOTIFY is not set")
        node = self._report().node.node
        message = Message(title=f"Test from {node}", body="Notifications work.", kind=Kind.INFO)
        results = await asyncio.gather(
            *(apprise.send(url, message) for url in self._outboxes), return_exceptions=True
        )
        failed = [str(result) for result in results if isinstance(result, BaseException)]
        if failed:
            raise RefusedError("\n".join(failed), "correct HA_NOTIFY, or look at the network")
        return f"sent: {', '.join(map(apprise.service, self._outboxes))}"

    def _look(self, now: float) -> None:
        self._notices, message = self._notices.after(now, self._report()).take(now)
        if message is not None:
            log.info("%s", message.title)
            for outbox in self._outboxes.values():
                outbox.put_nowait((now, message))


async def _deliver(url: str, outbox: asyncio.Queue[tuple[float, Message]]) -> None:
    """Send what comes, in order, each for at most `TRY_FOR` seconds."""
    while True:
        written, message = await outbox.get()
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(ProgramError),
            stop=stop_after_delay(max(0.0, TRY_FOR - (time.monotonic() - written))),
            wait=wait_exponential(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE),
            before_sleep=_complain,
            reraise=True,
        )
        try:
            await attempts(apprise.send, url, message)
        except ProgramError as error:
            log.error("%s; gave up: %s", error, message.title)  # noqa: TRY400 # its text says it all


def _complain(state: RetryCallState) -> None:
    if state.attempt_number == 1 and state.outcome is not None:
        log.warning("%s; trying again for 10 minutes", state.outcome.exception())

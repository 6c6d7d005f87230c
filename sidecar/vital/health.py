"""The active checks: nginx (hard), HA_CHECK_URLS and the default gateway (soft)."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import aiohttp

from sidecar.core.report import CheckReport
from sidecar.core.settings import Settings
from sidecar.core.vip.check import Check
from sidecar.host.broadcast import Broadcast
from sidecar.host.descriptors import NONE_LEFT
from sidecar.host.network import Network

log = logging.getLogger("health")

LINK_DELAY: Final = 0.5
"""Seconds that a peer's word may take."""

START_PACE: Final = 0.1
"""Seconds between two questions before the first success."""

Asker = Callable[[float], Awaitable[str | None]]
"""Asks once, within the given seconds; returns what is wrong, None if nothing is."""


class Health:
    """Keeps the standing of every check.

    Given: `askers` by name of check; those in `hard` forbid serving when they fail, those in
    `earned` count only after their first success.
    """

    def __init__(
        self,
        settings: Settings,
        changes: Broadcast,
        askers: Mapping[str, Asker],
        *,
        hard: frozenset[str],
        earned: frozenset[str],
    ) -> None:
        self._interval = settings.check_interval
        self._timeout = settings.check_timeout
        self._askers, self._changes = askers, changes
        self._checks = {
            name: Check(
                name=name,
                fall=settings.check_fall,
                rise=settings.check_rise,
                hard=name in hard,
                earned=name in earned,
            )
            for name in askers
        }
        self._changed: dict[str, float] = {}
        self._unasked: set[str] = set()

    def failing(self, *, hard: bool, lasting: float = 0.0) -> tuple[str, ...]:
        """Return the names of the checks that have been down for `lasting` seconds."""
        since = time.monotonic() - lasting
        return tuple(
            check.name
            for check in self._checks.values()
            if check.up is False and check.hard is hard and self._changed[check.name] <= since
        )

    @property
    def concurrence(self) -> float:
        """Seconds after which a peer has noticed what fails for it too: it asks at its own pace."""
        return self._interval + self._timeout + LINK_DELAY

    def report(self) -> tuple[CheckReport, ...]:
        """Return every check as it stands."""
        return tuple(
            CheckReport(name=check.name, up=check.up, hard=check.hard, message=check.message)
            for check in self._checks.values()
        )

    @property
    def settled(self) -> bool:
        """Every hard check has an answer that counts."""
        return all(check.up is not None for check in self._checks.values() if check.hard)

    async def run(self) -> None:
        """Ask everything at its pace until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, asker in self._askers.items():
                group.create_task(self._repeat(name, asker), name=f"check {name}")

    async def _repeat(self, name: str, asker: Asker) -> None:
        while True:
            try:
                self._count(name, await self._ask(name, asker))
                self._unasked.discard(name)
            except OSError as error:  # of this machine: it says nothing about the service either
                if name not in self._unasked:
                    log.error("cannot run check %s: %s", name, error.strerror or error)  # noqa: TRY400
                self._unasked.add(name)
            except Exception:  # a bug in a check says nothing about the service
                log.exception("a bug broke check %s", name)
            await asyncio.sleep(self._interval)

    async def _ask(self, name: str, asker: Asker) -> str | None:
        """Ask once; before the first success ask for a whole interval, as things are starting."""
        deadline = time.monotonic() + self._interval
        while (error := await asker(self._timeout)) and self._checks[name].up is None:
            if time.monotonic() >= deadline:
                break
            await asyncio.sleep(START_PACE)
        return error

    def _count(self, name: str, error: str | None) -> None:
        before = self._checks[name]
        check = self._checks[name] = before.after(error)
        if check.up is before.up:
            return
        self._changed[name] = time.monotonic()
        if check.up:
            log.info("check %s is up", name)
        else:
            log.warning("check %s is down: %s", name, check.message)
        self._changes.announce()


def url_asker(url: str) -> Asker:
    """Return an asker for a URL that must answer 2xx or 3xx."""

    async def ask(timeout: float) -> str | None:
        try:
            limit = aiohttp.ClientTimeout(total=timeout)
            async with (
                # The site may well have a certificate for its public name only.
                aiohttp.ClientSession(
                    timeout=limit, connector=aiohttp.TCPConnector(ssl=False)
                ) as session,
                session.get(url, allow_redirects=False) as response,
            ):
                return None if 200 <= response.status < 400 else f"answers {response.status}"
        except TimeoutError:
            return f"no answer within {timeout:g} s"
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, OSError) and error.errno in NONE_LEFT:
                raise
            return str(error) or type(error).__name__

    return ask


def gateway_asker(network: Network) -> Asker:
    """Return an asker for the default gateways: one of them must answer on its link."""

    async def ask(timeout: float) -> str | None:
        gateways = network.gateways()
        if not gateways:
            return None
        asked = (network.reachable(gateway, timeout) for gateway in gateways)
        answers = await asyncio.gather(*asked)
        if any(answers):
            return None
        return f"{gateways[0].address} does not answer on its link"

    return ask

"""The timeline of this node: what it sees, what it hears of the others, kept over a restart."""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from sidecar import __version__
from sidecar.core.gossip import Gossip, pack, unpack
from sidecar.core.report import Report, Role
from sidecar.core.show.story import Troubles, follow, role_event, started, timeline_of
from sidecar.core.timeline import Advert, Event, merged
from sidecar.host import files

log = logging.getLogger("timeline")

SAVE_EVERY: Final = 2.0
"""Seconds between two times that it is written: a role that flaps must not wear the disk."""

_MOST_BYTES: Final = 256 * 1024


class Chronicle:
    """Keeps the timeline.

    Given: this node, where the timeline is kept, what the peers say has happened (`heard`), the
    last advert of another node (`advert`), why the role is what it is (`why`), and the seconds of
    `silence` after which keepalived takes a MASTER for gone.
    """

    def __init__(
        self,
        node: str,
        path: Path,
        *,
        heard: Callable[[], tuple[Event, ...]],
        advert: Callable[[], Advert | None],
        why: Callable[[], str],
        silence: float,
    ) -> None:
        self._node, self._path = node, path
        self._heard, self._advert, self._why = heard, advert, why
        self._silence = silence
        self._roles: deque[tuple[Role, float]] = deque(maxlen=32)
        self._role = Role.INIT
        self._troubles: Troubles = {}
        self._saved: tuple[Event, ...] = ()
        self.events: tuple[Event, ...] = (started(node, __version__, time.time()),)
        """Newest first, without the snapshots: `shown` adds them."""

    def on_role(self, role: Role) -> None:
        """Note a change of role, at the moment that it happens."""
        self._roles.append((role, time.time()))

    def shown(self, report: Report) -> tuple[Event, ...]:
        """Return what people are shown: with the snapshots of `report`."""
        return timeline_of(report, self.events)

    def see(self, report: Report) -> None:
        """Note what has happened since the last look."""
        self._take(self._news(report))

    async def run(self) -> None:
        """Keep the timeline on the disk until cancelled."""
        self._take(await asyncio.to_thread(_load, self._path))
        while True:
            if (events := self.events) != self._saved:
                await asyncio.to_thread(partial(_write, self._path, events))
                self._saved = events
            await asyncio.sleep(SAVE_EVERY)

    def _news(self, report: Report) -> Iterator[Event]:
        yield from self._heard()
        while self._roles:
            role, clock = self._roles.popleft()
            yield role_event(
                node=self._node,
                role=role,
                before=self._role,
                clock=clock,
                why=self._why(),
                advert=self._advert(),
                silence=self._silence,
            )
            self._role = role
        self._troubles, events = follow(
            self._troubles,
            report.problems,
            now=time.monotonic(),
            clock=time.time(),
            node=self._node,
        )
        yield from events

    def _take(self, events: Iterable[Event]) -> None:
        self.events = merged(self.events, events, now=time.time())


def _load(path: Path) -> tuple[Event, ...]:
    """Return what was kept; nothing where that cannot be read: a node does without."""
    try:
        return unpack(json.loads(files.read(path, _MOST_BYTES))).events
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, RecursionError) as error:
        log.warning("cannot read the timeline, starting a new one: %s: %s", path, error)
        return ()


def _write(path: Path, events: tuple[Event, ...]) -> None:
    try:
        files.write(path, json.dumps(pack(Gossip(events=events))), durable=True)
    except OSError as error:
        log.warning("cannot save the timeline: %s: %s", path, error.strerror or error)

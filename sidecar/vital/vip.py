"""The VIP on the NIC: leased while this node is MASTER, removed while it is not.

keepalived adds and removes the addresses; this gives each a kernel lifetime as soon as it appears,
so that it goes even when everything here dies. The script `lease` renews it (config/bin/lease says
when). Until it goes a dead node's host answers for it too, and a node that thaws says that it is
there, so a MASTER that is new or has a rival says again and again where it is now.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from sidecar.core.report import Role, VipReport
from sidecar.core.settings import Address, Interface
from sidecar.errors import ProgramError
from sidecar.host.announce import announce
from sidecar.host.broadcast import Broadcast
from sidecar.host.network import Held, Network

log = logging.getLogger("vip")

LEASE: Final = 3
"""Seconds that the kernel keeps an address that nobody renews."""

RENEW_BELOW: Final = 1
"""Seconds of lifetime at which the script has plainly failed, and the daemon renews instead."""

STRAY_AFTER: Final = 0.5
"""Seconds: keepalived adds the address just before it says MASTER."""

MISSING_AFTER: Final = 1.5
"""Seconds without the address as MASTER; keepalived puts a deleted one back within 35 ms."""

ANNOUNCE_EVERY: Final = 0.2
"""Seconds between two words of a MASTER about where its addresses are."""

ANNOUNCEMENTS: Final = 20
"""As many as last longer than the lease of a node that died."""

RIVAL_PAUSE: Final = 1.0
"""Seconds from one advert of a rival to the next one that is listened for."""

RENEWAL_NOTED_FOR: Final = 5.0
"""Seconds during which a lease counts as broken after the script failed to renew it."""


class Vips:
    """Watches the virtual addresses of this node and keeps them as its role says.

    Given: the addresses, `role` for the present role, `hangs` for whether keepalived does, `rival`
    to wait for the next advert of another node (OSError where nobody can listen).
    """

    def __init__(
        self,
        vips: tuple[Interface, ...],
        network: Network,
        changes: Broadcast,
        *,
        role: Callable[[], Role],
        hangs: Callable[[], bool],
        rival: Callable[[], Awaitable[object]],
    ) -> None:
        self._vips = tuple(vip.ip for vip in vips)
        self._network, self._changes = network, changes
        self._role = role
        self._hangs = hangs
        self._rival = rival
        self._wake = asyncio.Event()
        self._held: tuple[Held, ...] = ()
        self._missing_since: dict[Address, float] = {}
        self._stray_since: dict[Address, float] = {}
        self._unrenewed: dict[Address, float] = {}
        """When the script last failed to renew a lease, by address."""
        self._reported: tuple[str, ...] = ()
        self._to_announce = asyncio.Event()
        self._master = asyncio.Event()
        self._complaints: set[str] = set()
        """What has failed in this role, each said once."""

    @property
    def held(self) -> tuple[str, ...]:
        """The virtual addresses on the NIC now, without prefix, in the order of HA_VIP."""
        present = {held.address for held in self._held}
        return tuple(str(address) for address in self._vips if address in present)

    @property
    def missing(self) -> bool:
        """An address has not been on the NIC for too long although this node is MASTER."""
        now = time.monotonic()
        return any(now - since > MISSING_AFTER for since in self._missing_since.values())

    def report(self) -> tuple[VipReport, ...]:
        """Return what the NIC showed last."""
        late = time.monotonic() - RENEWAL_NOTED_FOR
        by_address = {held.address: held for held in self._held}
        return tuple(
            VipReport(
                address=str(address),
                held=held is not None,
                leased=held is not None
                and held.lifetime is not None
                and self._unrenewed.get(address, late) <= late,
            )
            for address in self._vips
            for held in [by_address.get(address)]
        )

    async def run(self) -> None:
        """Keep the addresses as the role says: at every change on the NIC and each second."""
        async with asyncio.TaskGroup() as group:
            for broadcast in (self._network.changes, self._changes):
                group.create_task(self._follow(broadcast), name="addresses")
            group.create_task(self._announce(), name="announcements")
            group.create_task(self._hear_rivals(), name="rivals")
            while True:
                self.enforce()
                self._wake.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(STRAY_AFTER if self._stray_since else 1.0):
                        await self._wake.wait()

    def enforce(self) -> None:
        """Look at the NIC and correct what the role does not allow."""
        self._look()
        now = time.monotonic()
        master = self._role() is Role.MASTER
        if master:
            self._stray_since = {}
            self._lease(now)
        else:
            self._missing_since = {}
            self._drop(now)
        if master is not self._master.is_set():
            self._complaints.clear()
            if master:
                self._master.set()
                self._to_announce.set()
            else:
                self._master.clear()
        if self.held != self._reported:
            self._reported = self.held
            self._changes.announce()

    def release(self) -> None:
        """Take every virtual address off the NIC now."""
        self._look()
        for held in self._held:
            log.warning("removing %s from %s: it was left over", held.address, held.interface)
            self._try(self._network.delete, held)
        self._held = ()

    async def gone(self, within: float) -> bool:
        """Wait at most `within` seconds for the NIC to hold no virtual address; tell whether so."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            self._look()
            if not self._held:
                return True
            await asyncio.sleep(0.01)
        return False

    async def _follow(self, broadcast: Broadcast) -> None:
        version = broadcast.version
        while True:
            version = await broadcast.wait_after(version)
            self._wake.set()

    async def _hear_rivals(self) -> None:
        """Notice a node that took itself for MASTER too, be it for the moment after a thaw.

        Its own announcement may have been the last that the others on the wire have heard.
        """
        while True:
            await self._master.wait()
            with suppress(OSError):  # no descriptor is left, or NET_RAW is missing: said elsewhere
                await self._rival()
                if self._role() is Role.MASTER:
                    self._to_announce.set()
            await asyncio.sleep(RIVAL_PAUSE)

    async def _announce(self) -> None:
        """Tell those whom another node's host has answered, or told that it has the address."""
        while True:
            await self._to_announce.wait()
            self._to_announce.clear()
            for _ in range(ANNOUNCEMENTS):
                await asyncio.sleep(ANNOUNCE_EVERY)
                self._look()
                if self._role() is not Role.MASTER:
                    break
                for held in self._held:
                    # Closing a packet socket takes the kernel up to 0.2 s where it is busy.
                    await asyncio.to_thread(self._try, announce, held.address, held.interface)

    def _try[**P](self, action: Callable[P, None], *given: P.args, **named: P.kwargs) -> None:
        """Do what may fail now and is tried again; say once why it failed."""
        try:
            action(*given, **named)
        except ProgramError as error:
            if str(error) not in self._complaints:
                log.error("%s", error)  # noqa: TRY400 # its text says it all
            self._complaints.add(str(error))

    def _look(self) -> None:
        self._held = self._network.held(self._vips)

    def _lease(self, now: float) -> None:
        present = {held.address for held in self._held}
        self._missing_since = {
            address: self._missing_since.get(address, now)
            for address in self._vips
            if address not in present
        }
        for held in self._held:
            if held.lifetime is not None:
                if held.lifetime > RENEW_BELOW or self._hangs():
                    continue
                self._unrenewed[held.address] = now
            self._try(self._network.lease, held, LEASE)

    def _drop(self, now: float) -> None:
        self._stray_since = {
            held.address: self._stray_since.get(held.address, now) for held in self._held
        }
        for held in self._held:
            if now - self._stray_since[held.address] >= STRAY_AFTER:
                log.warning("removing %s: this node is %s", held.address, self._role())
                self._try(self._network.delete, held)

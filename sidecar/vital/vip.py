"""The VIP on the NIC: leased while this node is MASTER, removed while it is not.

keepalived adds and removes the addresses; this gives each a kernel lifetime as soon as it appears,
so that it goes even when everything here dies. The script `lease` renews it (config/bin/lease says
when).
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from sidecar.core.report import Role, VipReport
from sidecar.core.settings import Address, Interface
from sidecar.errors import ProgramError
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

RENEWAL_NOTED_FOR: Final = 5.0
"""Seconds during which a lease counts as broken after the script failed to renew it."""


class Vips:
    """Watches the virtual addresses of this node and keeps them as its role says.

    Given: the addresses, `role` for the present role, `on_change` for every change on the NIC.
    """

    def __init__(
        self,
        vips: tuple[Interface, ...],
        network: Network,
        *,
        role: Callable[[], Role],
        on_change: Callable[[], None],
    ) -> None:
        self._vips = {vip.ip: vip for vip in vips}
        self._network = network
        self._role = role
        self._on_change = on_change
        self._wake = asyncio.Event()
        self._held: tuple[Held, ...] = ()
        self._missing_since: dict[Address, float] = {}
        self._stray_since: dict[Address, float] = {}
        self._unrenewed: dict[Address, float] = {}
        """When the script last failed to renew a lease, by address."""
        self._announced: tuple[str, ...] = ()

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

    def look(self) -> None:
        """Look at the NIC at once: the role has changed."""
        self._wake.set()

    async def run(self) -> None:
        """Keep the addresses as the role says: at every change on the NIC and each second."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._network.watch(self.look), name="addresses")
            while True:
                await self.enforce()
                self._wake.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(STRAY_AFTER if self._stray_since else 1.0):
                        await self._wake.wait()

    async def enforce(self) -> None:
        """Look at the NIC and correct what the role does not allow."""
        await self._look()
        now = time.monotonic()
        if self._role() is Role.MASTER:
            self._stray_since = {}
            await self._lease(now)
        else:
            self._missing_since = {}
            await self._drop(now)
        if self.held != self._announced:
            self._announced = self.held
            self._on_change()

    async def release(self) -> None:
        """Take every virtual address off the NIC now."""
        await self._look()
        for held in self._held:
            log.warning("removed %s from %s: it was left over", held.address, held.interface)
            await self._network.delete(held)
        self._held = ()

    async def gone(self, within: float) -> bool:
        """Wait at most `within` seconds for the NIC to hold no virtual address; tell whether so."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            await self._look()
            if not self._held:
                return True
            await asyncio.sleep(0.01)
        return False

    async def _look(self) -> None:
        addresses = await self._network.addresses()
        self._held = tuple(held for held in addresses if held.address in self._vips)

    async def _lease(self, now: float) -> None:
        present = {held.address for held in self._held}
        self._missing_since = {
            address: self._missing_since.get(address, now)
            for address in self._vips
            if address not in present
        }
        for held in self._held:
            if held.lifetime is not None and held.lifetime > RENEW_BELOW:
                continue
            if held.lifetime is not None:
                self._unrenewed[held.address] = now
            try:
                await self._network.lease(self._vips[held.address], held.interface, LEASE)
            except ProgramError as error:
                log.error("%s", error)  # noqa: TRY400 # its text says it all

    async def _drop(self, now: float) -> None:
        self._stray_since = {
            held.address: self._stray_since.get(held.address, now) for held in self._held
        }
        for held in self._held:
            if now - self._stray_since[held.address] >= STRAY_AFTER:
                log.warning("removing %s: this node is %s", held.address, self._role())
                await self._network.delete(held)

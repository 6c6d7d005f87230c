"""Before anything starts: may we, where are we, and which of the nodes is this?"""

import asyncio
import logging
import os
from contextlib import suppress
from typing import Final

from sidecar.core.settings import Address, Identity, Settings
from sidecar.errors import SettingsError
from sidecar.host import capabilities
from sidecar.host.network import Network
from sidecar.host.paths import Paths

log = logging.getLogger("start")

ADDRESS_WITHIN: Final = 60.0
"""Seconds that a node's address may take to appear after boot."""


def check_host(paths: Paths) -> None:
    """Make our directories; raise SettingsError with everything that the container is not allowed."""
    problems = [
        f"the container lacks the capability {name}: {capabilities.NEEDED[name]}\n"
        f"    add it to cap_add: {name}"
        for name in capabilities.missing()
    ]
    problems += [
        f"cannot write to {directory}\n    {hint}"
        for directory, hint in (
            (paths.run, "mount a tmpfs on /run"),
            (paths.state, "mount a volume on it: it keeps what must survive a new container"),
        )
        if not _usable(directory)
    ]
    if problems:
        raise SettingsError(problems)
    paths.run.chmod(0o700)


async def identify(settings: Settings, network: Network) -> Identity:
    """Find which of HA_NODES this host is, by its own addresses.

    Wait up to a minute for one to appear; raise SettingsError if none does, or if two do.
    """
    wanted = {settings.node} if settings.node else set(settings.nodes)
    deadline = asyncio.get_running_loop().time() + ADDRESS_WITHIN
    said = False
    while True:
        held = {entry.address: entry.interface for entry in await network.addresses()}
        own = sorted(wanted & held.keys(), key=settings.nodes.index)
        if len(own) == 1:
            return _identity(settings, own[0], settings.interface or held[own[0]])
        if own:
            names = ", ".join(map(str, own))
            raise SettingsError([f"this host has several of HA_NODES: {names}\n    set HA_NODE"])
        if not said:
            said = True
            log.warning("waiting for one of %s to appear on this host", _join(wanted))
        if asyncio.get_running_loop().time() > deadline:
            raise SettingsError(
                [
                    f"HA_NODES: none of {_join(wanted)} is an address of this host\n"
                    f"    it has {_join(set(held))}; is network_mode: host set?"
                ]
            )
        await asyncio.sleep(0.5)


async def interface_of(address: Address, network: Network) -> str:
    """Return the interface that holds `address`; wait until one does."""
    while True:
        for held in await network.addresses():
            if held.address == address:
                return held.interface
        await asyncio.sleep(0.5)


def _identity(settings: Settings, node: Address, interface: str) -> Identity:
    return Identity(
        node=node,
        index=settings.nodes.index(node),
        interface=interface,
        peers=tuple(other for other in settings.nodes if other != node),
    )


def _usable(directory: os.PathLike[str]) -> bool:
    with suppress(OSError):
        os.makedirs(directory, exist_ok=True)
        return os.access(directory, os.W_OK)
    return False


def _join(addresses: set[Address]) -> str:
    return ", ".join(sorted(str(address) for address in addresses if not address.is_loopback))

"""Before anything starts: whether we may, and which of the nodes this is."""

import asyncio
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from sidecar.core.report import Problem, Severity
from sidecar.core.settings import Address, Identity, Settings
from sidecar.errors import SettingsError
from sidecar.host import capabilities
from sidecar.host.descriptors import raise_limit
from sidecar.host.network import Network
from sidecar.host.paths import Paths

log = logging.getLogger("start")

ADDRESS_WITHIN: Final = 60.0
"""Seconds that a node's address may take to appear after boot."""


def prepare_host(paths: Paths) -> None:
    """Make our directories and raise our limits.

    Raise SettingsError with everything that the container lacks. A state directory that cannot be
    written to stops sync only: a disk that failed is no reason not to serve.
    """
    raise_limit()
    if problems := _lacking(paths):
        raise SettingsError([*map(str, problems)])
    paths.run.chmod(0o700)
    for problem in _state_problems(paths):
        log.error("%s", problem)


def host_problems(paths: Paths) -> tuple[Problem, ...]:
    """Return what the container lacks: capabilities, and directories that it can write to."""
    return (*_lacking(paths), *_state_problems(paths))


def _lacking(paths: Paths) -> tuple[Problem, ...]:
    lacking = [
        Problem(
            code="capability-missing",
            severity=Severity.ERROR,
            message=f"the container lacks the capability {name}: {capabilities.NEEDED[name]}",
            hint=f"add it to cap_add: {name}",
        )
        for name in capabilities.missing()
    ]
    return (*lacking, *_not_writable(paths.run, f"mount a tmpfs on {paths.run.parent}"))


def _state_problems(paths: Paths) -> tuple[Problem, ...]:
    hint = "mount a volume on it: it keeps what must survive a new container"
    return _not_writable(paths.state, hint)


def _not_writable(directory: Path, hint: str) -> tuple[Problem, ...]:
    if _writable(directory):
        return ()
    return (
        Problem(
            code="not-writable",
            severity=Severity.ERROR,
            message=f"cannot write to {directory}",
            hint=hint,
        ),
    )


async def identify(settings: Settings, network: Network) -> Identity:
    """Find which of HA_NODES this host is, by its own addresses.

    Wait up to a minute for one to appear; raise SettingsError if none does, or if two do.
    """
    wanted = {settings.node} if settings.node else set(settings.nodes)
    deadline = asyncio.get_running_loop().time() + ADDRESS_WITHIN
    said = False
    while True:
        held = {entry.address: entry.interface for entry in network.addresses()}
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
            has = _join(set(held))
            problem = f"HA_NODES: none of {_join(wanted)} is an address of this host"
            raise SettingsError([f"{problem}\n    it has {has}; is network_mode: host set?"])
        await asyncio.sleep(0.5)


async def interface_of(address: Address, network: Network) -> str:
    """Return the interface that holds `address`; wait until one does."""
    while True:
        for held in network.held([address]):
            return held.interface
        await asyncio.sleep(0.5)


def _identity(settings: Settings, node: Address, interface: str) -> Identity:
    return Identity(
        node=node,
        index=settings.nodes.index(node),
        interface=interface,
        peers=tuple(other for other in settings.nodes if other != node),
    )


def _writable(directory: Path) -> bool:
    with suppress(OSError):
        directory.mkdir(parents=True, exist_ok=True)
        return os.access(directory, os.W_OK)
    return False


def _join(addresses: set[Address]) -> str:
    return ", ".join(sorted(str(address) for address in addresses if not address.is_loopback))

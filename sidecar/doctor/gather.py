"""Collects all facts at once: it takes as long as the slowest answer."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sidecar.core.doctor.facts import Facts, HeardAdvert, LocalAddress
from sidecar.core.listens import Listen
from sidecar.core.report import Problem, Report
from sidecar.core.settings import Address, Settings
from sidecar.doctor import machine
from sidecar.doctor.wire import knock, resolves, who_has, who_has_v6
from sidecar.host import capabilities
from sidecar.host.adverts import overheard
from sidecar.host.network import Network
from sidecar.host.paths import Paths
from sidecar.programs.nginx.ports import taken
from sidecar.settings.digests import digests

WITHIN: Final = 2.0
"""Seconds for every answer from the network."""


async def gather(
    settings: Settings,
    paths: Paths,
    *,
    report: Report | None,
    configuration: tuple[Problem, ...],
) -> Facts:
    """Return what can be found out on this host, beside what is given."""
    async with Network() as network:
        addresses = tuple(_addresses(network))
        gateways = tuple(str(gateway.address) for gateway in network.gateways())
    own = _own(settings, {ip_address(one.address) for one in addresses})
    interface = next((one.interface for one in addresses if one.address == str(own)), "")
    peers = [node for node in settings.nodes if node != own]
    asked = (*(vip.ip for vip in settings.vips), *peers)
    four = [address for address in asked if isinstance(address, IPv4Address)]
    six = [address for address in asked if isinstance(address, IPv6Address)]
    by_arp, by_discovery, heard, knocks, names = await asyncio.gather(
        _unless_refused(partial(who_has, four, interface, WITHIN), possible=bool(interface)),
        _unless_refused(partial(who_has_v6, six, interface, WITHIN), possible=bool(interface)),
        _unless_refused(partial(overheard, own or peers[0], WITHIN), possible=own is not None),
        _each({str(peer): knock(str(peer), settings.link_port, WITHIN) for peer in peers}),
        _each({name: resolves(name, WITHIN) for name in _names(settings)}),
    )
    return Facts(
        settings=settings,
        own=own,
        report=report,
        missing=tuple(capabilities.missing()),
        remapped=capabilities.remapped(),
        real_time=capabilities.may_run_in_real_time(),
        places=tuple(machine.places(_written(settings, paths))),
        single_files=tuple(machine.single_files(map(Path, settings.sync_paths))),
        instances=machine.inotify_instances(),
        addresses=addresses,
        gateways=gateways,
        managers=machine.managers(),
        answers={**(by_arp or {}), **(by_discovery or {})},
        adverts=None if heard is None else tuple(_heard(heard, own)),
        knocks=knocks,
        names=names,
        ports={} if report is not None or own is None else dict(_taken(settings, own)),
        configuration=configuration,
        digests=digests(settings),
    )


def _addresses(network: Network) -> Iterator[LocalAddress]:
    for held in network.addresses():
        yield LocalAddress(
            address=str(held.address),
            prefix=held.prefix,
            interface=held.interface,
            up=machine.is_up(held.interface),
            dynamic=held.until is not None,
        )


def _own(settings: Settings, held: set[Address]) -> Address | None:
    """Return which of HA_NODES this host is; None if none is here, or several."""
    wanted = {settings.node} if settings.node else set(settings.nodes)
    here = wanted & held
    return here.pop() if len(here) == 1 else None


async def _unless_refused[T](work: Callable[[], T], *, possible: bool) -> T | None:
    """Do what blocks in a thread; return None where the kernel refuses."""
    if not possible:
        return None
    try:
        return await asyncio.to_thread(work)
    except OSError:
        return None


async def _each[T](asked: Mapping[str, Awaitable[T]]) -> Mapping[str, T]:
    return dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))


def _heard(heard: frozenset[tuple[str, int]], own: Address | None) -> Iterator[HeardAdvert]:
    for source, vrid in sorted(heard):
        if source != str(own):
            yield HeardAdvert(source=source, vrid=vrid)


def _names(settings: Settings) -> list[str]:
    """Return the host names that the settings have nginx or a check ask for."""
    urls = (*(site.url for site in settings.sites), *settings.check_urls)
    hosts = dict.fromkeys(urlsplit(url).hostname or "" for url in urls)
    return [host for host in hosts if host and not _is_address(host)]


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _written(settings: Settings, paths: Paths) -> Iterator[Path]:
    yield from (paths.run.parent, paths.state, Path("/tmp"))  # noqa: S108 # it must be writable
    yield from map(Path, settings.sync_paths)
    if settings.nginx:
        yield Path("/var/lib/nginx")


def _taken(settings: Settings, own: Address) -> Iterator[tuple[str, str]]:
    """Give which port of ours somebody else has."""
    wanted = {"HA_SYNC_PORT": settings.link_port, "HA_HTTP_PORT": settings.http_port}
    if settings.containers:
        wanted["HA_RELAY_PORT"] = settings.relay_port
    for name, port in wanted.items():
        for _, holder in taken([Listen(str(own), port)]):
            yield f"{name} {port}", holder

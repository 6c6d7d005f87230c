"""The host's network as the kernel tells it, in the container's own namespace."""

import asyncio
import ipaddress
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from sidecar.core.settings import Address
from sidecar.errors import ProgramError
from sidecar.host.announce import announce
from sidecar.host.network import Gateway, Held, Network

VIP = ipaddress.ip_address("192.0.2.10")
VIP6 = ipaddress.ip_address("2001:db8::10")
ALL_PROTOCOLS = 0x0003
OUTGOING = 4


def ip(*lines: str) -> None:
    """Let `ip` do everything, in one process."""
    subprocess.run(["ip", "-force", "-batch", "-"], input="\n".join(lines), text=True, check=True)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave no address behind."""
    yield
    for family in ("-4", "-6"):
        subprocess.run(
            ["ip", family, "address", "flush", "dev", "lo", "scope", "global"], check=True
        )


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    """The kernel's view."""
    async with Network() as network:
        yield network


def many(count: int) -> list[str]:
    """Return the lines that add addresses."""
    return [f"address add 198.18.{n // 250}.{n % 250 + 1}/32 dev lo" for n in range(count)]


async def test_a_burst_that_no_socket_holds_loses_nothing(network: Network) -> None:
    before = network.changes.version
    ip(*many(3000))  # while nobody reads
    assert len(network.addresses()) > 3000
    assert network.changes.version > before
    ip("address flush dev lo scope global", f"address add {VIP}/32 dev lo")
    assert [held.interface for held in network.held([VIP])] == ["lo"]
    assert len(network.addresses()) < 1000


async def test_what_waits_for_a_change_is_woken(network: Network) -> None:
    seen = asyncio.create_task(network.changes.wait_after(network.changes.version))
    await asyncio.sleep(0)
    ip(f"address add {VIP}/32 dev lo")
    await asyncio.wait_for(seen, 5)
    assert network.held([VIP])


@pytest.mark.parametrize(("vip", "prefix"), [(VIP, 32), (VIP6, 128)])
async def test_a_lease_ends_by_itself(network: Network, vip: Address, prefix: int) -> None:
    ip(f"address add {vip}/{prefix} dev lo")
    (held,) = network.held([vip])
    assert held.lifetime is None
    network.lease(held, 3)
    (held,) = network.held([vip])
    assert held.lifetime is not None
    assert held.lifetime <= 3
    version = network.changes.version
    while network.held([vip]):
        version = await network.changes.wait_after(version)


async def test_what_has_gone_by_itself_can_be_deleted(network: Network) -> None:
    ip(f"address add {VIP}/32 dev lo")
    (held,) = network.held([VIP])
    network.delete(held)
    assert not network.held([VIP])
    network.delete(held)
    network.delete(Held(address=VIP, prefix=32, index=9999, until=None))


async def test_a_lease_on_an_interface_that_is_gone_is_refused(network: Network) -> None:
    with pytest.raises(ProgramError, match="cannot renew"):
        network.lease(Held(address=VIP, prefix=32, index=9999, until=None), 3)


async def test_default_routes_are_followed(network: Network) -> None:
    before = network.gateways()
    hop, index = ipaddress.ip_address("192.0.2.1"), socket.if_nametoindex("eth0")
    route = f"default via {hop} dev eth0 src {VIP} metric 4000000"
    ip(f"address add {VIP}/24 dev eth0", f"route add {route}")
    assert network.gateways() == (*before, Gateway(address=hop, index=index))
    # The kernel takes the route along, and says nothing about it.
    ip(f"address del {VIP}/24 dev eth0")
    assert network.gateways() == before


async def test_other_routes_are_not_even_told(network: Network) -> None:
    network.gateways()
    ip(f"address add {VIP}/24 dev lo")
    network.addresses()
    before = network.changes.version
    ip(*(f"route add 198.19.{n // 256}.{n % 256}/32 dev lo" for n in range(2000)))
    network.addresses()
    assert network.changes.version == before
    ip("route flush dev lo")


async def test_a_gateway_answers_and_an_empty_place_does_not(network: Network) -> None:
    gateways = [gateway for gateway in network.gateways() if gateway.address.version == 4]
    if not gateways:
        pytest.skip("this container has no default route")
    (gateway,) = gateways
    assert await network.reachable(gateway, 2)
    nobody = Gateway(address=gateway.address + 65_000, index=gateway.index)
    assert not await network.reachable(nobody, 0.5)


def cpu(once: Callable[[], object]) -> float:
    """Return the CPU seconds of a hundred times."""
    begun = time.process_time()
    for _ in range(100):
        once()
    return time.process_time() - begun


async def test_what_is_asked_each_second_does_not_grow_with_the_host(network: Network) -> None:
    def each_second() -> None:
        network.held([VIP, VIP6])
        network.gateways()

    each_second()
    alone = cpu(each_second)
    ip(*many(500), *(f"route add 198.19.{n // 256}.{n % 256}/32 dev lo" for n in range(2000)))
    each_second()
    assert cpu(each_second) < 5 * alone
    ip("route flush dev lo")


@pytest.mark.parametrize("vip", [VIP, VIP6])
async def test_an_announcement_says_where_an_address_is(vip: Address) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS)) as wire:
        wire.bind(("eth0", ALL_PROTOCOLS))
        wire.settimeout(10)
        own = wire.getsockname()[4]
        announce(vip, "eth0")
        while True:
            frame, (_, _, direction, _, _) = wire.recvfrom(2048)
            if direction == OUTGOING and vip.packed in frame:
                break
    assert frame[6:12] == own
    assert own in frame[14:]
    assert frame[:6] == (b"\xff" * 6 if vip.version == 4 else b"\x33\x33\0\0\0\1")


def test_an_announcement_where_there_is_no_wire_is_refused() -> None:
    with pytest.raises(ProgramError, match="cannot announce"):
        announce(VIP, "nowhere0")

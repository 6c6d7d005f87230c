"""VRRP adverts on the loopback interface, as the kernel delivers them."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from ipaddress import ip_address

import pytest

from sidecar.host import adverts as module
from sidecar.host.adverts import VRRP, Adverts

OWN, PEER, STRANGER = "127.0.0.11", "127.0.0.12", "127.0.0.13"
VRID = 51


@pytest.fixture
async def adverts() -> AsyncIterator[Adverts]:
    """Those of one peer."""
    heard = Adverts(ip_address(OWN), [ip_address(PEER)], VRID)
    listening = asyncio.create_task(heard.run())
    await asyncio.sleep(0)
    yield heard
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


def send(*packets: bytes, source: str = PEER) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, VRRP) as sender:
        sender.bind((source, 0))
        for packet in packets:
            sender.sendto(packet, (OWN, 0))


def advert(priority: int, vrid: int = VRID) -> bytes:
    return bytes([0x31, vrid, priority, 1, 0, 3, 0, 0])


async def priority(adverts: Adverts, wanted: int) -> None:
    async with asyncio.timeout(5):
        while adverts.last is None or adverts.last.priority != wanted:
            await asyncio.sleep(0.005)


async def hears(adverts: Adverts, *peers: str) -> None:
    async with asyncio.timeout(5):
        while adverts.heard != peers:
            await asyncio.sleep(0.005)


async def test_the_last_advert_of_a_peer_is_known_with_the_time_of_its_arrival(
    adverts: Adverts,
) -> None:
    await asyncio.sleep(0.5)  # the kernel takes a moment to begin with its timestamps
    before = time.time()
    send(advert(240), advert(0))
    after = time.time()
    await priority(adverts, 0)
    assert adverts.last is not None
    assert adverts.last.source == PEER
    assert before <= adverts.last.time <= after


async def test_those_of_others_and_what_is_no_advert_count_for_nothing(adverts: Adverts) -> None:
    send(advert(1), source=STRANGER)
    send(advert(2, vrid=VRID + 1), b"", b"1", bytes([0x31, VRID]), advert(7))
    await priority(adverts, 7)


async def test_who_sends_anything_at_all_is_heard(adverts: Adverts) -> None:
    assert adverts.heard is None
    send(advert(1), source=STRANGER)
    send(advert(1, vrid=VRID + 1))
    await hears(adverts, PEER)


async def test_who_sends_nothing_is_not_heard_after_some_time(
    adverts: Adverts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT", 0.2)
    await hears(adverts)


@pytest.mark.parametrize(("own", "peer"), [(OWN, PEER), ("::1", "::1")])
async def test_a_node_sends_probes_that_no_router_takes_for_adverts(own: str, peer: str) -> None:
    one, other = ip_address(own), ip_address(peer)
    first, second = Adverts(one, [other], VRID), Adverts(other, [one], VRID)
    running = [asyncio.create_task(each.run()) for each in (first, second)]
    await hears(first, peer)
    await hears(second, own)
    assert first.last is second.last is None
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def test_a_flood_is_read_at_a_bounded_pace(adverts: Adverts) -> None:
    for _ in range(50):
        send(*[advert(9)] * 100)
        await asyncio.sleep(0)
    await priority(adverts, 9)

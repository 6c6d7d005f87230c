"""Pulls between two real nodes on 127.0.0.x: sshd, ssh, rsync, and the store that adopts."""

import asyncio
import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path

import pytest

from sidecar.core.history.snapshot import MAX_PATHS
from sidecar.core.sync_report import Progress
from sidecar.programs import ssh
from sidecar.programs.rsync import Module, Outcome
from sidecar.programs.ssh_keys import keys
from sidecar.programs.ssh_words import Failure
from sidecar.sync.transfer import Transfer, TransferError
from tests.integration.link.node import PORT, SECRET, A, B, identity, places, until
from tests.integration.sync.node import Node, noise, received, serving, signal_all
from tests.integration.sync.pulling import (
    BIG,
    PEER,
    has,
    in_the_middle,
    keeper,
    names,
    pulling,
    room,
    running,
)


async def test_all_manifests_that_are_missing_are_brought(
    node: Node, transfer: Transfer, history: Path
) -> None:
    first = node.offer_manifest(summary="the first")
    second = node.offer_manifest(first, summary="the second")
    assert await transfer.fetch_manifests(PEER) == {first, second}
    third = node.offer_manifest(second, summary="the third")
    assert await transfer.fetch_manifests(PEER) == {third}
    assert await transfer.fetch_manifests(PEER) == frozenset()
    assert has(history, Module.SNAPSHOTS, node)


async def test_one_manifest_is_brought_by_its_id(node: Node, transfer: Transfer) -> None:
    first = node.offer_manifest(summary="the first")
    second = node.offer_manifest(first)
    assert await transfer.fetch_manifests(PEER, {second}) == {second}
    assert await transfer.fetch_manifests(PEER, ()) == frozenset()


async def test_objects_are_brought_and_nothing_else_is(
    node: Node, transfer: Transfer, history: Path
) -> None:
    wanted = {node.offer(noise(size)) for size in (0, 1, 1000, 1_000_000)}
    other = node.offer(b"not asked for")
    assert await transfer.fetch_objects(PEER, room(wanted)) == wanted
    objects = history / "objects"
    assert names(objects) == wanted
    assert {path.stat().st_mode & 0o777 for path in objects.iterdir()} == {0o600}
    await transfer.fetch_objects(PEER, room({other}))
    assert has(history, Module.OBJECTS, node)
    assert not names(history / "incoming")


@pytest.mark.usefixtures("slow")
async def test_a_connection_that_is_killed_in_the_middle_is_made_anew_in_the_same_pull(
    node: Node, transfer: Transfer, history: Path
) -> None:
    big = node.offer(noise(BIG))
    pull = asyncio.create_task(transfer.fetch_objects(PEER, room({big})))
    await in_the_middle(history)
    os.kill(keeper(), signal.SIGKILL)
    before = received()
    assert await pull == {big}
    assert received() - before < BIG * 0.85
    assert has(history, Module.OBJECTS, node)


@pytest.mark.usefixtures("slow")
async def test_a_pull_goes_on_where_an_earlier_one_was_cut(
    directory: Path, transfer: Transfer, history: Path
) -> None:
    async with serving(directory / "a") as node:
        big = node.offer(noise(BIG))
        # rsync sends them in the order of their names.
        contents = (str(number).encode() for number in itertools.count())
        small = node.offer(next(one for one in contents if sha256(one).hexdigest() < big))
        pull = asyncio.create_task(transfer.fetch_objects(PEER, room({small, big})))
        await in_the_middle(history)
        await until(lambda: transfer.fetching == {A: Progress(done=1, total=2)}, within=3)
        sessions = node.processes()[1:]
    signal_all(sessions, signal.SIGKILL)
    with pytest.raises(TransferError) as caught:
        await pull
    assert caught.value.outcome is Outcome.LATER
    assert transfer.fetching == {}
    assert names(history / "objects") <= {small}
    async with serving(directory / "a") as node:
        before = received()
        await transfer.fetch_objects(PEER, room({small, big}))
        assert received() - before < BIG * 0.85
        assert has(history, Module.OBJECTS, node)


@pytest.mark.usefixtures("slow")
async def test_a_frozen_peer_is_given_up_and_the_next_pull_goes_on(
    node: Node, transfer: Transfer, history: Path
) -> None:
    big = node.offer(noise(BIG))
    pull = asyncio.create_task(transfer.fetch_objects(PEER, room({big})))
    await in_the_middle(history)
    frozen = node.processes()
    signal_all(frozen, signal.SIGSTOP)
    try:
        async with asyncio.timeout(20):
            with pytest.raises(TransferError) as caught:
                await pull
    finally:
        signal_all(frozen, signal.SIGCONT)
    assert caught.value.outcome is Outcome.LATER
    assert not names(history / "objects")
    before = received()
    assert await transfer.fetch_objects(PEER, room({big})) == {big}
    assert received() - before < BIG * 0.85


@pytest.mark.usefixtures("slow")
async def test_a_pull_that_is_cancelled_leaves_no_process_and_harms_no_later_one(
    node: Node, transfer: Transfer, history: Path
) -> None:
    big = node.offer(noise(BIG))
    await transfer.fetch_manifests(PEER)
    pull = asyncio.create_task(transfer.fetch_objects(PEER, room({big})))
    await until(lambda: [*(history / "incoming" / A).rglob(".*")], within=5)
    pull.cancel()
    await asyncio.gather(pull, return_exceptions=True)
    assert not running("rsync", "--files-from=-")
    assert await transfer.fetch_objects(PEER, room({big})) == {big}


async def test_a_connection_that_died_meanwhile_is_made_anew(
    node: Node, transfer: Transfer
) -> None:
    await transfer.fetch_manifests(PEER)
    first = keeper()
    os.kill(first, signal.SIGKILL)
    await until(lambda: not running("ssh", "ControlMaster=yes"), within=1)
    await asyncio.sleep(0.1)
    one = node.offer(b"one")
    assert await transfer.fetch_objects(PEER, room({one})) == {one}
    assert keeper() != first


async def test_one_connection_is_kept_and_ends_with_us(
    node: Node, directory: Path, history: Path
) -> None:
    async with pulling(directory / "b" / "run", history) as transfer:
        await transfer.fetch_manifests(PEER)
        first = keeper()
        await transfer.fetch_objects(PEER, room({node.offer(b"one")}))
        assert keeper() == first
    assert not running("ssh", "ControlMaster=yes")
    await until(lambda: len(node.processes()) == 1, within=2)


async def test_a_frozen_peer_ends_the_connection_that_is_kept(
    node: Node, transfer: Transfer
) -> None:
    await transfer.fetch_manifests(PEER)
    frozen = node.processes()
    signal_all(frozen, signal.SIGSTOP)
    try:
        await until(lambda: not running("ssh", "ControlMaster=yes"), within=ssh.SHARED_SILENCE + 4)
        with pytest.raises(TransferError, match="no answer"):
            await transfer.fetch_manifests(PEER)
    finally:
        signal_all(frozen, signal.SIGCONT)
    one = node.offer_manifest()
    assert await transfer.fetch_manifests(PEER) == {one}


def test_a_connection_is_never_shared_with_another_secrets(directory: Path) -> None:
    paths, sockets = places(directory), set[Path]()
    for secret in (SECRET, "another" + SECRET):
        ssh.install(paths, identity(B, A), keys=[keys(secret)], port=PORT)
        sockets.add(ssh.control_socket(paths, PEER, PORT))
    assert len(sockets) == 2
    # ssh makes it under a name with 17 more characters, at most 107 in all.
    assert {len(f"/run/ha/ssh/{socket.name}") + 17 <= 107 for socket in sockets} == {True}


@pytest.mark.usefixtures("node")
async def test_a_wrong_secret_is_named(directory: Path, history: Path) -> None:
    async with pulling(directory / "b" / "run", history, secret="another" + SECRET) as transfer:
        with pytest.raises(TransferError, match=Failure.FOREIGN.value):
            await transfer.fetch_manifests(PEER)


async def test_a_peer_that_is_away_is_told_at_once(transfer: Transfer) -> None:
    with pytest.raises(TransferError, match="nothing listens there") as caught:
        await transfer.fetch_manifests(PEER)
    assert caught.value.outcome is Outcome.LATER


async def test_a_peer_that_does_not_sync_refuses(node: Node, transfer: Transfer) -> None:
    (node.run / "rsyncd.conf").unlink()
    with pytest.raises(TransferError, match="nothing to sync") as caught:
        await transfer.fetch_manifests(PEER)
    assert caught.value.outcome is Outcome.REFUSED


async def test_what_is_not_there_is_incomplete_and_the_rest_arrives(
    node: Node, transfer: Transfer, history: Path
) -> None:
    one, missing = node.offer(b"one"), "f" * 64
    with pytest.raises(TransferError, match=missing) as caught:
        await transfer.fetch_objects(PEER, room({one, missing}))
    assert caught.value.outcome is Outcome.INCOMPLETE
    assert has(history, Module.OBJECTS, node)


async def test_a_full_disk_is_named_and_what_came_makes_room(directory: Path) -> None:
    # Docker's own small tmpfs: 64 MiB.
    history = Path("/dev/shm/history")
    try:
        async with (
            serving(directory / "a") as node,
            pulling(directory / "b" / "run", history) as transfer,
        ):
            small, big = node.offer(b"small"), node.offer(noise(2 * BIG))
            with pytest.raises(TransferError, match="No space left") as caught:
                await transfer.fetch_objects(PEER, room({small, big}))
            assert caught.value.outcome is Outcome.DISK
            assert not (history / "incoming" / A).exists()
            assert await transfer.fetch_objects(PEER, {small: len(b"small")}) == {small}
    finally:
        shutil.rmtree(history)


async def test_more_than_a_set_may_hold_is_not_asked_for(transfer: Transfer) -> None:
    names = [f"{number:064x}" for number in range(MAX_PATHS + 1)]
    with pytest.raises(TransferError) as caught:
        await transfer.fetch_objects(PEER, room(names))
    assert caught.value.outcome is Outcome.REFUSED
    with pytest.raises(ValueError, match="hex"):
        await transfer.fetch_objects(PEER, room({"../../etc/passwd"}))


@pytest.fixture
def ipv6() -> Iterator[tuple[str, str]]:
    addresses = "fd00:4b15:6::11", "fd00:4b15:6::12"
    for address in addresses:
        subprocess.run(["ip", "address", "add", f"{address}/128", "dev", "lo", "nodad"], check=True)
    yield addresses
    for address in addresses:
        subprocess.run(["ip", "address", "del", f"{address}/128", "dev", "lo"], check=True)


async def test_nodes_with_ipv6_addresses_pull(
    directory: Path, history: Path, ipv6: tuple[str, str]
) -> None:
    peer, own = ipv6
    async with (
        serving(directory / "a", peer, own) as node,
        pulling(directory / "b" / "run", history, own, peer) as transfer,
    ):
        one = node.offer(b"one")
        assert await transfer.fetch_objects(ip_address(peer), room({one})) == {one}

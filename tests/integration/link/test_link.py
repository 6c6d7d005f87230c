"""Two real nodes' links on 127.0.0.x: sshd, ssh, socat and our own ends."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

import pytest

from sidecar.core.gossip import Gossip
from sidecar.core.report import Details, Role
from sidecar.core.timeline import Event, EventKind
from sidecar.peers.link import SILENCE
from tests.integration.link.node import PORT, SECRET, A, B, Node, running, until


def sees(node: Node, vips: tuple[str, ...]) -> bool:
    return node.seen().vips == vips


def descendants(root: int) -> list[int]:
    """Return `root` and all processes below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(parent, []).append(int(entry.parent.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


@contextmanager
def remote(
    run: Path, own: str, peer: str, secret: str = SECRET
) -> Iterator[subprocess.Popen[bytes]]:
    """A node in a process of its own, which can be killed and frozen."""
    command = [sys.executable, "-m", "tests.integration.link.node", str(run), own, peer, secret]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3]) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()


@contextmanager
def silence(port: int) -> Iterator[None]:
    """Drop every packet of the links, as a broken switch does."""
    rules = f"""
        table inet link_test {{
            chain input {{
                type filter hook input priority 0;
                tcp dport {port} drop
                tcp sport {port} drop
            }}
        }}"""
    subprocess.run(["nft", "-f", "-"], input=rules.encode(), check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "inet", "link_test"], check=True)


@pytest.fixture
def ipv6() -> Iterator[tuple[str, str]]:
    addresses = "fd00:4b15:5::11", "fd00:4b15:5::12"
    for address in addresses:
        subprocess.run(["ip", "address", "add", f"{address}/128", "dev", "lo", "nodad"], check=True)
    yield addresses
    for address in addresses:
        subprocess.run(["ip", "address", "del", f"{address}/128", "dev", "lo"], check=True)


async def test_two_nodes_link_and_see_each_others_states(directory: Path) -> None:
    async with running(directory / "a", A, B) as a, running(directory / "b", B, A) as b:
        a.mesh.publish(a.state(role=Role.MASTER, vips=("127.0.0.10",), eligible=True))
        await until(lambda: a.mesh.complete() and b.mesh.complete(), within=10)
        await until(lambda: b.seen().role is Role.MASTER, within=5)
        seen = b.seen()
        assert (seen.node, seen.vips, seen.eligible) == (A, ("127.0.0.10",), True)
        skew = b.peer().clock_skew
        assert skew is not None
        assert abs(skew) < 0.5


async def test_each_node_has_a_connection_of_its_own(directory: Path) -> None:
    async with running(directory / "a", A, B) as a, running(directory / "b", B, A) as b:
        await until(lambda: len(a.mesh._links) == len(b.mesh._links) == 2, within=10)
        await asyncio.sleep(2.5)
        assert len(a.mesh._links) == len(b.mesh._links) == 2
        assert a.peer().error == b.peer().error == ""


async def test_what_is_published_arrives_at_once(directory: Path) -> None:
    async with running(directory / "a", A, B) as a, running(directory / "b", B, A) as b:
        await until(b.mesh.complete, within=10)
        await asyncio.sleep(0.5)
        took = []
        for turn in range(10):
            vips = (f"127.0.1.{turn}",)
            a.mesh.publish(a.state(vips=vips))
            took.append(await until(partial(sees, b, vips), within=5))
        assert median(took) < 0.1


async def test_gossip_arrives_and_bad_gossip_breaks_no_link(directory: Path) -> None:
    event = Event(time=1.0, node=A, kind=EventKind.START, subject="0.1.0")
    gossip = Gossip(details=Details(started=1.0), events=(event,))
    async with running(directory / "a", A, B) as a, running(directory / "b", B, A) as b:
        await until(lambda: a.mesh.complete() and b.mesh.complete(), within=10)
        a.mesh.tell(gossip)
        await until(lambda: b.mesh.events() == (event,), within=10)
        assert b.peer().details == gossip.details
        a.mesh._packed = {"events": "many"}
        a.mesh.publish(a.state(vips=("192.0.2.10",)))
        await until(partial(sees, b, ("192.0.2.10",)), within=10)
        assert b.mesh.events() == (event,)
        assert b.peer().linked


async def test_a_wrong_secret_is_named_and_the_right_one_works_at_once(directory: Path) -> None:
    async with running(directory / "a", A, B) as a:
        async with running(directory / "b", B, A, secret="another" + SECRET) as b:
            await until(lambda: "HA_SECRET" in a.peer().error, within=10)
            await until(lambda: "HA_SECRET" in b.peer().error, within=10)
            # Long enough for sshd's penalties to add up, were they on.
            await asyncio.sleep(10)
            assert not a.peer().linked
        async with running(directory / "b", B, A) as b:
            await until(b.mesh.complete, within=2)
            await until(lambda: not a.peer().error, within=10)


async def test_a_killed_peer_is_not_linked_and_comes_back(directory: Path) -> None:
    async with running(directory / "a", A, B) as a:
        with remote(directory / "b", B, A) as peer:
            await until(a.mesh.complete, within=5)
            peer.kill()
            await until(lambda: not a.peer().linked, within=SILENCE + 0.5)
            assert a.peer().error
            assert a.peer().state is not None
        with remote(directory / "b", B, A):
            await until(a.mesh.complete, within=5)
            await until(lambda: not a.peer().error, within=10)


async def test_a_frozen_peer_is_not_linked_and_heals(directory: Path) -> None:
    async with running(directory / "a", A, B) as a:
        with remote(directory / "b", B, A) as peer:
            await until(a.mesh.complete, within=5)
            frozen = descendants(peer.pid)
            for pid in frozen:
                os.kill(pid, signal.SIGSTOP)
            await until(lambda: not a.peer().linked, within=SILENCE + 0.5)
            await until(lambda: "no answer" in a.peer().error, within=10)
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
            await until(lambda: a.peer().linked, within=10)


@pytest.mark.parametrize("seconds", [4, 12])
async def test_a_link_heals_within_3_s_of_a_silent_loss(directory: Path, seconds: int) -> None:
    async with running(directory / "a", A, B) as a, running(directory / "b", B, A) as b:
        await until(a.mesh.complete, within=10)
        with silence(PORT):
            await until(lambda: not (a.peer().linked or b.peer().linked), within=SILENCE + 0.5)
            await asyncio.sleep(seconds - SILENCE)
        await until(lambda: a.peer().linked and b.peer().linked, within=3.5)


async def test_the_links_return_after_a_restart_of_sshd(directory: Path) -> None:
    async with running(directory / "a", A, B) as a, running(directory / "b", B, A) as b:
        await until(lambda: len(a.mesh._links) == 2, within=10)
        assert b.sshd.pid is not None
        for pid in descendants(b.sshd.pid):
            os.kill(pid, signal.SIGKILL)
        await until(lambda: a.peer().error, within=2)
        assert a.peer().linked  # by the connection of the other one
        await until(lambda: not a.peer().error and len(a.mesh._links) == 2, within=4)


async def test_a_node_with_another_address_than_its_connection_is_refused(directory: Path) -> None:
    async with running(directory / "a", A, B) as a, running(directory / "b", B, A) as b:
        b.mesh.publish(b.state(node="127.0.0.13"))
        await until(lambda: "says it is 127.0.0.13" in a.peer().error, within=10)
        await until(lambda: "says it is 127.0.0.13" in b.peer().error, within=10)
        b.mesh.publish(b.state(node=A))
        await until(lambda: "same address" in a.peer().error, within=5)
        assert not a.peer().linked


async def test_nodes_with_ipv6_addresses_link(directory: Path, ipv6: tuple[str, str]) -> None:
    own, other = ipv6
    async with (
        running(directory / "a", own, other) as a,
        running(directory / "b", other, own) as b,
    ):
        await until(lambda: len(a.mesh._links) == len(b.mesh._links) == 2, within=10)
        assert a.peer().linked
        assert b.peer().linked


async def test_the_end_is_prompt_and_leaves_no_process(directory: Path) -> None:
    async with running(directory / "b", B, A) as b:
        before = set(descendants(os.getpid()))
        async with running(directory / "a", A, B) as a:
            await until(lambda: len(a.mesh._links) == len(b.mesh._links) == 2, within=10)
            begun = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - begun < 1

        def left() -> set[int]:
            return {pid for pid in descendants(os.getpid()) if pid not in before}

        # The other node goes on calling, which is one process at a time.
        await until(lambda: len(left()) <= 1, within=2)


def has_both_ways(node: Node) -> bool:
    return len(node.mesh._links) == 2


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [("old", "new,old", 1), ("new,old", "new,old", 0), ("new", "new,old", 0)],
)
async def test_who_takes_two_secrets_is_linked_both_ways_with_who_has_one_of_them(
    tmp_path: Path, first: str, second: str, shown: int
) -> None:
    async with (
        running(tmp_path / "a", A, B, secret=first) as a,
        running(tmp_path / "b", B, A, secret=second, shown=shown) as b,
    ):
        for node in (a, b):
            await until(partial(has_both_ways, node), within=15)
            assert node.peer().linked
            assert "HA_SECRET" not in node.peer().error

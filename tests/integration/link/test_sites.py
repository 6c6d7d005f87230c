"""Sites of containers on a real link."""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import to_builtins

from sidecar.core.containers.site import Offer
from sidecar.core.containers.words import Method
from sidecar.core.protocol import pages
from sidecar.core.report import NodeState
from tests.integration.link.node import A, B, Node, running, until

OFFER = Offer(
    host="app.test",
    path="/",
    dest="",
    grpc=False,
    method=Method.REDIRECT,
    certificate="",
    up=1,
    down=0,
)
MANY = tuple(replace(OFFER, host=f"h{number:04}.test") for number in range(1000))


def offers(node: Node) -> tuple[Offer, ...]:
    (peer,) = node.mesh.offers()
    return peer.offers


def talk(node: Node, *, containers: bool = True) -> None:
    node.mesh.publish(node.state(containers=containers))


async def test_sites_reach_a_peer_that_takes_them_and_no_other(tmp_path: Path) -> None:
    async with running(tmp_path / "a", A, B) as a, running(tmp_path / "b", B, A) as b:
        a.mesh.offer((OFFER,))
        talk(a)
        talk(b, containers=False)
        await until(lambda: a.peer().linked and b.peer().linked, within=10)
        talk(b)
        await until(lambda: offers(b) == (OFFER,), within=5)
        assert offers(a) == ()
        a.mesh.offer(MANY)
        await until(lambda: offers(b) == MANY, within=5)
        a.mesh.offer(())
        await until(lambda: offers(b) == (), within=5)
        a.mesh.offer((OFFER,))
        await until(lambda: offers(b) == (OFFER,), within=5)
        talk(a, containers=False)
        await until(lambda: offers(b) == (), within=5)


LIES = (
    [{**to_builtins(OFFER), "host": "a.test; } server { listen 81"}],
    [{**to_builtins(OFFER), "path": "/ { return 200; } location /x"}],
    [{**to_builtins(OFFER), "certificate": "../../../../run/ha/ssh"}],
    [{**to_builtins(OFFER), "host": f"h{number}.test"} for number in range(10_000)],
    ["not a site"],
)


@pytest.mark.parametrize("lie", LIES, ids=range(len(LIES)))
async def test_a_peer_that_lies_is_refused_and_named(tmp_path: Path, lie: list[object]) -> None:
    async with running(tmp_path / "b", B, A) as b:
        talk(b)
        door = b.paths.link_sockets / f"{A}.sock"
        await until(door.exists, within=5)
        reader, writer = await asyncio.open_unix_connection(door)
        state = NodeState(node=A, version="0.1.0", containers=True)
        writer.write(json.dumps({"protocol": [1, 1], **to_builtins(state)}).encode() + b"\n")
        writer.writelines(pages([to_builtins(OFFER)], 1.0))
        await until(lambda: offers(b) == (OFFER,), within=5)
        writer.writelines(pages(lie, 2.0))
        said: list[str] = []
        with suppress(ConnectionError):  # of 10,000 sites it has not read all
            async with asyncio.timeout(5):
                said = [json.loads(line).get("refused", "") async for line in reader]
        assert not said or "sites" in said[-1]
        assert offers(b) == (OFFER,)
        writer.transport.abort()
        await asyncio.sleep(0)

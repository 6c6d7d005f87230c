"""The sites of containers in the words of a real nginx."""

import asyncio
import ssl
from dataclasses import replace
from ipaddress import ip_address

import pytest

from sidecar.core.containers.container import Condition
from sidecar.core.containers.fleet import PeerReplicas, Site
from sidecar.core.containers.plan import Fleet, Relays
from sidecar.core.containers.site import Replica
from sidecar.core.containers.words import Method, Proto
from sidecar.host import files
from sidecar.programs import nginx
from sidecar.programs.nginx import relay
from tests.integration.nginx.certificate import make_pair
from tests.integration.nginx.server import PATHS, complaint, get, render, running, until, write
from tests.integration.nginx.test_serving import Place, answers, site
from tests.integration.nginx.upstream import upstream
from tests.unit.settings.example import REQUIRED

HERE, PEER = ip_address("127.0.0.1"), ip_address("127.0.0.2")
RELAYS = Relays(node=HERE, peers=(PEER,), port=8731, sockets=str(PATHS.relay_sockets))
MAIN = "events {} http { include conf.d/*.conf; include /run/ha/nginx/*.conf; }"


def fleet(*sites: Site, spread: bool = False) -> Fleet:
    return Fleet(sites=tuple(sorted(sites, key=lambda one: one.key)), relays=RELAYS, spread=spread)


def app(
    host: str, *servers: str, proto: Proto = Proto.HTTP, method: Method = Method.REDIRECT
) -> Site:
    own = tuple(Replica(container="c", condition=Condition.UP, server=one) for one in servers)
    return Site(host=host, path="/", dest="", proto=proto, method=method, certificate="", own=own)


def write_fleet(wanted: Fleet, **certificates: str) -> None:
    render()
    text = nginx.rendered_containers(wanted, PATHS, certificates)
    files.write(PATHS.run / "nginx" / nginx.CONTAINERS, text)


@pytest.fixture(autouse=True)
async def pair() -> None:
    write("nginx.conf", MAIN)
    await relay.install(PATHS, [REQUIRED["HA_SECRET"]])


@pytest.mark.parametrize("spread", [False, True])
async def test_nginx_takes_every_kind_of_site(*, spread: bool) -> None:
    there = (PeerReplicas(node=str(PEER), linked=True, up=2, down=0),)
    kinds = [app(f"{proto}.test", "127.0.0.1:1", proto=proto) for proto in Proto]
    methods = [app(f"{method}.secure", "127.0.0.1:1", method=method) for method in Method]
    own = [*kinds, *methods, app("down.test"), app("*.wild.test", "[::1]:1", "127.0.0.1:1")]
    shared = [replace(one, host=f"x.{one.host}", peers=there) for one in kinds]
    theirs = [replace(one, host=f"y.{one.host}", own=()) for one in shared]
    paths = [replace(kinds[0], path=path, dest="/d/") for path in ("/a", "/b/", "/.well-known/x")]
    directory = str(make_pair("secure"))
    certificates = {one.host: directory for one in methods}
    write_fleet(fleet(*own, *shared, *theirs, *paths, spread=spread), **certificates)
    assert not await complaint()


async def test_a_site_without_a_container_says_so_and_its_neighbour_serves() -> None:
    async with upstream() as application:
        live = application.url.removeprefix("http://")
        write_fleet(fleet(app("a.test"), app("b.test", live), app("c.test", "127.0.0.1:1", live)))
        async with running():
            answer = await get("a.test", "/any")
            assert "503 " in answer.splitlines()[0]
            assert "Retry-After: 5" in answer
            assert "200 OK" in await get("b.test")
            assert [("200 OK" in await get("c.test")) for _ in range(4)] == [True] * 4
        head = application.requests[-1]
        assert "X-Ha-Site" not in head
        assert "Host: c.test" in head


@pytest.mark.parametrize("shown", [0, 1])
@pytest.mark.parametrize("asking", [0, 1])
async def test_while_the_secret_is_changed_relays_take_each_other(shown: int, asking: int) -> None:
    new = REQUIRED["HA_SECRET"][::-1]
    await relay.install(PATHS, [new, REQUIRED["HA_SECRET"]])
    write_fleet(replace(fleet(app("a.test", "127.0.0.1:1")), shown=shown))
    pair = relay.Pair.below(PATHS, asking)
    context = ssl.create_default_context(cafile=str(pair.trusted))
    context.load_cert_chain(pair.both)
    async with running():
        reader, writer = await asyncio.open_connection(
            str(HERE), RELAYS.port, ssl=context, server_hostname=pair.name
        )
        writer.write(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        # Without a site's mark it says nothing; to a stranger it says 400.
        assert await reader.read() == b""
        writer.close()


async def test_what_nginx_refuses_of_containers_holds_nothing_else_up() -> None:
    """Another program has the relay's port: a person's edits are loaded all the same."""
    write("conf.d/a.conf", site("one"))
    place = Place()
    tasks = [
        asyncio.create_task(place.nginx.supervisor.run()),
        asyncio.create_task(place.serving.run()),
    ]
    try:
        await until(lambda: place.nginx.working)
        async with upstream() as application:
            sites = app("b.test", application.url.removeprefix("http://"))
            other = await asyncio.start_server(lambda *_: None, str(HERE), RELAYS.port)
            place.fleet = fleet(sites)
            await place.ensure()
            assert "8731" in place.serving.containers.error
            assert not place.serving.report().config_error
            write("conf.d/a.conf", site("two"))
            await place.ensure()
            assert await answers("two")
            other.close()
            place.fleet = fleet(sites)
            await place.ensure()
            assert not place.serving.containers.error
            assert "200 OK" in await get("b.test")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

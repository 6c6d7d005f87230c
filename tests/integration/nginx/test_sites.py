"""HA_SITES as a client and an application see them."""

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest

from sidecar.programs import nginx
from tests.integration.nginx.certificate import make_pair
from tests.integration.nginx.server import PATHS, complaint, get, render, running, settings
from tests.integration.nginx.upstream import Upstream, upstream

STOCK = PATHS.config / "nginx"


@pytest.fixture
async def application() -> AsyncIterator[Upstream]:
    async with upstream() as served:
        yield served


@pytest.fixture(autouse=True)
def stock() -> None:
    nginx.install_stock(PATHS.nginx, STOCK)


async def test_the_application_learns_who_asked_and_for_what(application: Upstream) -> None:
    render(settings(app__test=application.url))
    async with running():
        assert "200 OK" in await get("app.test", "/a%20b/?q=1&r=%2F")
    head = application.requests[0].splitlines()
    assert head[0] == "GET /a%20b/?q=1&r=%2F HTTP/1.1"
    assert {
        "Host: app.test",
        "X-Real-IP: 127.0.0.1",
        "X-Forwarded-For: 127.0.0.1",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Host: app.test",
    } < set(head)
    assert not [line for line in head if line.startswith(("Connection", "Upgrade"))]


async def test_connections_to_a_literal_address_stay_open(application: Upstream) -> None:
    render(settings(app__test=application.url.replace("127.0.0.1", "localhost")))
    async with running() as server:
        for _ in range(10):
            await get("app.test")
        workers = len(nginx.workers.serving(server.master))
    assert len(application.requests) == 10
    assert application.connections <= workers


async def test_a_websocket_reaches_the_application(application: Upstream) -> None:
    render(settings(app__test=application.url))
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nConnection: close\r\n"
    async with running():
        await get("app.test", headers=upgrade)
    assert {"Upgrade: websocket", "Connection: upgrade"} < set(
        application.requests[0].split("\r\n")
    )


@pytest.mark.parametrize("path", ["/base", "/base/"])
async def test_a_path_of_the_url_comes_first(application: Upstream, path: str) -> None:
    application.headers = (
        "Location: /base/next\r\nSet-Cookie: a=1; Path=/base\r\nSet-Cookie: b=1; Path=/base/in\r\n"
    )
    render(settings(app__test=f"{application.url}{path}"))
    async with running():
        answer = await get("app.test", "/x?y=1")
    assert application.requests[0].startswith("GET /base/x?y=1 HTTP/1.1\r\n")
    assert "Location: http://app.test/next\r\n" in answer or "Location: /next\r\n" in answer
    assert "Path=/\r\n" in answer
    assert "Path=/in\r\n" in answer


async def test_a_name_without_an_address_stops_only_its_own_site(application: Upstream) -> None:
    render(settings(app__test=application.url, lost__test="http://nowhere.invalid:8080/x"))
    assert not await complaint()
    async with running() as server:
        assert "200 OK" in await get("app.test")
        assert "502 Bad Gateway" in await get("lost.test")
        assert not await server.reload()


async def test_the_default_site_takes_every_other_name(application: Upstream) -> None:
    render(settings(_=application.url))
    async with running() as server:
        for address in ("127.0.0.1", "::1"):
            assert "\r\n\r\nup" in await get("whatever", address=address)
        assert not [line for line in server.lines if "[warn]" in line]


async def test_a_site_speaks_tls_as_soon_as_it_has_a_certificate(application: Upstream) -> None:
    wanted = settings(app__test=application.url)
    render(wanted)
    async with running() as server:
        assert "200 OK" in await get("app.test")
        make_pair("app.test")
        render(wanted)
        assert not await server.reload()
        answer = await get("app.test", "/a?b=c")
        assert "308 Permanent Redirect" in answer
        assert "Location: https://app.test/a?b=c\r\n" in answer
        assert await negotiated("app.test") == ("h2", "app.test")
        assert "200 OK" in await get_tls("app.test")
    assert "X-Forwarded-Proto: https" in application.requests[-1]


async def test_an_https_application_gets_the_name_and_the_request() -> None:
    pair = make_pair("app.test")
    seen: list[str | None] = []

    def remember(_socket: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        seen.append(name)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair / "fullchain.pem", pair / "privkey.pem")
    context.sni_callback = remember
    served = Upstream()
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    render(settings(other__test=f"https://localhost:{port}"))
    async with running():
        assert "200 OK" in await get("other.test")
    assert seen == ["localhost"]
    server.close()


async def test_a_large_body_passes_without_a_file(application: Upstream) -> None:
    render(settings(app__test=application.url))
    async with running() as server:
        body = "Connection: close\r\nContent-Length: 3000000\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", 80)
        writer.write(f"POST / HTTP/1.1\r\nHost: app.test\r\n{body}\r\n".encode())
        assert b"200" in await reader.readline()
        writer.close()
        assert not [line for line in server.lines if "temporary file" in line]


async def negotiated(host: str) -> tuple[str | None, str]:
    """Return the protocol that nginx picks and the name in its certificate."""
    context = client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    _, writer = await asyncio.open_connection("127.0.0.1", 443, ssl=context, server_hostname=host)
    connection: ssl.SSLObject = writer.get_extra_info("ssl_object")
    certificate = connection.getpeercert(binary_form=True)
    writer.close()
    assert certificate is not None
    from cryptography import x509

    subject = x509.load_der_x509_certificate(certificate).subject
    return connection.selected_alpn_protocol(), str(next(iter(subject)).value)


async def get_tls(host: str) -> str:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", 443, ssl=client_context(), server_hostname=host
    )
    writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    return answer


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context

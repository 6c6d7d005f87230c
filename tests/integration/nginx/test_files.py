"""Stock files, users' own ones, and who owns them."""

import os
import re
from pathlib import Path

import pytest

from sidecar.core.nginx import advice
from sidecar.errors import ProgramError, SettingsError
from sidecar.programs import nginx
from tests.integration.nginx.certificate import make_pair
from tests.integration.nginx.server import OWN, PATHS, complaint, get, render, running, write

STOCK = PATHS.config / "nginx"

DEBIAN = """
user www-data;
worker_processes auto;
worker_cpu_affinity auto;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
include /etc/nginx/modules-enabled/*.conf;
events {
    worker_connections 768;
}
http {
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    default_type application/octet-stream;
    access_log /var/log/nginx/access.log;
    gzip on;
    include /etc/nginx/conf.d/*.conf;
    include /etc/nginx/sites-enabled/*;
}
"""

OFFICIAL = """
user  nginx;
worker_processes  auto;
error_log  /var/log/nginx/error.log notice;
pid        /var/run/nginx.pid;
events {
    worker_connections  1024;
}
http {
    access_log  /var/log/nginx/access.log;
    include /etc/nginx/conf.d/*.conf;
}
"""

SITE = "server { listen 80; return 200 own; }\n"


async def test_the_stock_files_serve_a_welcome_page_on_both_families() -> None:
    added = nginx.install_stock(PATHS.nginx, STOCK)
    render()
    assert PATHS.nginx / "nginx.conf" in added
    async with running() as server:
        for address in ("127.0.0.1", "::1"):
            assert "HA_SITES" in await get("anything", address=address)
        assert not await server.reload()
    assert not [line for line in server.lines if re.search(r"\[(warn|error|alert|emerg)\]", line)]


async def test_the_welcome_page_stays_the_default_beside_a_site() -> None:
    nginx.install_stock(PATHS.nginx, STOCK)
    # Before `default.conf` in the order in which nginx reads them.
    write("conf.d/app.conf", "server { listen 80; server_name app.test; return 200 own; }\n")
    render()
    async with running():
        assert "own" in await get("app.test")
        for address in ("127.0.0.1", "::1"):
            assert "HA_SITES" in await get("anything", address=address)


async def test_the_stock_files_are_valid_before_anything_is_rendered() -> None:
    nginx.install_stock(PATHS.nginx, STOCK)
    assert not await complaint()


async def test_stock_files_get_the_owner_of_the_directory() -> None:
    os.chown(PATHS.nginx, 1000, 1000)
    PATHS.nginx.chmod(0o700)
    nginx.install_stock(PATHS.nginx, STOCK)
    assert {(path.stat().st_uid, path.stat().st_gid) for path in PATHS.nginx.rglob("*")} == {
        (1000, 1000)
    }
    os.chown(PATHS.nginx, 0, 0)
    PATHS.nginx.chmod(0o755)


def test_a_directory_that_cannot_be_written_is_named() -> None:
    with pytest.raises(SettingsError, match=r"/proc/1: .*\n.*mount it writable"):
        nginx.install_stock(Path("/proc/1"), STOCK)


async def test_files_of_uid_1000_that_nobody_else_may_read_are_served() -> None:
    make_pair("app.test")
    write("nginx.conf", OWN % "include conf.d/*.conf;")
    write(
        "conf.d/tls.conf",
        (
            "server { listen 443 ssl; ssl_certificate certs/app.test/fullchain.pem;"
            " ssl_certificate_key certs/app.test/privkey.pem; return 200 tls; }\n"
        ),
    )
    for path in PATHS.nginx.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.chown(path, 1000, 1000)
    async with running() as server:
        assert not await server.reload()
        assert "400" in await get("app.test", port=443)


async def test_the_configuration_that_debian_ships_works() -> None:
    write("nginx.conf", DEBIAN)
    write("sites-enabled/default", SITE)
    assert not await complaint()
    async with running() as server:
        assert "own" in await get("x")
        assert not await server.reload()
        assert "own" in await get("x")
    assert any('"GET / HTTP/1.1" 200' in line for line in server.lines)


async def test_the_configuration_of_the_official_image_works() -> None:
    write("nginx.conf", OFFICIAL)
    assert not await complaint()


async def test_a_user_that_the_image_lacks_is_explained() -> None:
    write("nginx.conf", OFFICIAL.replace("user  nginx", "user  somebody"))
    said = await complaint()
    assert said.startswith('[emerg] getpwnam("somebody") failed')
    assert said.endswith("/etc/nginx/nginx.conf:2")
    assert "www-data" in advice(said)


async def test_daemon_off_in_the_users_file_is_fine() -> None:
    write("nginx.conf", "daemon off;\n" + OWN % SITE)
    async with running():
        assert "own" in await get("x")


async def test_a_broken_file_is_named_with_its_line() -> None:
    write("nginx.conf", OWN % "include conf.d/*.conf;")
    write("conf.d/a.conf", "\nserver { listne 80; }\n")
    assert await complaint() == ('[emerg] unknown directive "listne" in /etc/nginx/conf.d/a.conf:2')
    with pytest.raises(ProgramError, match="listne"):
        await nginx.dump()


async def test_a_missing_configuration_is_named() -> None:
    assert "nginx.conf" in await complaint()


async def test_a_dump_holds_included_files() -> None:
    write("nginx.conf", OWN % "include conf.d/*.conf;")
    write("conf.d/a.conf", "server { listen 192.0.2.1:80; }\n".replace("192.0.2.1", "127.0.0.1"))
    assert "listen 127.0.0.1:80" in await nginx.dump()

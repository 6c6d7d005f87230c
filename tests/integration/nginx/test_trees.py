"""What usual trees take for granted, and we give them: docs/nginx.md."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from sidecar.core.nginx import advice
from sidecar.host.process import run
from sidecar.programs.nginx import workers
from tests.integration.nginx.server import OWN, PATHS, complaint, get, running, until, write
from tests.integration.nginx.upstream import upstream

MODULES = Path("/usr/lib/nginx/modules")
NEEDS = {
    "ngx_http_brotli_filter_module.so": "http { brotli on; }",
    "ngx_http_brotli_static_module.so": "http { brotli_static on; }",
    "ngx_http_geoip2_module.so": "http { geoip2_proxy 10.0.0.0/8; }",
    "ngx_http_headers_more_filter_module.so": "http { more_clear_headers Server; }",
    "ngx_http_js_module.so": "http { js_path /etc/nginx; }",
    "ngx_http_set_misc_module.so": "http { server { set_md5 $x y; } }",
    "ngx_mail_module.so": "mail {}",
    "ngx_stream_module.so": "stream {}",
}
"""By module: what needs it."""
ALSO = {"ngx_http_set_misc_module.so": "ndk_http_module.so"}
PLACES = ("modules", "/usr/lib/nginx/modules", "/etc/nginx/modules", "/usr/share/nginx/modules")

TREE = """
user http;
pid /nowhere/nginx.pid;
error_log /var/log/nginx/all.log info;
include /etc/nginx/modules-enabled/*.conf;
events {}
http {
    include mime.types;
    proxy_cache_path /var/cache/nginx/some/app keys_zone=app:1m;
    fastcgi_cache_path /var/cache/nginx keys_zone=fast:1m;
    access_log /var/log/nginx/sub/site.log;
    access_log /var/log/nginx/$host.log;
    access_log /var/log/nginx/access.log;
    server {
        listen 80;
        include proxy_params;
        include uwsgi_params;
        include scgi_params;
        include /etc/nginx/fastcgi.conf;
        location / { return 200 own; }
        location ~ php$ { include snippets/fastcgi-php.conf; fastcgi_pass 127.0.0.1:9; }
    }
}
"""

ELSEWHERE = """
include main/*.conf;
error_log /data/logs/error.log warn;
events {}
http {
    access_log /config/log/nginx/access.log;
    access_log /config/log/nginx/$host.log;
    client_body_temp_path /tmp/nginx/body 1 2;
    proxy_temp_path /srv/nginx/proxy;
    proxy_cache_path /var/lib/nginx/cache/private keys_zone=private:1m;
    proxy_cache_path /data/cache/public levels=1:2 keys_zone=public:1m;
    server {
        listen 80;
        add_header X-Cache $upstream_cache_status always;
        location / {
            proxy_cache public;
            proxy_cache_valid 1h;
            proxy_pass http://127.0.0.1:%d;
        }
        location /dav/ {
            root /srv;
            dav_methods MKCOL;
        }
    }
}
"""
"""Its caches, temporary files and logs are where no directory is, some on the read-only disk."""

UNREAD = """
import os, subprocess, sys
reader, writer = os.pipe()
os.set_blocking(writer, False)
nginx = subprocess.Popen(
    ["nginx", "-e", "stderr", "-g", "daemon off;"], stdout=subprocess.PIPE, stderr=writer
)
sys.stdin.read()
nginx.terminate()
nginx.wait()
"""
"""Starts nginx as we do, but nobody reads its output, until standard input ends."""


@contextmanager
def unread() -> Iterator[int]:
    """Run an nginx whose output nobody reads; give the process that started it."""
    with subprocess.Popen([sys.executable, "-c", UNREAD], stdin=subprocess.PIPE) as process:
        yield process.pid


def sibling(name: str) -> None:
    """Link a module as Debian's packages do."""
    link = PATHS.nginx / "modules-enabled" / f"50-{name}"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(f"/usr/share/nginx/modules-available/{name}")


async def test_a_usual_tree_runs_unchanged_and_nothing_is_added_to_it() -> None:
    write("nginx.conf", TREE)
    sibling("mod-stream.conf")
    sibling("mod-http-js.conf")
    before = sorted(PATHS.nginx.rglob("*"))
    assert not await complaint()
    async with running() as server:
        assert "own" in await get("some.host")
        assert not await server.reload()
        await until(lambda: any(line.startswith("sub/site.log: ") for line in server.lines))
        await until(lambda: any(line.startswith("some.host.log: ") for line in server.lines))
    assert sorted(PATHS.nginx.rglob("*")) == before


async def test_caches_and_logs_may_be_where_no_directory_is() -> None:
    async with upstream() as application:
        write("nginx.conf", ELSEWHERE % application.port)
        assert not await complaint()
        async with running() as server:
            assert "X-Cache: MISS" in await get("some.host")
            assert not await server.reload()
            assert "X-Cache: HIT" in await get("some.host")
            assert len(application.requests) == 1
            for name in ("access", "some.host"):
                log = f"/config/log/nginx/{name}.log: "
                await until(partial(server.said, log))


async def test_what_a_request_asks_for_is_not_made_elsewhere() -> None:
    write("nginx.conf", ELSEWHERE % 9)
    async with running():
        made = await run(["curl", "--silent", "-X", "MKCOL", "http://127.0.0.1/dav/a/"], timeout=5)
    assert "Created" not in made.stdout
    assert "409" in made.stdout


DAEMON = ("daemon off;", "daemon on;", "daemon off;\npid /nowhere/nginx.pid;")


@pytest.mark.parametrize("line", DAEMON)
@pytest.mark.parametrize("file", ["nginx.conf", "main/one.conf"])
async def test_what_a_file_says_of_daemon_and_pid_does_not_matter(file: str, line: str) -> None:
    text = "include main/*.conf;\n" + OWN % "server { listen 80; return 200 own; }"
    write("nginx.conf", text)
    write(file, f"{line}\n{text}" if file == "nginx.conf" else f"{line}\n")
    assert not await complaint()
    async with running() as server:
        assert "own" in await get("some.host")
        write("nginx.conf", text)
        write("main/one.conf", "daemon on;\n")
        write("main/two.conf", "daemon off;\n")
        assert not await server.reload()
        assert "own" in await get("some.host")


@pytest.mark.parametrize("module", NEEDS)
async def test_a_module_is_found_by_all_usual_paths_and_named_where_it_is_missing(
    module: str,
) -> None:
    write("nginx.conf", f"events {{}}\n{NEEDS[module]}\n")
    needed = [name for name in (ALSO.get(module), module) if name]
    lines = re.findall(r"`(.*?)`", advice(await complaint()))
    assert lines == [f"load_module modules/{name};" for name in needed]
    for place in PLACES:
        load = "".join(f"load_module {place}/{name};\n" for name in needed)
        write("nginx.conf", f"{load}events {{}}\n{NEEDS[module]}\n")
        assert not await complaint()


def in_order(directory: Path) -> list[str]:
    """Return the modules so that each comes after what it needs."""
    first = {"ndk_http_module.so": 0, "ngx_stream_module.so": 0}
    return sorted((path.name for path in directory.iterdir()), key=lambda name: first.get(name, 1))


async def test_every_module_of_the_image_loads() -> None:
    names = in_order(MODULES)
    load = "".join(f"load_module modules/{name};\n" for name in names)
    write("nginx.conf", f"{load}events {{}}\n")
    assert not await complaint()
    assert len(names) >= 11


async def test_a_file_that_nobody_ships_is_missed_with_what_to_do() -> None:
    write("nginx.conf", OWN % "include snippets/own.conf;")
    said = await complaint()
    assert said.endswith("/etc/nginx/nginx.conf:6")
    assert "nginx folder" in advice(said)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("server { return 200 $nobody_sets_it; }", "typo"),
        (
            "server { listen 443 ssl; ssl_certificate certs/a.pem; ssl_certificate_key a.key; }",
            "mount",
        ),
        ("upstream a { server 192.0.2.1 resolve; }", "1.26"),
        ("\ufeffserver {}", "byte order mark"),
    ],
)
async def test_a_complaint_says_where_and_what_to_do(line: str, word: str) -> None:
    write("nginx.conf", OWN % "include conf.d/*.conf;")
    write("conf.d/a.conf", f"\n{line}\n" if line[0] != "\ufeff" else f"{line}\n")
    said = await complaint()
    assert "/etc/nginx/conf.d/a.conf:" in said
    assert word in advice(said)


@pytest.mark.parametrize("log", ["/dev/null", "/var/log/nginx/own.log", "/tmp/error.log"])
async def test_an_emergency_is_heard_wherever_the_log_goes(log: str) -> None:
    own = f"error_log {log};\n" + OWN
    write("nginx.conf", own % "server { listen 80; return 200 own; }")
    async with running() as server:
        write("nginx.conf", "broken\n")
        assert "nginx.conf" in str(await server.reload())


@pytest.mark.parametrize(
    "log",
    [
        *("stderr", "/dev/stderr", "/dev/stdout", "/proc/self/fd/2", "/dev/fd/1"),
        *("/var/log/nginx/error.log", "/var/log/nginx/access.log", "/var/log/nginx/sub/x.log"),
    ],
)
async def test_no_log_that_nobody_reads_holds_nginx_up(log: str) -> None:
    access = "/dev/stderr" if log == "stderr" else log
    text = f"error_log {log} debug;\n" + OWN % "server { listen 80; return 200 own; }"
    write("nginx.conf", text.replace("access_log /dev/stdout", f"access_log {access}"))
    with unread() as parent:
        await until(lambda: _serving(parent))
        urls = f"http://127.0.0.1/{'x' * 500}[1-2000]"
        asked = await run(["curl", "--silent", "--output", "/dev/null", urls], timeout=60)
    assert asked.code == 0, asked


def _serving(parent: int) -> bool:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return any(workers.serving(int(child)) for child in children)

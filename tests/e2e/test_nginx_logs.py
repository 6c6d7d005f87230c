"""No log of nginx holds it up, and each is in the container's."""

import pytest

from tests.cluster.node import Plan
from tests.cluster.wait import until
from tests.e2e import sites
from tests.e2e.fixtures import Have

EVERYWHERE = """
user nginx;
error_log /dev/stderr info;
pid /nowhere/nginx.pid;
events {}
http {
    include mime.types;
    include /run/ha/nginx/*.conf;
    proxy_cache_path /var/cache/nginx/app keys_zone=app:1m;
    access_log /dev/stdout;
    access_log /dev/stderr;
    access_log /proc/self/fd/2;
    access_log /var/log/nginx/access.log;
    access_log /var/log/nginx/error.log;
    access_log /var/log/nginx/app/site.log;
    server {
        listen 80;
        server_name logs.test;
        error_log /var/log/nginx/app/error.log info;
        return 200 served;
    }
}
"""
PLAN = Plan(environment={"HA_SYNC_SOAK": "0s"}, files={"nginx.conf": EVERYWHERE})
REQUESTS = 20_000


@pytest.mark.stops_python
def test_a_stopped_python_holds_no_request_up_wherever_nginx_logs(have: Have) -> None:
    pair = have(PLAN)
    node = pair.master
    node.signal("STOP", *node.python())
    codes = node.host.run(
        *("curl", "--silent", "--max-time", "10", "--output", "/dev/null"),
        *("--write-out", "%{http_code}\n", "--header", "Host: logs.test"),
        f"http://127.0.0.1/[1-{REQUESTS}]",
    ).split()
    node.signal("CONT", *node.python())
    assert len(codes) == REQUESTS
    assert set(codes) == {"200"}


def test_each_log_is_in_the_containers_log_and_the_folder_is_as_it_was(have: Have) -> None:
    pair = have(PLAN)
    for node in pair.nodes:
        sites.wait_served("logs.test", "served", node)
        until("the site's log is shown", lambda: "app/site.log: 127.0.0.1" in node.logs(tail=500))  # noqa: B023 # used at once
        assert "mime.types" not in node.tree()


def test_a_port_of_another_program_is_named_at_once(have: Have) -> None:
    pair = have(PLAN)
    node = pair.backup
    node.kill()
    with sites.held_port(node.host, 80):
        node.start()
        sites.wait_reason(node, "bind() to 0.0.0.0:80", "ss -tulnp")
        checked = node.ha("check", check=False)
        assert checked.returncode == 78
        assert "another program on this host uses 0.0.0.0:80" in checked.stdout
    node.wait_ready(within=40)
    assert "0 errors" in node.ha("check").stdout

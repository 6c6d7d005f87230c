"""The pair that people write by hand: nginx and keepalived of the same image, usual settings."""

from dataclasses import replace
from typing import Final

from tests.cluster.cluster import Cluster
from tests.cluster.node import Plan
from tests.cluster.world import World

NGINX: Final = """\
worker_processes auto;
pid /run/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    upstream site {{ server {upstream}; keepalive 16; }}
    server {{
        listen 80 default_server;
        listen [::]:80 default_server;
        location / {{
            proxy_pass http://site;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
        }}
        location = /static {{ return 200 "hello\\n"; }}
    }}
}}
"""

_KEEPALIVED: Final = """\
global_defs {{
    router_id node
    script_user root
}}
vrrp_script check_nginx {{
    script "/usr/bin/dash -c 'kill -0 $(cat /run/nginx.pid)'"
    interval 2
    fall 2
    rise 2
    weight -60
}}
vrrp_instance VI_1 {{
    state {state}
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int 1
    unicast_src_ip {own}
    unicast_peer {{
        {peer}
    }}
    virtual_ipaddress {{
        {vip}
    }}
    track_script {{
        check_nginx
    }}
}}
"""

_START: Final = (
    "nginx; exec keepalived --dont-fork --log-console --use-file /etc/nginx/keepalived.conf"
)


def keepalived_conf(*, own: str, peer: str, vip: str, state: str, priority: int) -> str:
    """Return keepalived.conf as people write it."""
    return _KEEPALIVED.format(own=own, peer=peer, vip=vip, state=state, priority=priority)


def handwritten(world: World) -> Cluster:
    """Start the pair and return it once the first node holds the VIP."""
    vip, first, second = world.address(200), *(host.address for host in world.hosts[:2])
    service = {
        "entrypoint": ["tini", "-g", "--", "sh", "-c", _START],
        "command": [],
        "healthcheck": {"disable": True},
    }
    nginx = NGINX.format(upstream=world.upstream.removeprefix("http://"))
    cluster = world.cluster(Plan(service=service, files={"nginx.conf": nginx}))
    for node, own, peer, state, priority in (
        (cluster.a, first, second, "MASTER", 150),
        (cluster.b, second, first, "BACKUP", 100),
    ):
        text = keepalived_conf(own=own, peer=peer, vip=vip, state=state, priority=priority)
        (node.directory / "nginx/keepalived.conf").write_text(text)
    cluster.up()
    cluster.wait_held_by(cluster.a, within=20)
    return replace(cluster, preempts=True)

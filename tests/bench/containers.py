"""What it costs to serve a container: its own node's, and another node's through the relay."""

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Final

from tests.bench import measure
from tests.bench.print import say, table
from tests.cluster.node import REPOSITORY, Node
from tests.cluster.wait import until
from tests.cluster.web import Engine, plan
from tests.cluster.world import World

HEAD: Final = ("", "kiss-ha", "plain upstream", "ratio", "aim")

_ROUNDS: Final = 5

_APPLICATION: Final = (
    "echo 'worker_processes 1; events {} http { access_log off; server { listen 80; "
    'location / { return 200 "hello"; } } }\' >/tmp/app.conf && '
    "exec nginx -c /tmp/app.conf -g 'daemon off;'"
)

# As nginx-proxy writes it for a container.
_PLAIN: Final = """\
worker_processes auto;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    server_tokens off;
    proxy_http_version 1.1;
    proxy_buffering off;
    proxy_set_header Host $host;
    proxy_set_header Connection "";
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Host $host;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Port $server_port;
    upstream app {{ server {upstream}:80; keepalive 16; }}
    server {{ listen 80 default_server; location / {{ proxy_pass http://app; }} }}
}}
"""


def run(world: World) -> str:
    """Measure in turns, and return the table."""
    say("containers: own, through the relay, and a plain upstream")
    stock = (REPOSITORY / "config/nginx/nginx.conf").read_text()
    files = {"nginx.conf": stock.replace("access_log /dev/stdout;", "access_log off;")}
    with Engine(world=world).cleared() as engine, world.cleared():
        pair = world.cluster(plan(world, files=files))
        pair.up()
        pair.wait_well(within=60)
        engine.run("host-a", "app", command=["sh", "-c", _APPLICATION], VIRTUAL_HOST="app.test")
        plain = measure.plain_nginx(world, _PLAIN.format(upstream=engine.address("app")))
        plain.up()
        targets = (pair.a.address, pair.b.address, plain.address)
        ask = partial(measure.rate, world, host="app.test")
        for target in targets:
            until(f"{target} answers", partial(ask, target, seconds=1), within=20)
        busy = ((pair.a,), (pair.a, pair.b), (plain,))
        rounds = [
            [_measured(ask, target, nodes) for target, nodes in zip(targets, busy, strict=True)]
            for _ in range(_ROUNDS)
        ]
    own, relayed, other = (
        (median(rate for rate, _ in way), median(cost for _, cost in way))
        for way in zip(*rounds, strict=True)
    )
    rows = [
        ("requests per second: own container", own[0], other[0], own[0] / other[0], "≥ 0.95x"),
        ("the other node's", relayed[0], other[0], relayed[0] / other[0], "≥ 0.60x"),
        ("CPU µs per request: own container", own[1], other[1], other[1] / own[1], "≥ 0.95x"),
        ("the other node's, on each node", relayed[1], other[1], other[1] / relayed[1], "≥ 0.60x"),
    ]
    return table(
        HEAD,
        [(what, f"{a:.0f}", f"{b:.0f}", f"{ratio:.2f}x", aim) for what, a, b, ratio, aim in rows],
    )


def _measured(ask: Callable[..., float], target: str, nodes: Sequence[Node]) -> tuple[float, float]:
    """Return requests per second, and the CPU time of each on the busiest node, in µs.

    Here all share the processors of one machine, which two hosts do not.
    """
    before = [measure.cpu_of_workers(node) for node in nodes]
    rate = ask(target, seconds=measure.LOAD_SECONDS)
    spent = [
        measure.cpu_of_workers(node) - begun for node, begun in zip(nodes, before, strict=True)
    ]
    return rate, max(spent) / (rate * measure.LOAD_SECONDS) * 1e6

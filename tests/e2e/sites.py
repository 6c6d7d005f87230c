"""Sites that say a word, and who serves them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.cluster.cluster import Cluster
from tests.cluster.folder import Folder, Tree
from tests.cluster.host import CUT, Host
from tests.cluster.node import Node, Plan
from tests.cluster.wait import always, until
from tests.cluster.world import World

_LISTEN: Final = """
import socket, time
server = socket.create_server(("0.0.0.0", {port}))
time.sleep(600)
"""

_CERTIFICATE: Final = """
umask 077; mkdir -p "$1"; cd "$1"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
    -subj /CN="$(basename "$1")" -keyout privkey.pem.tmp -out fullchain.pem.tmp 2>/dev/null
chmod 644 fullchain.pem.tmp
mv privkey.pem.tmp privkey.pem
mv fullchain.pem.tmp fullchain.pem
"""
_FINGERPRINT: Final = "openssl x509 -noout -fingerprint -sha256"


def plan(world: World) -> Plan:
    """Return two nodes that accept a change as soon as nginx serves it."""
    proxied = (f"{host}={world.upstream}" for host in ("site.test", "tls.test"))
    return Plan(
        environment={"HA_SYNC_SOAK": "0s", "HA_SITES": ",".join(proxied)},
        files={"conf.d/base.conf": site("base.test", "base")},
    )


def site(host: str, answer: str, *, listen: str = "80") -> str:
    """Return the configuration of a site that answers with a word."""
    return f'server {{ listen {listen}; server_name {host}; return 200 "{answer}"; }}\n'


def wait_served(host: str, answer: str, *nodes: Node, within: float = 15) -> None:
    """Wait until each node's own nginx answers so."""
    for node in nodes:
        _wait_served(node, host, answer, within)


def wait_unknown(host: str, *nodes: Node) -> None:
    """Wait until each node's own nginx has no such site: the welcome page answers."""
    for node in nodes:
        until(
            f"{node} has no site {host}",
            lambda: node.fetch(host),  # noqa: B023 # used at once
            lambda said: said.startswith("kiss-ha: "),
            within=15,
        )


def _wait_served(node: Node, host: str, answer: str, within: float) -> None:
    until(
        f"{node} says {answer} for {host}",
        lambda: node.fetch(host),
        lambda said: said == answer,
        within=within,
    )


def always_serves(node: Node, host: str, answer: str, *, during: float = 2) -> None:
    """Check that a node's own nginx answers so, and goes on with that."""
    always(
        f"{node} says {answer} for {host}",
        lambda: node.fetch(host),
        lambda said: said == answer,
        during=during,
    )


def wait_reason(node: Node, *words: str, within: float = 15) -> None:
    """Wait until a node says what keeps it from being in sync, in these words.

    It must say so to a program, and in the same words to a person.
    """
    for said in (lambda: _problems(node), lambda: node.ha("status").stdout):
        until(
            f"{node} speaks of {', '.join(words)}",
            said,
            lambda text: all(word in text for word in words),
            within=within,
        )


def wait_tree(node: Node, tree: Tree) -> None:
    """Wait until a node has these files, as one that takes a change back does in a moment."""
    until(f"the files of {node} are as before", node.tree, lambda now: now == tree)


def _problems(node: Node) -> str:
    return "\n".join(
        f"{problem['code']}: {problem['message']}; {problem['hint']}"
        for problem in node.status()["problems"]
    )


def wait_accepted(node: Node, before: str | None) -> str:
    """Wait until a node has another snapshot than `before` and nothing to accept; return it."""
    sync = until(
        f"{node} has accepted what was written there",
        node.sync,
        lambda sync: sync["head"] != before and not sync["draft"],
    )
    return str(sync["head"])


@contextmanager
def parted(cluster: Cluster) -> Iterator[None]:
    """Cut the nodes from each other, and wait at the end until each has accepted its edits."""
    head = cluster.a.sync()["head"]
    cluster.b.host.drop(*CUT)
    cluster.wait_linked(linked=False)
    yield
    for node in cluster.nodes:
        wait_accepted(node, head)
    cluster.b.host.heal()
    cluster.wait_linked()


@contextmanager
def held_port(host: Host, port: int) -> Iterator[None]:
    """Let another program on a host listen on a port."""
    pid = f"/run/port-{port}.pid"
    listen = _LISTEN.format(port=port)
    host.run("sh", "-c", f'python3 -c "$1" & echo $! >{pid}', "sh", listen)
    until("the port is held", lambda: f":{port} " in host.run("ss", "-ltn"))
    try:
        yield
    finally:
        host.run("sh", "-c", f"kill $(cat {pid})")


def make_certificate(folder: Folder, directory: str) -> str:
    """Write a new certificate and its key, each in one step; return the fingerprint."""
    folder.sh(_CERTIFICATE, directory)
    return folder.sh(f'{_FINGERPRINT} -in "$1/fullchain.pem"', directory)


def wait_certificate(node: Node, host: str, fingerprint: str) -> None:
    """Wait until a node's own nginx shows the certificate with this fingerprint."""
    connect = f"openssl s_client -connect 127.0.0.1:443 -servername {host} </dev/null 2>/dev/null"
    until(
        f"{node} shows the new certificate",
        lambda: node.host.run("sh", "-c", f"{connect} | {_FINGERPRINT}"),
        lambda shown: shown == fingerprint,
        within=15,
    )

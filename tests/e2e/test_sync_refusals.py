"""What a node cannot serve stays off it, is named with a way out, and heals."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pytest

from tests.cluster.client import Client
from tests.cluster.cluster import Cluster
from tests.cluster.node import Node
from tests.cluster.wait import always
from tests.e2e import sites

PORT: Final = 8098
ALIEN: Final = "192.0.2.77"
"""An address that is on no NIC."""

OWN: Final = "conf.d/own.conf"


def at_port(answer: str, listen: str) -> str:
    """Return the site, which listens there too."""
    return sites.site("own.test", answer) + sites.site("own.test", answer, listen=listen)


def stays(node: Node, before: object) -> None:
    """Check that nothing of a node's files changes for a while."""
    always(f"{node} is untouched", node.tree, lambda tree: tree == before, during=2)


@pytest.fixture
def owned(synced: Cluster) -> Iterator[Cluster]:
    """A pair that serves a site, which each test then changes."""
    synced.a.folder.write(OWN, sites.site("own.test", "old"))
    sites.wait_served("own.test", "old", *synced.nodes)
    synced.wait_in_sync()
    yield synced
    synced.a.folder.write(OWN, sites.site("own.test", "old"))


def test_a_broken_site_stays_where_it_was_made_and_its_correction_heals_everything(
    owned: Cluster, client: Client
) -> None:
    before = owned.b.tree()
    with client.load(owned.vip) as load:
        owned.a.folder.write(OWN, "server { brokn; }")
        sites.wait_reason(owned.a, "brokn", OWN)
        stays(owned.b, before)
        for node in owned.nodes:
            sites.always_serves(node, "own.test", "old", during=0.5)
        owned.a.folder.write(OWN, sites.site("own.test", "mended"))
        sites.wait_served("own.test", "mended", *owned.nodes)
    assert not load.served.failures, load.served
    owned.wait_in_sync()


def test_news_wait_while_a_broken_edit_lies_here_and_come_once_it_is_undone(owned: Cluster) -> None:
    broken = "server { brokn; }"
    owned.b.folder.write(OWN, broken)
    sites.wait_reason(owned.b, "brokn")
    owned.a.folder.write("conf.d/news.conf", sites.site("news.test", "news"))
    sites.wait_served("news.test", "news", owned.a)
    sites.wait_reason(owned.b, "draft", owned.a.address)
    assert owned.b.folder.read(OWN) == broken
    assert "conf.d/news.conf" not in owned.b.tree()
    owned.b.folder.write(OWN, sites.site("own.test", "old"))
    sites.wait_served("news.test", "news", owned.b)
    owned.wait_in_sync()


def test_a_certificate_that_only_one_node_has_is_named_by_the_other_until_it_has_it(
    owned: Cluster,
) -> None:
    owned.a.folder.sh("mkdir -p certs")
    sites.make_certificate(owned.a.folder, "certs/elsewhere")
    pair = "".join(
        owned.a.folder.read(f"certs/elsewhere/{one}.pem") for one in ("privkey", "fullchain")
    )
    before = owned.wait_in_sync()
    put = 'mkdir -p /tmp/own; printf %s "$1" >/tmp/own/both.pem'
    owned.a.inside.sh(put, pair)
    both = "/tmp/own/both.pem"
    tls = f"listen 8443 ssl; ssl_certificate {both}; ssl_certificate_key {both};"
    owned.a.folder.write(OWN, f"server {{ {tls} }}\n{sites.site('own.test', 'new')}")
    sites.wait_served("own.test", "new", owned.a)
    sites.wait_reason(owned.b, both, "No such file")
    sites.wait_tree(owned.b, before)
    sites.always_serves(owned.b, "own.test", "old", during=1)
    owned.b.inside.sh(put, pair)
    sites.wait_served("own.test", "new", owned.b, within=30)
    owned.wait_in_sync()


def test_an_address_that_only_one_node_can_bind_is_named_by_the_other_until_it_can(
    owned: Cluster,
) -> None:
    before = owned.b.tree()
    add, remove = (("ip", "address", verb, f"{ALIEN}/32", "dev", "lo") for verb in ("add", "del"))
    owned.a.host.run(*add)
    try:
        text = at_port("new", f"{ALIEN}:{PORT}")
        owned.a.folder.write(OWN, text)
        sites.wait_served("own.test", "new", owned.a)
        sites.wait_reason(owned.b, ALIEN)
        sites.wait_tree(owned.b, before)
        sites.always_serves(owned.b, "own.test", "old", during=1)
        owned.b.host.run(*add)
        sites.wait_served("own.test", "new", owned.b, within=30)
        owned.wait_in_sync()
        owned.a.folder.write(OWN, sites.site("own.test", "old"))
        owned.wait_in_sync()
    finally:
        for node in owned.nodes:
            node.host.run(*remove, check=False)


def test_a_port_that_another_program_holds_here_is_named_and_nothing_leaves(
    owned: Cluster,
) -> None:
    before = owned.b.tree()
    with sites.held_port(owned.a.host, PORT):
        text = at_port("new", str(PORT))
        owned.a.folder.write(OWN, text)
        sites.wait_reason(owned.a, str(PORT), OWN)
        for node in owned.nodes:
            sites.always_serves(node, "own.test", "old", during=1)
        stays(owned.b, before)
    sites.wait_served("own.test", "new", *owned.nodes, within=30)
    owned.wait_in_sync()


def test_a_port_that_another_program_holds_there_is_named_and_the_change_taken_back(
    owned: Cluster,
) -> None:
    before = owned.b.tree()
    with sites.held_port(owned.b.host, PORT):
        text = at_port("new", str(PORT))
        owned.a.folder.write(OWN, text)
        sites.wait_served("own.test", "new", owned.a)
        sites.wait_reason(owned.b, str(PORT))
        sites.wait_tree(owned.b, before)
        sites.always_serves(owned.b, "own.test", "old", during=1)
    sites.wait_served("own.test", "new", owned.b, within=30)
    owned.wait_in_sync()


_SOCKET: Final = """python3 -c 'import socket as s; s.socket(s.AF_UNIX).bind("conf.d/socket")'"""

# By name: what a user does, what is said of it, and how it ends.
TROUBLES: Final = {
    "what is no file": (
        f"mkfifo conf.d/pipe; mknod null c 1 3; {_SOCKET}",
        (
            "conf.d/pipe: it is a named pipe",
            "conf.d/socket: it is a socket",
            "null: it is a device",
        ),
        "rm conf.d/pipe null conf.d/socket",
    ),
    "too much": (
        "mkdir many; cd many; seq 25000 | xargs touch",
        ("more than 20,000 files", "HA_SYNC_PATHS"),
        "rm -r many",
    ),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_cannot_be_synced_is_refused_with_a_way_out_and_serving_is_untouched(
    owned: Cluster, client: Client, trouble: str
) -> None:
    begin, words, end = TROUBLES[trouble]
    node, peer = owned.a, owned.b
    root = replace(node.folder, user="0:0")
    with client.load(owned.vip) as load:
        root.sh(begin)
        try:
            sites.wait_reason(node, *words, "HA_SYNC_EXCLUDE")
            node.folder.write(OWN, sites.site("own.test", "here"))
            sites.wait_served("own.test", "here", node)
            sites.always_serves(peer, "own.test", "old", during=1)
        finally:
            root.sh(end)
        sites.wait_served("own.test", "here", peer)
    assert not load.served.failures, load.served
    owned.wait_in_sync()

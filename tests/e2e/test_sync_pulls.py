"""Pulls of everything, and pulls that were cut."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.folder import Tree
from tests.cluster.host import CUT, Host
from tests.cluster.node import Node
from tests.cluster.wait import always, until
from tests.e2e import sites

SLOWLY: Final = "tcp sport 8730 meta length > 1000 limit rate over 2 mbytes/second burst 200 kbytes"
"""A rule for `Host.drop`: bulk that this host sends is slow, the heartbeat is not."""

FILES: Final = 6
SIZE: Final = 4_000_000
"""Bytes of each."""


def test_a_new_empty_node_gets_everything(synced: Cluster) -> None:
    folder = synced.a.folder
    stock = folder.read("conf.d/default.conf")
    folder.remove("conf.d/default.conf")
    folder.sh("echo '# ours' >>nginx.conf; mkdir -p conf.d/empty; ln -sfn base.conf conf.d/link")
    tree = synced.wait_in_sync()
    assert "conf.d/default.conf" not in tree
    synced.b.wipe()
    synced.b.up()
    synced.b.wait_ready(within=30)
    assert synced.wait_in_sync(within=30) == tree
    assert set(synced.b.inside.owners().values()) == {1000}
    folder.write("conf.d/default.conf", stock)  # others start from it
    synced.wait_in_sync()


@contextmanager
def pulling(maker: Node, taker: Node) -> Iterator[Tree]:
    """Stay in the middle of a pull of large files; yield what the taker had before."""
    before = taker.tree()
    maker.host.drop(SLOWLY)
    write = f"for n in $(seq {FILES}); do head -c {SIZE} /dev/urandom >bulk.tmp/$n; done"
    maker.folder.sh(f"rm -rf bulk bulk.tmp; mkdir bulk.tmp; {write}; mv -T bulk.tmp bulk")
    until(
        "a part of it has arrived",
        lambda: arrived(taker),
        lambda size: SIZE < size < (FILES - 1) * SIZE,
        within=30,
    )
    try:
        yield before
    finally:
        maker.host.heal()


def arrived(node: Node) -> int:
    """Return how many bytes of a pull that has not ended a node has."""
    words = node.inside.sh("du --bytes --summarize /var/lib/ha/history/incoming || echo 0")
    return int(words.split()[0])


def received(host: Host) -> int:
    """Return how many bytes have come over the wire."""
    return int(host.run("cat", "/sys/class/net/eth0/statistics/rx_bytes"))


def check_untouched(node: Node, before: Tree, *, during: float) -> None:
    """Check that a node has and serves what it had."""
    always("nothing is half applied", node.tree, lambda tree: tree == before, during=during)
    sites.always_serves(node, "base.test", "base", during=1)


@pytest.fixture
def without_bulk(synced: Cluster) -> Iterator[Cluster]:
    """A pair, and the large files are gone afterwards."""
    yield synced
    synced.wait_in_sync(within=60)
    synced.a.folder.remove("bulk")
    synced.wait_in_sync()


def test_a_pull_that_was_cut_goes_on_where_it_was_and_nothing_is_half_applied(
    without_bulk: Cluster,
) -> None:
    maker, taker = without_bulk.backup, without_bulk.master
    begun = received(taker.host)
    with pulling(maker, taker) as before:
        until(
            "the status tells how far it is",
            lambda: taker.ha("status").stdout,
            lambda text: re.search(rf"fetching [1-{FILES}] of {FILES} files", text) is not None,
        )
        until(
            "the other node knows how far it is",
            lambda: maker.ha("status", "--wait=0", check=False).stderr,
            lambda said: f"{taker.address} is fetching " in said,
        )
        taker.host.drop(*CUT)
        without_bulk.wait_linked(linked=False)
        check_untouched(taker, before, during=3)
        taker.host.heal()
    tree = without_bulk.wait_in_sync(within=60)
    assert len([path for path in tree if path.startswith("bulk/")]) == FILES
    assert received(taker.host) - begun < 1.3 * FILES * SIZE


@pytest.mark.stops_python
def test_a_peer_that_freezes_in_the_middle_of_a_pull_is_waited_for(without_bulk: Cluster) -> None:
    maker, taker = without_bulk.backup, without_bulk.master
    with pulling(maker, taker) as before:
        maker.pause()
        sites.wait_reason(taker, maker.address, within=20)
        check_untouched(taker, before, during=8)
        maker.unpause()
    tree = without_bulk.wait_in_sync(within=60)
    assert len([path for path in tree if path.startswith("bulk/")]) == FILES

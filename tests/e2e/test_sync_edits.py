"""What a user does to the files on one host is live on the others."""

import time
from dataclasses import replace
from typing import Final

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.node import Node
from tests.cluster.wait import until
from tests.e2e import sites

MAKERS: Final = ("MASTER", "BACKUP")

# By name: what lies there before, and what the user does.
CHANGES: Final = {
    "a file added": ("", "echo new >added"),
    "a file edited": ("echo before >edited", "echo afterwards >edited"),
    "an edit of the same size in the same second": (
        "echo 1111 >same; touch -d @1700000000 same",
        "echo 2222 >same; touch -d @1700000000 same",
    ),
    "only a mode": ("echo mode >mode; chmod 644 mode", "chmod 600 mode"),
    "only the mode of a directory": ("mkdir -m 755 modes", "chmod 700 modes"),
    "a link turned": ("ln -s nowhere link", "ln -sfn /elsewhere/else link"),
    "a file that becomes a directory": (
        "echo file >grows",
        "rm grows; mkdir grows; echo >grows/in",
    ),
    "a directory that becomes a file": (
        "mkdir shrinks; echo >shrinks/in",
        "rm -r shrinks; echo file >shrinks",
    ),
    "a file that becomes a link": ("echo file >turns", "ln -sf mode turns"),
    "a rename": ("echo moved >old", "mv old new"),
    "a rename of a directory": ("mkdir one; echo in >one/in", "mv one other"),
    "a delete": ("echo gone >gone", "rm gone"),
    "a delete of a directory": ("mkdir away; echo in >away/in", "rm -r away"),
    "an empty directory": ("", "mkdir empty"),
    "an empty file": ("", ": >void"),
    "names that are hard to write": (
        "",
        r"""echo 1 >'a "b" $c;'; echo 2 >"$(printf 'a\nb')"; echo 3 >"$(printf 'caf\303\251')" """,
    ),
}


def maker_of(cluster: Cluster, role: str) -> Node:
    """Return the node that has a role."""
    return cluster.master if role == "MASTER" else cluster.backup


@pytest.fixture
def ground(synced: Cluster) -> Cluster:
    """A pair that has what the changes start from, once for each maker."""
    folder = synced.a.folder
    if "ground" not in folder.tree():
        starts = "; ".join(start for start, _ in CHANGES.values() if start)
        for maker in MAKERS:
            folder.sh(f'mkdir -p "ground/$1"; cd "ground/$1"; {starts}', maker)
        synced.wait_in_sync()
    return synced


def test_every_kind_of_change_is_on_both_byte_for_byte(ground: Cluster) -> None:
    node = ground.master
    tree = ground.wait_in_sync()
    for change, (_, script) in CHANGES.items():
        node.folder.sh(f"cd ground/MASTER; {script}")
        wanted = node.tree()
        assert wanted != tree, change
        tree = ground.wait_in_sync()
        assert tree == wanted, change


def test_all_kinds_of_changes_at_once_on_the_backup_are_on_both(ground: Cluster) -> None:
    node = ground.backup
    scripts = "; ".join(script for _, script in CHANGES.values())
    node.folder.sh(f"cd ground/BACKUP; {scripts}")
    wanted = node.tree()
    assert ground.wait_in_sync() == wanted


@pytest.mark.parametrize("maker", MAKERS)
def test_a_site_is_served_by_both_once_added_or_edited_and_by_none_once_deleted(
    synced: Cluster, maker: str
) -> None:
    folder, path = maker_of(synced, maker).folder, f"conf.d/of-{maker}.conf"
    for answer in ("one", "two"):
        text = sites.site("new.test", answer)
        folder.sh('printf %s "$2" >"$1"; touch -d @1700000000 "$1"', path, text)
        sites.wait_served("new.test", answer, *synced.nodes)
    folder.remove(path)
    sites.wait_unknown("new.test", *synced.nodes)
    assert path not in synced.wait_in_sync()


def test_the_peer_serves_a_certificate_as_soon_as_it_is_replaced(synced: Cluster) -> None:
    for _ in range(2):
        wanted = sites.make_certificate(synced.a.folder, "certs/tls.test")
        for node in synced.nodes:
            sites.wait_certificate(node, "tls.test", wanted)
    tree = synced.wait_in_sync()
    assert tree["certs/tls.test/privkey.pem"].mode == 0o600
    assert tree["certs/tls.test"].mode == 0o700


def test_files_belong_to_the_owner_of_their_directory_and_keep_their_modes(
    synced: Cluster,
) -> None:
    synced.a.folder.sh("umask 077; mkdir -p owned/deep; echo 1 >owned/edited")
    synced.wait_in_sync()
    replace(synced.b.folder, user="0:0").sh("chown -R 1001:1001 owned")
    synced.a.folder.sh(
        "umask 077; cd owned; echo 2 >edited; echo key >deep/key.pem; ln -s key.pem deep/link; "
        "mkdir deep/new; echo >deep/new/file; chmod 640 deep/new/file"
    )
    tree = synced.wait_in_sync()
    assert tree["owned/deep/key.pem"].mode == 0o600
    assert tree["owned/deep/new"].mode == 0o700
    assert tree["owned/deep/new/file"].mode == 0o640
    for node, owner in ((synced.a, 1000), (synced.b, 1001)):
        owners = node.inside.owners()
        assert {owners[path] for path in tree if path.startswith("owned")} == {owner}
        assert {owners[path] for path in tree if not path.startswith("owned")} == {1000}


def test_an_edit_made_while_a_node_was_down_is_accepted_as_soon_as_that_serves(
    synced: Cluster,
) -> None:
    synced.b.stop()
    synced.b.folder.write("conf.d/meanwhile.conf", sites.site("meanwhile.test", "meanwhile"))
    begun = time.time()
    synced.b.start()
    sites.wait_served("meanwhile.test", "meanwhile", *synced.nodes)
    said = until(
        "it is accepted",
        lambda: synced.b.container.logs(since=begun).decode(errors="replace"),
        lambda log: "head is" in log,
    )
    assert "nginx is not running" not in said


def test_the_same_edit_on_both_nodes_is_no_conflict(synced: Cluster) -> None:
    for node in synced.nodes:
        node.folder.write("conf.d/same.conf", sites.site("same.test", "same"))
    sites.wait_served("same.test", "same", *synced.nodes)
    synced.wait_in_sync()

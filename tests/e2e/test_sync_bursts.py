"""Many changes at once reach the peers as few snapshots, each of which was the tree of a moment."""

from typing import Final

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.folder import Folder, Tree
from tests.cluster.node import Node
from tests.e2e import sites

BURST: Final = """
import os, time
os.mkdir("burst")
for number in range(300):
    with open(f"burst/{number:03}.conf", "w") as file:
        file.write(f"# {number}" * 100)
    time.sleep(2 / 300)
"""

# As vim does with its defaults, a moment for each step.
VIM: Final = """
import os, time
path, text = "conf.d/saved.conf", SITE
def step():
    time.sleep(0.1)
open("conf.d/.saved.conf.swp", "w").write("half of what is typed"); step()
open("conf.d/4913", "w").close(); os.unlink("conf.d/4913"); step()
os.rename(path, path + "~"); step()
open(path, "w").write(text); step()
os.unlink(path + "~"); step()
"""

# As an upload over a slow line, or a program that was held up; what is there meanwhile is valid.
SLOWLY: Final = """
import sys, time
with open(sys.argv[1], "w") as file:
    time.sleep(0.3)
    for site in sys.argv[2:]:
        file.write(site)
        file.flush()
        time.sleep(0.2)
"""

# As `sed -i`, most editors, and certbot do.
RENAME: Final = """
import os, time
with open("conf.d/.saved.conf.tmp", "w") as file:
    file.write(SITE)
os.rename("conf.d/.saved.conf.tmp", "conf.d/saved.conf")
"""

# As git does: unlink what differs, write the new one, directories as needed.
CHECKOUT: Final = """
import os, sys
branch = sys.argv[1]
for number in range(200):
    directory = f"checkout/{number // 20:02}"
    os.makedirs(directory, exist_ok=True)
    path = f"{directory}/{number:03}.conf"
    if os.path.exists(path):
        os.unlink(path)
    with open(path, "x") as file:
        file.write(f"# {number} of {branch}")
for other in ("main", "feature"):
    path = f"checkout/only-{other}"
    if other == branch:
        os.makedirs(path, exist_ok=True)
        open(f"{path}/one.conf", "w").write(branch)
    elif os.path.exists(path):
        os.unlink(f"{path}/one.conf")
        os.rmdir(path)
"""


def snapshots(node: Node) -> list[str]:
    """Return the ids that `ha history` shows, newest first."""
    return [line.split()[0] for line in node.ha("history").stdout.splitlines()[1:]]


def exported(node: Node, snapshot: str) -> Tree:
    """Return the tree of a snapshot, as `ha export` writes it."""
    directory = f"/tmp/export-{snapshot}"
    node.ha("export", snapshot, directory)
    try:
        return Folder(container=node.name, path=directory, user="0:0").tree()
    finally:
        Folder(container=node.name, path="/tmp", user="0:0").remove(directory)


def made_since(before: list[str], node: Node) -> list[str]:
    """Return the snapshots that a node has and had not, newest first."""
    return [snapshot for snapshot in snapshots(node) if snapshot not in before]


def test_300_files_in_2_seconds_are_few_snapshots_each_of_a_moment(synced: Cluster) -> None:
    before = snapshots(synced.a)
    synced.a.folder.python(BURST)
    tree = synced.wait_in_sync(within=30)
    files = sorted(path for path in tree if path.startswith("burst/"))
    assert len(files) == 300
    made = made_since(before, synced.a)
    assert 1 <= len(made) <= 4
    for snapshot in made:
        then = exported(synced.b, snapshot)
        some = [path for path in files if path in then]
        assert some == files[: len(some)]
        assert all(then[path] == tree[path] for path in some[:-1])


def test_an_editors_save_is_one_snapshot_and_its_droppings_stay(synced: Cluster) -> None:
    synced.b.folder.write("conf.d/saved.conf", sites.site("saved.test", "0"))
    synced.wait_in_sync()
    before = snapshots(synced.a)
    for answer, editor in (("1", VIM), ("2", RENAME)):
        text = sites.site("saved.test", answer)
        synced.b.folder.python(editor.replace("SITE", repr(text)))
        sites.wait_served("saved.test", answer, *synced.nodes)
        assert "conf.d/.saved.conf.swp" not in synced.a.tree()
        synced.b.folder.remove("conf.d/.saved.conf.swp")
        synced.wait_in_sync()
    assert 2 <= len(made_since(before, synced.a)) <= 3


@pytest.mark.parametrize("path", ["conf.d/slow.conf", "conf.d/new.conf"])
def test_a_file_that_is_written_slowly_is_taken_when_it_is_whole(
    synced: Cluster, path: str
) -> None:
    synced.a.folder.write("conf.d/slow.conf", sites.site("slow.test", path))
    sites.wait_served("slow.test", path, *synced.nodes)
    synced.wait_in_sync()
    before = snapshots(synced.a)
    parts = [sites.site(f"{name}.slow.test", name) for name in ("one", "two")]
    synced.a.folder.python(SLOWLY, path, *parts)
    sites.wait_served("two.slow.test", "two", *synced.nodes)
    synced.wait_in_sync()
    assert len(made_since(before, synced.a)) == 1


def test_a_checkout_of_another_branch_arrives_whole(synced: Cluster) -> None:
    for branch in ("main", "feature", "main"):
        before = snapshots(synced.a)
        synced.a.folder.python(CHECKOUT, branch)
        wanted = synced.a.tree()
        assert synced.wait_in_sync(within=30) == wanted
        assert 1 <= len(made_since(before, synced.b)) <= 2


@pytest.mark.timeout(120)
def test_a_file_that_changes_all_the_time_is_named_until_it_rests(synced: Cluster) -> None:
    pid = synced.a.folder.sh('(while :; do echo line >>busy.log; done) >/dev/null & echo "$!"')
    try:
        sites.wait_reason(synced.a, "busy", "busy.log", "HA_SYNC_EXCLUDE", within=30)
        synced.a.folder.write("conf.d/busy.conf", sites.site("busy.test", "busy"))
        sites.wait_served("busy.test", "busy", synced.a)
    finally:
        synced.a.folder.sh('kill "$1"', pid.strip())
    # The log may have paused, and been loaded, just before: then its cooldown is up to 30 s.
    sites.wait_served("busy.test", "busy", synced.b, within=45)
    synced.a.folder.remove("busy.log", "conf.d/busy.conf")
    synced.wait_in_sync()

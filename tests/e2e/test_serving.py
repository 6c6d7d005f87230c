"""What nginx serves: what may be loaded is loaded soon, what is held is not, whatever restarts."""

from typing import Final

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.folder import Folder
from tests.cluster.node import Node, Plan
from tests.cluster.wait import always, until
from tests.e2e import sites
from tests.e2e.fixtures import Have, Start
from tests.e2e.problems import NGINX_CONFIG

SITES: Final = {f"conf.d/s{number:02}.conf": f"s{number:02}.test" for number in range(20)}
LOADED: Final = 'ha_reloads_total{result="success"}'
OUTSIDE: Final = "/tmp/own/both.pem"
END: Final = f'ha_certificate_not_after_timestamp_seconds{{path="{OUTSIDE}"}}'

TICK: Final = """
import time
for number in range(12):
    with open("conf.d/ticking.conf", "w") as file:
        file.write(f"# {number}\\n")
    time.sleep(1)
"""


@pytest.fixture
def pair(have: Have) -> Cluster:
    """A pair with twenty sites and a second folder that nginx includes."""
    files = {path: sites.site(host, "yes") for path, host in SITES.items()}
    cluster = have(
        Plan(
            environment={"HA_SYNC_SOAK": "0s", "HA_SYNC_PATHS": "/etc/nginx,/data"},
            files={"conf.d/second.conf": "include /data/*.conf;\n", **files},
            service={"volumes": ["./data:/data"]},
        )
    )
    cluster.wait_in_sync()
    return cluster


def second(node: Node) -> Folder:
    """Return the second folder of a node."""
    return Folder(container=node.name, path="/data", user="0:0")


def loads(node: Node) -> float:
    """Return how often a node has loaded a configuration."""
    return node.metrics()[LOADED]


def put_certificate(node: Node) -> str:
    """Put a new certificate with its key where no folder is synced; return its fingerprint."""
    folder = Folder(container=node.host.machine, path="/tmp", user="0:0")
    fingerprint = sites.make_certificate(folder, "own")
    both = folder.read("own/privkey.pem") + folder.read("own/fullchain.pem")
    put = 'mkdir -p /tmp/own; printf %s "$1" >/tmp/own/new; mv /tmp/own/new /tmp/own/both.pem'
    node.inside.sh(put, both)
    return fingerprint


def delete_the_sites(node: Node) -> None:
    """Delete twenty sites at once, and wait until that is held."""
    node.folder.remove(*SITES)
    sites.wait_reason(node, "mass-delete", "20 of", "ha sync release")


def serves_the_sites(node: Node) -> None:
    """Check that a node serves the sites, and goes on with that."""
    sites.wait_served("s00.test", "yes", node, within=20)
    sites.always_serves(node, "s19.test", "yes", during=1)


def test_what_is_held_is_not_loaded_also_when_nginx_or_all_of_the_node_is_started_anew(
    pair: Cluster,
) -> None:
    node = pair.master
    (peer,) = (one for one in pair.nodes if one is not node)
    before = node.tree()
    delete_the_sites(node)
    sites.always_serves(node, "s00.test", "yes", during=4)
    old = {process.pid for process in node.processes("nginx: ")}
    node.signal("KILL", node.processes("nginx: master")[0])
    until(
        "all of the old nginx has ended",
        lambda: old & {process.pid for process in node.processes("nginx: ")},
        lambda left: not left,
    )
    serves_the_sites(node)
    assert node.tree() == before
    sites.wait_reason(node, "mass-delete", "kept as snapshot", "ha sync release")
    node.ha("rollback", "head")
    until("nothing is held", node.sync, lambda sync: not sync["holds"])

    delete_the_sites(node)
    node.stop()
    node.start()
    serves_the_sites(node)
    sites.wait_reason(node, "mass-delete", "kept as snapshot", "ha sync release", within=30)
    serves_the_sites(peer)
    pair.wait_linked()
    node.ha("sync", "release")
    tree = pair.wait_in_sync()
    assert not SITES.keys() & tree.keys()
    assert not node.sync()["holds"]
    for path, host in SITES.items():
        node.folder.write(path, sites.site(host, "yes"))
    assert SITES.keys() <= pair.wait_in_sync().keys()


def test_a_file_that_is_written_each_second_leads_to_few_reloads(pair: Cluster) -> None:
    before = loads(pair.a)
    pair.a.folder.python(TICK)
    assert loads(pair.a) - before <= 8
    assert "conf.d/ticking.conf" in pair.wait_in_sync(within=45)
    pair.a.folder.remove("conf.d/ticking.conf")
    pair.a.ha("sync")  # a person never waits, and nobody after that
    assert "conf.d/ticking.conf" not in pair.wait_in_sync()


def test_an_error_in_the_second_folder_is_shown_until_it_is_undone(pair: Cluster) -> None:
    text = sites.site("second.test", "second")
    second(pair.a).write("second.conf", text)
    sites.wait_served("second.test", "second", *pair.nodes)
    before = loads(pair.a)
    second(pair.a).write("second.conf", "server { brokn; }")
    until("it is refused", pair.a.problems, lambda codes: NGINX_CONFIG in codes)
    second(pair.a).write("second.conf", text)
    until("all is well", pair.a.problems, lambda codes: not codes)
    assert loads(pair.a) == before


def test_a_certificate_in_no_folder_is_loaded_when_it_is_renewed_and_has_its_end_shown(
    pair: Cluster,
) -> None:
    for node in pair.nodes:
        put_certificate(node)
    tls = f"listen 443 ssl; ssl_certificate {OUTSIDE}; ssl_certificate_key {OUTSIDE};"
    pair.a.folder.write("conf.d/tls.conf", f"server {{ server_name tls.test; {tls} }}\n")
    pair.wait_in_sync()
    for node in pair.nodes:
        sites.wait_certificate(node, "tls.test", put_certificate(node))
        until("its end is shown", node.metrics, lambda samples: END in samples)
    pair.a.folder.remove("conf.d/tls.conf")
    pair.wait_in_sync()


def test_a_certificate_in_the_second_folder_has_its_end_shown(pair: Cluster) -> None:
    folder = Folder(container=pair.a.host.machine, path="/tmp", user="0:0")
    sites.make_certificate(folder, "own")
    second(pair.a).write("own.pem", folder.read("own/fullchain.pem"))
    end = 'ha_certificate_not_after_timestamp_seconds{path="/data/own.pem"}'
    for node in pair.nodes:
        until("its end is shown", node.metrics, lambda samples: end in samples)


def test_a_reload_by_hand_says_what_happened(pair: Cluster) -> None:
    before = loads(pair.a)
    assert pair.a.ha("reload").stdout.startswith("reloaded: ")
    until("it is counted", lambda: loads(pair.a), lambda count: count == before + 1)
    pair.a.folder.write("conf.d/broken.conf", "server { brokn; }")
    refused = pair.a.ha("reload", check=False)
    assert refused.returncode == 1
    assert "brokn" in refused.stderr
    pair.a.folder.remove("conf.d/broken.conf")
    pair.wait_in_sync()


def test_a_link_to_the_root_is_followed_by_nobody(pair: Cluster) -> None:
    pair.a.folder.link("rootlink", "/")
    tree = pair.wait_in_sync()
    assert tree["rootlink"].content == "/"
    for node in pair.nodes:
        node.stop()
        node.start()
        node.wait_ready(within=30)
    pair.a.folder.remove("rootlink")
    pair.wait_in_sync(within=30)


@pytest.mark.parametrize(
    "settings",
    [
        {"HA_SYNC_ON_CHANGE": "off", "HA_SYNC_SCHEDULE": "off"},
        {"HA_SYNC_PATHS": "/data"},
    ],
    ids=["sync waits for a word", "the folder is not synced"],
)
def test_an_edit_is_loaded_although_it_is_not_synced(
    start: Start, settings: dict[str, str]
) -> None:
    base = {"conf.d/own.conf": sites.site("own.test", "old")}
    environment = {"HA_SYNC_SOAK": "0s", **settings}
    pair = start(Plan(environment=environment, files=base, service={"volumes": ["./data:/data"]}))
    pair.wait_well(within=30)
    for answer in ("new", "newer"):
        pair.a.folder.write("conf.d/own.conf", sites.site("own.test", answer))
        sites.wait_served("own.test", answer, pair.a)
    always("the peer has the old", lambda: pair.b.fetch("own.test"), "old".__eq__, during=2)
    pair.a.folder.write("conf.d/own.conf", "server { brokn; }")
    until("it is refused", pair.a.problems, lambda codes: NGINX_CONFIG in codes)
    sites.always_serves(pair.a, "own.test", "newer", during=1)

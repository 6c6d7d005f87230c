"""Our nodes, as the bench of sync sees them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from tests.bench import work
from tests.cluster.cluster import Cluster
from tests.cluster.host import run
from tests.cluster.node import Node, Plan
from tests.cluster.wait import until
from tests.cluster.world import World

SETTLE: Final = 0.1
"""Seconds without a change after which the watcher tells of one (sidecar/host/watch.py)."""

# Asks as `ha sync` does, without the start of a command line.
_CHECK: Final = """
import http.client, socket, time
connection = http.client.HTTPConnection("localhost")
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect("/run/ha/control.sock")
begun = time.monotonic()
connection.request("POST", "/sync", '{"dry_run": false}')
answer = connection.getresponse()
text = answer.read().decode()
print(time.monotonic() - begun)
assert answer.status == 200 and "not" not in text, text
"""


_PYTHON: Final = "/opt/kiss-ha/venv/bin/python"
_READ_ALL: Final = """
import time
from sidecar.sync.scan import scan
begun = time.monotonic()
assert scan(["/etc/nginx"], known={}).usable
print(time.monotonic() - begun)
"""


@contextmanager
def ours(world: World, soak: str) -> Iterator[Cluster]:
    """Give our pair, well and in sync."""
    with world.cleared():
        pair = world.cluster(Plan(environment={"HA_SYNC_SOAK": soak}, files={work.FILE: ""}))
        pair.up()
        pair.wait_well(within=30)
        pair.wait_in_sync(within=30)
        yield pair


def check(node: Node) -> float:
    """Return the seconds of a check that finds nothing to do."""
    return float(run(node.name, "python3", "-c", _CHECK).stdout)


def full_check(node: Node) -> float:
    """Return the seconds in which a node reads every file, as it does on schedule."""
    return float(run(node.name, _PYTHON, "-I", "-c", _READ_ALL).stdout)


def accept(pair: Cluster) -> float:
    """Return the seconds from the watcher's word of an edit to the new head."""
    edit = work.edit(pair.a, work.served(pair.b))
    pair.wait_in_sync()
    return _told(pair.a, "head is", after=edit.wrote) - edit.wrote - SETTLE


def first_sync(pair: Cluster) -> float:
    """Return the seconds from the link of a new, empty node to its having all and serving it."""
    wanted = pair.wait_in_sync(within=60)
    pair.b.wipe()
    pair.b.up()
    assert pair.wait_in_sync(within=60) == wanted
    return _told(pair.b, "took over") - _told(pair.b, f"link to {pair.a.address} is up")


def _told(node: Node, words: str, *, after: float = 0) -> float:
    """Return when (unix time) a node first logged these words."""
    return until(f"{node} says {words}", lambda: _times(node, words, after))[0]


def _times(node: Node, words: str, after: float) -> list[float]:
    lines = node.container.logs(timestamps=True).decode(errors="replace").splitlines()
    stamps = [line.partition(" ")[0] for line in lines if words in line]
    # Docker writes nanoseconds, which datetime does not read.
    times = [datetime.fromisoformat(re.sub(r"\.(\d{6})\d*Z", r".\1+00:00", one)) for one in stamps]
    return [at for time in times if (at := time.timestamp()) > after]

"""Nodes are killed at each step of an accept and of an apply: none serves or keeps half of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import zip_longest
from operator import ne
from typing import Final

from tests.cluster.cluster import Cluster
from tests.cluster.node import Node
from tests.cluster.wait import until
from tests.e2e import sites

_EDIT: Final = """
import os, sys
word = sys.argv[1]
texts = {f"conf.d/m/{number:03}": f"{word} {number}" for number in range(120)}
for name in ("first", "last"):
    path = "conf.d/" + {"first": "a.conf", "last": "z.conf"}[name]
    texts[path] = f'map $host ${name} {{ default "{word}"; }}'
os.makedirs("conf.d/m", exist_ok=True)
for path, text in texts.items():
    with open(f"{path}~", "w") as file:
        file.write(text)
for path in texts:
    os.rename(f"{path}~", path)
"""
"""A site, words.test, that shows whether the first and the last of many files fit together."""

_WATCH: Final = """
nohup sh -c '
    while sleep 0.2; do
        curl --silent --max-time 1 --header "Host: words.test" http://127.0.0.1/ && echo
    done
' >/run/words 2>/dev/null & echo $! >/run/words.pid
"""

_STATE: Final = "/var/lib/ha"
_APPLY: Final = {
    "preparing": (f"{_STATE}/journal", "journal", 1),
    "applying": (f"{_STATE}/journal", "journal", 2),
    "half of it is new": ("/etc/nginx/conf.d/m", "060", 1),
    "testing": (f"{_STATE}/journal", "journal", 3),
    "done": (f"{_STATE}/journal", "journal", 4),
    "the head is set": (f"{_STATE}/history", "head", 1),
}
_ACCEPT: Final = {
    "half of the objects are kept": (f"{_STATE}/history/objects", "", 60),
    "the snapshot is kept": (f"{_STATE}/history/snapshots", "", 1),
    "the head is set": (f"{_STATE}/history", "head", 1),
}
"""How far it is when a file gets a name: the directory, the name, and for how many times."""


def test_nodes_that_are_killed_at_any_step_have_one_state_or_the_other(synced: Cluster) -> None:
    maker, taker = synced.a, synced.b
    maker.folder.write("conf.d/words.conf", sites.site("words.test", "$first $last"))
    maker.folder.python(_EDIT, "begin")
    sites.wait_served("words.test", "begin begin", *synced.nodes)
    synced.wait_in_sync(within=30)
    known = _snapshots(maker)
    with _watched(maker, taker):
        for number, (apply, accept) in enumerate(zip_longest(_APPLY, _ACCEPT)):
            word = f"apply-{number}"
            _kill(taker, _APPLY[apply], maker, word)
            if accept:
                word = f"accept-{number}"
                _kill(maker, _ACCEPT[accept], maker, word)
            for node in synced.nodes:
                node.wait_ready(within=30)
            sites.wait_served("words.test", f"{word} {word}", *synced.nodes)
            synced.wait_in_sync(within=30)
            assert taker.folder.read("conf.d/m/119") == f"{word} 119"
    made = {node for name, node in _snapshots(maker).items() if name not in known}
    assert made == {maker.address}, "what was half applied was an edit"


def _kill(node: Node, moment: tuple[str, str, int], editor: Node, word: str) -> None:
    """Edit so that a node is killed at a moment of it, and wait until it is started again."""
    directory, name, times = moment
    started = node.started
    node.kill_once(directory, name, times=times)
    editor.folder.python(_EDIT, word)
    until(f"{node} was killed at {moment}", lambda: node.started, partial(ne, started), within=30)


@contextmanager
def _watched(*nodes: Node) -> Iterator[None]:
    """See that what nodes serve fits together all the time."""
    for node in nodes:
        node.host.run("sh", "-c", _WATCH)
    try:
        yield
    finally:
        for node in nodes:
            node.host.run("sh", "-c", "kill $(cat /run/words.pid)")
    for node in nodes:
        answers = set(node.host.run("cat", "/run/words").splitlines())
        assert len(answers) > 1
        assert all(len({*answer.split(" ")}) == 1 for answer in answers), answers


def _snapshots(node: Node) -> dict[str, str]:
    """Return who made each snapshot that a node knows."""
    lines = node.ha("history").stdout.splitlines()[1:]
    return {line.split()[0]: line.split()[3] for line in lines}

"""A life of three nodes: rounds of operations, after each of which all has to be well and alike."""

import hashlib
import json
import random
import re
import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, Final, TypeVar

from tests.cluster.cluster import Cluster
from tests.cluster.folder import Item, Tree
from tests.cluster.host import CUT, run
from tests.cluster.node import Node, Plan
from tests.e2e import sites
from tests.e2e.problems import NGINX_CONFIG
from tests.life import operations
from tests.life.operations import EDITS, TREATMENTS, WRITES, Operation

T = TypeVar("T")

SECONDS: Final = (20, 40)
"""Between which a round operates."""

SETTLE: Final = 150.0
"""Seconds within which all has to be well once nothing is in the way any more."""

PATIENCE: Final = 6.0
"""Seconds after which a person decides what waits for one."""

QUIET: Final = 2.0
"""Seconds for which nothing must happen in the end."""

LONGEST: Final = 0.5
"""Seconds of a turn of the event loop; the kernel alone may need more than the usual tenth where
containers come and go."""

_SEEN: Final = Path(__file__).with_name("seen.py").read_text()
_PYTHON: Final = ("/opt/kiss-ha/venv/bin/python", "-I", "-c")
_HEAD: Final = re.compile(r"head is ([0-9a-f]{12})")
_FETCH: Final = (
    'for host in "$@"; do curl --silent --max-time 2 --header "Host: $host" http://127.0.0.1/; '
    "echo; done"
)


def plan() -> Plan:
    """Return three nodes that accept a change at once and forget nothing."""
    return Plan(
        count=3,
        environment={"HA_SYNC_SOAK": "0s", "HA_SYNC_KEEP": "10000"},
        files={
            **{f"stays/{number}": f"{number}\n" for number in range(30)},
            operations.LINKED: sites.site("linked.test", "linked"),
            **{path: f"{path}\n" for path in (*operations.FILES, *operations.MANY)},
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A node at rest."""

    past: frozenset[str]
    newest: tuple[str, ...]
    objects: frozenset[str]
    tree: Tree
    sites: dict[str, str]


@dataclass(slots=True, kw_only=True)
class Life:
    """The cluster, and what must not be lost."""

    cluster: Cluster
    seed: int
    story: list[str] = field(default_factory=list)
    """What has happened in this round."""
    standing: list[dict[str, str]] = field(default_factory=lambda: [{}, {}, {}])
    """By node: the hash of what was last written at a path, and not replaced there by hand."""
    known: dict[str, str] = field(default_factory=dict)
    """By its hash: where every version was written that once was there at rest."""
    heads: set[str] = field(default_factory=set)
    """The first digits of what any node ever had."""
    started: dict[str, str] = field(default_factory=dict)
    """By container: when it was last started by hand."""
    frozen: dict[str, str] = field(default_factory=dict)
    """By container: the start of the life in which it was paused, maybe amid a turn."""
    long: list[str] = field(default_factory=list)
    """Turns of event loops that took too long."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The three."""
        return self.cluster.nodes

    @classmethod
    def begun(cls, cluster: Cluster, seed: int) -> "Life":
        """Wait until the nodes of a cluster that was started are alike for the first time."""
        cluster.wait_well(within=60)
        cluster.wait_in_sync(within=60)
        life = cls(cluster=cluster, seed=seed)
        for node in life.nodes:
            life._note_start(node)
        return life

    def told(self) -> str:
        """Return what has happened in this round, and how the nodes are."""
        logs = (f"log of {node}:\n{node.logs(tail=500)}" for node in self.nodes)
        return "\n".join((*logs, *self.story))

    def round(self, number: int, seconds: float | None = None) -> str:
        """Let a round happen and check what it leaves; return what there is to say of it."""
        self.story.clear()
        seconds = seconds or random.Random(f"{self.seed}:{number}").uniform(*SECONDS)
        end = time.monotonic() + seconds
        going = takewhile(lambda _: time.monotonic() < end, operations.make(self.seed, number))
        with ExitStack() as stack:
            hands = [stack.enter_context(ThreadPoolExecutor(1)) for _ in self.nodes]
            for operation in going:
                if operation.what in TREATMENTS:
                    self._try(operation)
                else:
                    hands[operation.node].submit(self._try, operation)
                time.sleep(operation.pause)
        done = sum(not line.endswith(")") for line in self.story)
        for node in self.nodes:
            self._look_at_loop(node)
            if not node.container.attrs["State"]["Running"]:
                node.start()
                self._note_start(node)
            node.heal()
        self._tell("healed")
        begun = time.monotonic()
        decided = self._settle()
        took = time.monotonic() - begun
        self._check()
        snapshots, versions = len(self.heads), len(self.known)
        return (
            f"{done} operations, alike after {took:.0f} s, {snapshots} heads and {versions} "
            f"versions kept{''.join(f'; {one}' for one in decided)}"
        )

    # What happens

    def _try(self, operation: Operation) -> None:
        """Do something, and note whether that was possible."""
        said = ""
        try:
            self._do(operation)
        except AssertionError as error:
            said = f" ({str(error).rpartition(': ')[2].strip()[:100]})"
        except Exception as error:  # noqa: BLE001 # what the engine says of a container that is down
            said = f" ({type(error).__name__})"
        self._tell(f"{operation}{said}")

    def _do(self, operation: Operation) -> None:
        node = self.nodes[operation.node]
        match operation:
            case Operation(what="cut"):
                node.host.drop(*CUT)
            case Operation(what="cut one way", arguments=(other,)):
                node.host.drop(f"ip saddr {self.nodes[int(other)].address} {CUT[0]}")
            case Operation(what="mend the network"):
                node.host.heal()
            case Operation(what="rollback" | "restore" as what, arguments=(back, *paths)):
                self._undo(node, what, back, *paths)
            case Operation(what=what) if what in EDITS:
                self._edit(operation.node, what, *operation.arguments)
            case Operation(what=what):
                self._treat(node, what)

    def _undo(self, node: Node, what: str, back: str, *paths: str) -> None:
        newest = _look(node).newest
        node.ha(what, newest[min(int(back), len(newest) - 1)], *paths)

    def _treat(self, node: Node, what: str) -> None:
        """Do something to a container."""
        if what in {"kill", "restart", "pause"}:
            self._look_at_loop(node)
        match what:
            case "kill":
                node.kill()
            case "pause":
                self.frozen[node.name] = _started(node)
                node.container.pause()
            case "unpause":
                node.unpause()
            case "restart":
                node.container.restart(timeout=20)
                self._note_start(node)
            case "start" if not node.container.attrs["State"]["Running"]:
                node.start()
                self._note_start(node)
            case _:
                pass

    def _edit(self, index: int, what: str, *arguments: str) -> None:
        """Do something in a folder, and remember what it leaves that must not be lost."""
        mine = self.standing[index]
        for path in arguments:  # a text is no path
            for gone in [one for one in mine if f"{one}/".startswith(f"{path}/")]:
                del mine[gone]
        self.nodes[index].folder.sh(EDITS[what], *arguments)
        if what in WRITES:
            *_, text = arguments
            mine[f"{arguments[0]}{WRITES[what]}"] = hashlib.sha256(text.encode()).hexdigest()

    def _tell(self, what: str) -> None:
        self.story.append(f"{time.strftime('%H:%M:%S')} {what}")

    def _note_start(self, node: Node) -> None:
        self.started[node.name] = _started(node)

    def _look_at_loop(self, node: Node) -> None:
        """Remember what kept a node's event loop; it forgets that when it ends."""
        if self.frozen.get(node.name) == _started(node):
            return
        report = _ask(node) if node.running else None
        loop = report["loop"] if report else {"long": 0}
        if loop["long"] and loop["longest"] > LONGEST:
            self.long.append(f"{node}: {loop['longest']:.3f} s: {loop['where']}")

    # What there is then

    def _settle(self) -> list[str]:
        """Wait until all are well and alike; return what a person had to decide."""
        deadline = time.monotonic() + SETTLE
        decided: list[str] = []
        since: dict[str, float] = {}
        calm: tuple[float, object] | None = None
        while True:
            now = time.monotonic()
            stands = _each(_stand, self.nodes)
            if len({repr(one) for one in stands}) == 1 and isinstance(stands[0], tuple):
                if calm is None or calm[1] != stands[0]:
                    calm = now, stands[0]
                elif now - calm[0] > QUIET:
                    return decided
            else:
                calm = None
            if now > deadline:
                shown = "\n".join(str(one[:2] if isinstance(one, tuple) else one) for one in stands)
                raise AssertionError(f"not alike within {SETTLE:g} s:\n{shown}")
            waiting = {} if calm else self._waiting()
            since = {one: since.get(one, now) for one in waiting}
            for one, decide in waiting.items():
                if now - since[one] > PATIENCE:
                    decided.append(one)
                    self._tell(f"decided: {one}: {decide()}")
                    since.clear()
                    break
            time.sleep(0.3)

    def _waiting(self) -> dict[str, Callable[[], str]]:
        """Return what waits for a person, and how it is decided."""
        found: dict[str, Callable[[], str]] = {}
        reports = [(node, report) for node in self.nodes if (report := _ask(node)) is not None]
        heads = sorted({str(report["sync"]["head"]) for _, report in reports})
        for node, report in reports:
            sync, name = report["sync"], node.host.name
            reasons = {hold["reason"] for hold in sync["holds"]}
            if _refuses(report) or reasons & {"refused-at-start", "interrupted", "restored"}:
                found[f"{name} back to head"] = _asking(node, "rollback", "head")
            elif reasons & {"mass-delete", "emptied"}:
                found[f"{name} released"] = _asking(node, "sync", "release")
            elif "merge-refused" in reasons:
                other = next((head for head in heads if head != sync["head"]), "head")
                found[f"{name} to another's head"] = _asking(node, "rollback", other)
        return found

    def _check(self) -> None:
        """See that nothing is lost and that all is served."""
        seen = _each(_look, self.nodes)
        for node, one in zip(self.nodes, seen, strict=True):
            assert node.tree() == one.tree, f"{node} has not what its head says"
            hosts = sorted(one.sites)
            answers = node.host.run("sh", "-c", _FETCH, "sh", *hosts).splitlines()
            assert dict(zip(hosts, answers, strict=True)) == one.sites, f"{node} serves otherwise"
            state = node.container.attrs
            restarts = state["RestartCount"]
            same = state["State"]["StartedAt"] == self.started[node.name]
            assert not restarts, f"{node} has restarted {restarts} times"
            assert same, f"{node} was started by nobody"
            self._look_at_loop(node)
            self.heads.update(_HEAD.findall(node.logs(tail=1_000_000)))
        past = {name[:12] for name in seen[0].past}
        assert self.heads <= past, f"heads that are no part of the past: {self.heads - past}"
        for node, mine in zip(self.nodes, self.standing, strict=True):
            self.known.update({digest: f"{node}: {path}" for path, digest in mine.items()})
        kept = frozenset[str]().union(*(one.objects for one in seen))
        lost = [where for digest, where in self.known.items() if digest not in kept]
        assert not lost, f"versions that are lost: {lost}"
        assert not self.long, f"the event loop was kept waiting: {self.long}"


def _started(node: Node) -> str:
    return str(node.container.attrs["State"]["StartedAt"])


def _asking(node: Node, *words: str) -> Callable[[], str]:
    return lambda: " ".join(node.ha(*words, check=False).stdout.split("\n"))


def _ask(node: Node) -> dict[str, Any] | None:
    """Return a node's report; None from one that is starting."""
    try:
        return node.status()
    except (AssertionError, ValueError, subprocess.TimeoutExpired):
        return None


def _refuses(report: dict[str, Any]) -> bool:
    """Tell whether nginx does not want what was written there."""
    codes = {problem["code"] for problem in report["problems"]}
    return bool(report["sync"]["draft_error"]) or NGINX_CONFIG in codes


def _stand(node: Node) -> object:
    """Return head, conflicts and files of a node that is well, else what is the matter."""
    report = _ask(node)
    if report is None:
        return f"{node} does not answer"
    sync = report["sync"]
    problems = [
        f"{one['code']}: {one['message']}"
        for one in report["problems"]
        if one["code"] != "sync-conflict"  # nobody is there to choose
    ]
    linked = [peer["linked"] for peer in report["peers"]]
    ready = report["node"]["eligible"] and report["node"]["role"] in {"MASTER", "BACKUP"}
    matters = [*problems, *sync["draft"], *sync["holds"], *sync["rejected"].values()]
    if matters or not ready or not all(linked):
        return f"{node}: ready {ready}, linked {linked}, head {sync['head']}, {matters}"
    return sync["head"], sync["overridden"], sorted(node.tree().items())


def _look(node: Node) -> Seen:
    found: dict[str, Any] = json.loads(run(node.name, *_PYTHON, _SEEN).stdout)
    return Seen(
        past=frozenset(found["past"]),
        newest=tuple(found["newest"]),
        objects=frozenset(found["objects"]),
        tree={path: Item(*item) for path, item in found["tree"].items()},
        sites=found["sites"],
    )


def _each(action: Callable[[Node], T], nodes: Iterable[Node]) -> list[T]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(action, nodes))

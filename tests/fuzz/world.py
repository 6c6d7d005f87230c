"""A cluster to which anything happens, and what must be true of it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final

from sidecar.core.history.change import different
from sidecar.core.history.graph import Graph
from sidecar.core.history.manifest import check, fingerprint
from sidecar.core.history.snapshot import Entry, Kind, Snapshot, Tree
from tests.fuzz.hands import move, put
from tests.fuzz.happening import Operation, ViolationError
from tests.fuzz.model import MAIN, Node, nobodys, serves, settle
from tests.unit.trees import ROOT, file, link, tree

NAMES: Final = "abcde"
FILES: Final = ("a", "b", "d/a", "d/e/a", "nginx.conf")
PLACES: Final = (*FILES, "d", "d/e")
STARTS: Final[tuple[Mapping[str, Entry | str], ...]] = (
    {"nginx.conf": "n", "a": "0", "d/e/a": "0", "k": "k"},
    {},
    {"nginx.conf": "stock"},
    {"nginx.conf": "mine", "own": "own"},
)

Version = tuple[str, Entry]
"""A path and what lay there."""


@dataclass
class World:
    """The nodes, and what is remembered of all that has happened."""

    nodes: list[Node]
    number: int = 0
    """Of the operation: no two edits write the same."""
    everything: dict[str, Snapshot] = field(default_factory=dict)
    """All snapshots that a person has caused."""
    came: dict[Version, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The snapshots with which a person wrote a version."""
    went: dict[Version, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The snapshots with which a person replaced it."""
    acts: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By path: the snapshots with which a person changed it."""
    backs: set[tuple[str, str]] = field(default_factory=set)
    """The paths, with the snapshots, at which a person went back to an old version."""
    typed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By node: the paths that a person has touched since the last snapshot."""
    merged: dict[tuple[str, ...], str | None] = field(default_factory=dict)
    backups: dict[str, tuple[Node, frozenset[str]]] = field(default_factory=dict)
    heads: set[str] = field(default_factory=set)
    """What any node ever had."""
    pruned: bool = False
    """Not all is known any more of what came before what."""
    lossy: bool = False
    """A state was lost, or nodes began apart: what they had may not be in one past."""
    disks: dict[str, dict[str, Entry]] = field(default_factory=dict)
    """By node: its folder while that is not mounted."""

    @classmethod
    def begun(cls, size: int, starts: Sequence[int], *, joined: bool) -> "World":
        """Return a world of that many nodes that start with some of STARTS, or with one history."""
        world = cls(nodes=[], lossy=not joined)
        for name, start in zip(NAMES[:size], starts, strict=False):
            node = Node(name=name, live=tree(STARTS[start % len(STARTS)]))
            world.nodes.append(node)
            world.typed[name] = set(node.live)
        if joined:
            world._accept(world.nodes[0], 0, 1)
            world._settle(world.nodes[0], 0, 0)
        return world

    def do(self, operation: Operation) -> None:
        """Let something happen."""
        self.number, what, index, one, other = operation
        node = self.nodes[index % len(self.nodes)]
        getattr(self, f"_{what}")(node, one, other)
        for each in self.nodes:
            self.heads |= {each.head} if each.head else set()
            if each.head and not serves(each.history[each.head].tree):
                raise ViolationError(f"{each.name} offers what nginx refuses")

    # A person edits

    def _edit(self, node: Node, one: int, other: int) -> None:
        mode = 0o600 if other % 4 == 0 else 0o644
        self._put(node, PLACES[one % len(PLACES)], file(f"{self.number}", mode=mode))

    def _delete(self, node: Node, one: int, _: int) -> None:
        self._put(node, PLACES[one % len(PLACES)], None)

    def _link(self, node: Node, one: int, _: int) -> None:
        self._put(node, PLACES[one % len(PLACES)], link(f"{self.number}"))

    def _swap(self, node: Node, one: int, _: int) -> None:
        self._put(node, f"{PLACES[one % len(PLACES)]}/in", file(f"{self.number}"))

    def _clash(self, node: Node, _one: int, _other: int) -> None:
        self._put(node, f"clash-{node.name}", file(f"{self.number}"))

    def _fit(self, node: Node, _one: int, _other: int) -> None:
        self._put(node, f"clash-{node.name}", None)

    def _rename(self, node: Node, one: int, other: int) -> None:
        before = dict(node.live)
        move(node.live, PLACES[one % len(PLACES)], PLACES[other % len(PLACES)])
        self._touch(node, before)

    def _chmod(self, node: Node, one: int, _: int) -> None:
        path = f"{ROOT}/{PLACES[one % len(PLACES)]}"
        entry = node.live.get(path)
        if entry is not None and entry.kind is not Kind.LINK:
            before = dict(node.live)
            node.live[path] = replace(entry, mode=entry.mode ^ 0o040)
            self._touch(node, before)

    def _revert(self, node: Node, one: int, other: int) -> None:
        """Type an old content again."""
        path = FILES[one % len(FILES)]
        old = [
            entry
            for name in sorted(node.whole)
            if (entry := node.whole[name].tree.get(f"{ROOT}/{path}")) is not None
            and entry.kind is Kind.FILE
        ]
        if old:
            self._put(node, path, old[other % len(old)])

    def _put(self, node: Node, name: str, entry: Entry | None) -> None:
        before = dict(node.live)
        put(node.live, name, entry)
        self._touch(node, before)

    def _touch(self, node: Node, before: Tree) -> None:
        paths = different(before, node.live)
        self.typed[node.name] |= paths
        if self.lossy and any((path, before[path]) in self.came for path in paths & before.keys()):
            self._forget()

    # A node works

    def _accept(self, node: Node, _: int, other: int) -> None:
        before, paths = node.draft(), self.typed[node.name]
        if node.unseen:
            paths |= self._single(node)
        if node.released == fingerprint(node.live):
            paths |= different(before, node.live)
        if node.accept(clock=self._clock(other)):
            if node.name in self.disks and MAIN in before.keys() - node.live.keys() - paths:
                raise ViolationError(f"{node.name} takes what is not mounted for deleted")
            self._note(node.head, before, paths)
            self.typed[node.name].clear()

    def _single(self, node: Node) -> set[str]:
        """Return the one file that is as it was before, while the node did not run: an edit."""
        if node.head is None:
            return set()
        past = node.graph().ancestors(node.head) & node.history.keys()
        back = {
            path
            for path in different(node.draft(), node.live)
            if (entry := node.live.get(path)) is not None and entry.kind is not Kind.DIRECTORY
            if any(node.history[one].tree.get(path) == entry for one in past)
        }
        return back if len(back) == 1 else set()

    def _pull(self, node: Node, _one: int, _other: int) -> None:
        head = node.head
        node.pull(self.nodes)
        if node.head != head:
            self._still_typed(node)
        self._compare_merges(node)

    def _settle(self, _node: Node, _one: int, _other: int) -> None:
        heads = [node.head for node in self.nodes]
        settle(self.nodes)
        for node, head in zip(self.nodes, heads, strict=True):
            self._compare_merges(node)
            if node.head != head:
                self._still_typed(node)

    def _still_typed(self, node: Node) -> None:
        self.typed[node.name] &= different(node.draft(), node.live)

    def _compare_merges(self, node: Node) -> None:
        for heads, name in node.merges.items():
            if self.merged.setdefault(heads, name) != name and not self.pruned:
                raise ViolationError(f"{node.name} merges {heads} in a way of its own")

    def _forgive(self, node: Node, _one: int, _other: int) -> None:
        node.rejected.clear()

    # What goes wrong

    def _cut(self, node: Node, _one: int, _other: int) -> None:
        node.alone = True

    def _mend(self, node: Node, _one: int, _other: int) -> None:
        node.alone = False

    def _restart(self, node: Node, _: int, other: int) -> None:
        """Start it anew, with nginx or without."""
        if other % 3 == 0:
            node.stop()
        elif node.start(self._clock(other), alone=other % 2 == 0) is not None:
            self.typed[node.name].clear()

    def _half(self, node: Node, _: int, other: int) -> None:
        """Crash when a snapshot is kept, and is not the head yet."""
        if node.live != node.draft() and node.guarded() is None and serves(node.live):
            node.keep(node.snapshot(self._clock(other)))
        self._restart(node, 0, other)

    def _torn(self, node: Node, _one: int, _other: int) -> None:
        """Crash amid a pull: a manifest is here, its ancestors are not."""
        for peer in self.nodes:
            if peer.head is not None and peer.head not in node.history:
                node.history[peer.head] = peer.history[peer.head]
                break

    def _prune(self, node: Node, one: int, _: int) -> None:
        """Keep few snapshots with their files."""
        node.prune(1 + one % 4, self.nodes)
        self.pruned = True
        self._forget()

    def _wipe(self, node: Node, _: int, other: int) -> None:
        """Lose the state, or state and data."""
        node.history, node.head, node.aside, node.held = {}, None, [], []
        node.cut = set()
        node.rejected, node.released = set(), ""
        if other % 3 == 0:
            node.live = tree(STARTS[1 + other // 3 % 2])
            self.typed[node.name].clear()
        self._restart(node, 0, other)
        self._forget()

    def _backup(self, node: Node, _one: int, _other: int) -> None:
        kept = replace(node, live=dict(node.live), aside=[*node.aside], held=[*node.held])
        kept.history, kept.rejected = dict(node.history), set(node.rejected)
        kept.cut = set(node.cut)
        self.backups[node.name] = kept, frozenset(self.typed[node.name])

    def _restore(self, node: Node, one: int, other: int) -> None:
        """Put a backup back: of state and data, of data only, of state only; maybe elsewhere."""
        of = self.nodes[one % len(self.nodes)] if one % 4 == 0 else node
        if of.name in self.backups:
            self._become(node, *self.backups[of.name], other)

    def _clone(self, node: Node, one: int, other: int) -> None:
        """Give it the volumes of another one."""
        source = self.nodes[one % len(self.nodes)]
        if source is not node:
            self._become(node, source, self.typed[source.name], other)

    def _become(self, node: Node, source: Node, typed: AbstractSet[str], how: int) -> None:
        if how % 3 != 1:
            node.head, node.history = source.head, dict(source.history)
            node.cut = set(source.cut)
            node.aside, node.held = list(source.aside), list(source.held)
            node.rejected, node.released = set(source.rejected), source.released
        if how % 3 != 2:
            node.live = dict(source.live)
            self.disks.pop(node.name, None)
            self.typed[node.name] = set() if how % 3 else set(typed)
        self._restart(node, 0, how // 3)
        self._forget()

    def _unmount(self, node: Node, _: int, other: int) -> None:
        if node.name not in self.disks:
            self.disks[node.name], node.live = node.live, {}
            self.typed[node.name].clear()
            self._restart(node, 0, other)

    def _mount(self, node: Node, _: int, other: int) -> None:
        if (disk := self.disks.pop(node.name, None)) is not None:
            node.live = disk
            self._restart(node, 0, other)
            self._forget()

    def _forget(self) -> None:
        """Expect nothing of what a disk or a person took away from everywhere."""
        self.lossy = True
        known = self._known() | {version for node in self.nodes for version in node.live.items()}
        known |= {version for disk in self.disks.values() for version in disk.items()}
        for version in [one for one in self.came if one not in known]:
            del self.came[version]

    def _known(self) -> set[Version]:
        snapshots = {name: one for node in self.nodes for name, one in node.whole.items()}
        return {version for one in snapshots.values() for version in one.tree.items()}

    # A person decides

    def _hold(self, node: Node, _one: int, _other: int) -> None:
        if not node.held:
            node.held.append(node.head)

    def _release(self, node: Node, _: int, other: int) -> None:
        if node.held:
            node.held.clear()
        elif node.live != node.draft() and node.guarded() is not None:
            node.released = fingerprint(node.live)
            self.typed[node.name] |= different(node.draft(), node.live)
        elif node.aside:
            self._choose(node, node.history[node.aside[-1]].tree, other, node.aside[-1])

    def _rollback(self, node: Node, one: int, other: int) -> None:
        if node.head is not None:
            past = sorted(node.graph().with_ancestors(node.head) & node.whole.keys())
            target = past[one % len(past)]
            self._choose(node, node.history[target].tree, other, target)

    def _back(self, node: Node, _: int, other: int) -> None:
        """Roll back to the head."""
        if node.head is not None:
            self._choose(node, node.draft(), other, node.head)

    def _adopt(self, node: Node, one: int, other: int) -> None:
        """Choose one of the configurations that cannot be merged."""
        heads = sorted(node.plan(self.nodes).choices)
        if not heads or node.head is None:
            return
        if one % 2:
            self._choose(node, node.history[heads[other % len(heads)]].tree, other, *heads)
        elif node.live == node.draft():
            self._choose(node, node.draft(), other, *heads)

    def _choose(self, node: Node, wanted: Tree, other: int, *targets: str) -> None:
        """Make a tree the live one and a snapshot that follows the head and the targets."""
        if not serves(wanted) or (wanted == node.live == node.draft() and targets == (node.head,)):
            return
        clock, before = self._clock(other), [node.draft()]
        if node.live != node.draft():
            node.head = node.keep(node.snapshot(clock))
            before.append(node.live)
        made = node.snapshot(clock, wanted, *targets)
        node.live = dict(wanted)
        node.take(made)
        node.aside.clear()
        self.typed[node.name].clear()
        for old in (*before, *(node.history[one].tree for one in targets)):
            self._note(node.head, old, different(old, wanted))

    def _clock(self, other: int) -> float:
        """Return what a clock says that is right, behind or ahead."""
        return float(self.number if other % 2 else other % 40)

    def _note(self, name: str | None, before: Tree, paths: Iterable[str]) -> None:
        """Remember what a person wrote and replaced with a snapshot."""
        node = next(node for node in self.nodes if node.head == name)
        assert name is not None
        after = node.history[name].tree
        self.everything.update(node.history)
        for path in paths:
            old, new = before.get(path), after.get(path)
            if old == new:
                continue
            self.acts[path].add(name)
            if new is not None and (self.came.get((path, new)) or nobodys(new)):
                self.backs.add((path, name))
            if old is not None and not nobodys(old):
                self.went[path, old].add(name)
            if new is not None and not nobodys(new):
                self.came[path, new].add(name)

    # In the end

    def end(self) -> None:
        """Let everything heal, let a person decide what waits for one, and look at what is then."""
        for node in self.nodes:
            node.alone = False
            self._mount(node, 0, 1)
        for number in range(len(self.nodes) * 8):
            if self._rest():
                break
            self._decide(number)
        else:
            raise ViolationError(f"they do not come to rest: {self._told()}")
        before = [set(node.history) for node in self.nodes]
        self._rest()
        if before != [set(node.history) for node in self.nodes]:
            raise ViolationError("they go on making snapshots although nothing happens")
        self._judge()

    def _rest(self) -> bool:
        """Do all that can be done without a person; return whether there is nothing left."""
        for node in self.nodes:
            node.held.clear()
            node.rejected.clear()
            self._accept(node, 0, 1)
        self._settle(self.nodes[0], 0, 0)
        heads = {node.head for node in self.nodes}
        return len(heads) == 1 and all(
            node.live == node.draft() and not node.plan(self.nodes).holds for node in self.nodes
        )

    def _decide(self, number: int) -> None:
        """Let a person do something about the first thing that waits for one."""
        first = number % len(self.nodes)
        for node in (*self.nodes[first:], *self.nodes[:first]):
            reasons = {hold.reason for hold in node.plan(self.nodes).holds}
            if node.live != node.draft() and node.guarded() is not None:
                (self._release if number % 2 else self._back)(node, 0, 1)
            elif not serves(node.live) or "merge-refused" in reasons:
                for name in NAMES:
                    self._put(node, f"clash-{name}", None)
            elif reasons & {"unrelated", "diverged"}:
                self._adopt(node, number, number)
            else:
                continue
            return

    def _judge(self) -> None:
        (head,) = {node.head for node in self.nodes}
        if head is None:
            return
        node = self.nodes[0]
        check(node.history[head])
        past = node.graph().with_ancestors(head)
        graph = Graph({name: one.parents for name, one in self.everything.items()})
        for version in node.live.items():
            came, went = self.came.get(version, set()), self.went.get(version, set()) & past
            if self.pruned:
                break
            if went and came and all(self._replaced(graph, version[0], one, went) for one in came):
                raise ViolationError(f"{version[0]} is as it was before it was replaced")
        if not self.lossy and self.heads - past:
            raise ViolationError("what a node had is not in the past of what they have")
        if lost := self.came.keys() - self._known():
            raise ViolationError(f"{min(path for path, _ in lost)}: a version is gone")

    def _replaced(self, graph: Graph, path: str, one: str, went: set[str]) -> bool:
        """Tell whether one of the snapshots that replaced a version came after it.

        One that went back to an older version, while somebody else edited, need not win; nor one
        that put what a person has replaced elsewhere.
        """
        return any(
            one in graph.ancestors(later)
            and not ((path, later) in self.backs and self._beside(graph, path, later))
            and not self._refuted(graph, path, later)
            for later in went
        )

    def _refuted(self, graph: Graph, path: str, one: str) -> bool:
        """Tell whether a person who did not know of a snapshot replaced what it has at a path."""
        entry = self.everything[one].tree.get(path)
        found = self.went.get((path, entry), set()) if entry is not None else set()
        return any(one not in graph.ancestors(other) for other in found)

    def _beside(self, graph: Graph, path: str, one: str) -> bool:
        """Tell whether a person changed a path independently of a snapshot."""
        past = graph.with_ancestors(one)
        return any(
            other not in past and one not in graph.ancestors(other) for other in self.acts[path]
        )

    def _told(self) -> str:
        return "; ".join(
            f"{node.name}: {[hold.reason for hold in node.plan(self.nodes).holds]} "
            f"{'draft ' if node.live != node.draft() else ''}{node.guarded() or ''}"
            for node in self.nodes
        )

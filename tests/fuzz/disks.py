"""Nodes with real folders and histories: the code of `sidecar.sync` and a power that fails.

Only the loop's side is simulated: what serves, and the way between the nodes.
"""

import random
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, cast

from sidecar.core.history.exclude import TEMPORARY
from sidecar.core.history.guard import Rules
from sidecar.core.history.manifest import fingerprint
from sidecar.core.history.snapshot import Kind, Tree
from sidecar.core.sync_report import Hold, Progress
from sidecar.errors import SidecarError
from sidecar.host import rename
from sidecar.sync.engine import RETRY, Engine
from sidecar.sync.orders import Orders
from sidecar.sync.peers import Peers
from sidecar.sync.scan import scan
from sidecar.sync.store import History
from sidecar.sync.workspace import BusyError, Workspace
from tests.fuzz.happening import Happening, Operation, ViolationError
from tests.fuzz.power import CrashError, failing

if TYPE_CHECKING:
    from sidecar.sync.ports import Ports

NAMES: Final = ("a", "b", "d/a", "d/e/a", "nginx.conf", "link")
LONGEST: Final = 25
"""Operations of a history, at most."""

_NATIVE: Final = 0.5


class _Ports:
    """The loop's side: it serves all but clashes, and brings snapshots at once."""

    def __init__(self, node: "Disk") -> None:
        self._node = node
        self.peers = Peers(pace=RETRY)
        self.coming: Mapping[str, str] = {}
        self.fetching: Mapping[str, Progress] = {}

    def check(self) -> None:
        """Somebody always waits."""

    def tell_head(self) -> None:
        """The others look."""

    def hurry(self) -> None:
        """Nothing is slow."""

    def doubt_past(self) -> None:
        """Nothing is believed."""

    def count_equal(self, head: str | None) -> None:
        """Nobody counts."""

    def cooldown(self, _tree: Tree) -> float:
        """Never wait."""
        return 0.0

    def well(self) -> str | None:
        """Always."""
        return None

    def ensure(self, _tree: Tree | None) -> None:
        """Whatever lies there is served."""

    def try_own(self, tree: Tree) -> str | None:
        """Refuse a clash."""
        clashes = [path for path in tree if path.rpartition("/")[2].startswith("clash")]
        return "[emerg] they clash" if len(clashes) > 1 else None

    def try_peers(self, tree: Tree | None) -> str | None:
        """Refuse a clash; what is asked about lies there."""
        if tree is not None and self._node.live() != tree:
            raise ViolationError(f"{self._node.name} serves something else than it says")
        return None if tree is None else self.try_own(tree)

    def begin_pull(self, node: str, head: str) -> None:
        """Bring a head with all that it comes from."""
        try:
            self._node.bring(self._node.others[node], head)
        except SidecarError as error:
            self.peers = self.peers.failed(node, error, time.monotonic())
        else:
            self.peers = self.peers.succeeded(node, head, time.time())

    def fetch_manifest(self, node: str, snapshot: str) -> None:
        """Bring a manifest."""
        self._node.bring(self._node.others[node], snapshot, objects=False)


@dataclass
class Disk:
    """A node below a directory: all have the same path, one at a time."""

    base: Path
    name: str
    others: dict[str, "Disk"] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    """Fingerprints of what a person has left in the folder."""
    alone: bool = False

    def __post_init__(self) -> None:
        self.here, self.parked = self.base / "node", self.base / self.name
        self.root, self.state = self.here / "tree", self.here / "state"
        (self.parked / "tree").mkdir(parents=True)

    @property
    def place(self) -> Path:
        """Where it lies now."""
        return self.parked if self.parked.exists() else self.here

    def enter(self) -> None:
        """Put it where it runs."""
        if self.parked.exists():
            for other in self.others.values():
                if not other.parked.exists():
                    self.here.rename(other.parked)
            self.parked.rename(self.here)

    def start(self) -> None:
        """Start as a node does: recover, then put back what must not be loaded."""
        workspace = Workspace((str(self.root),), (), self.state)
        with suppress(SidecarError, BusyError):
            workspace.recover()
        ports = self.ports = _Ports(self)
        given = cast("Ports", ports)
        rules = Rules(roots=workspace.roots, needed={f"{self.root}/nginx.conf"})
        self.engine = Engine(workspace, rules, given, node=self.name, soak=0.0, keep=50)
        self.orders = Orders(self.engine, workspace, given, self.name)
        with suppress(SidecarError, BusyError):
            self.engine.put_back(None)

    @property
    def history(self) -> History:
        """What it has kept."""
        return History(self.place / "state" / "history")

    def live(self) -> Tree:
        """Return what lies in the folder."""
        return scan([str(self.root)], known={}).tree

    @property
    def waits(self) -> list[Hold]:
        """What a person has to decide before all can be alike."""
        aside = [one.hold for one in self.engine.aside]
        return [hold for hold in self.engine.report(0.0).holds if hold not in aside]

    def make_pass(self) -> None:
        """Learn what the others have, and make a pass."""
        linked = (
            {}
            if self.alone
            else {
                name: other.engine.offered for name, other in self.others.items() if not other.alone
            }
        )
        self.ports.peers = self.ports.peers.seen(linked)
        with suppress(BusyError):
            self.engine.make_pass()

    def bring(self, source: "Disk", name: str, *, objects: bool = True) -> None:
        """Copy what is missing to where pulls put it, and let the store adopt it."""
        there, here = source.history, self.history
        incoming = self.state / "history" / "incoming" / source.name
        wanted = there.graph().with_ancestors(name) & there.ids() if objects else {name}
        for one in wanted - (here.whole() if objects else set()):
            _copy(source.place / "state" / "history" / "snapshots" / one, incoming / "snapshots")
        here.adopt(incoming)
        for digest in here.missing(here.get(name)) if objects else ():
            _copy(source.place / "state" / "history" / "objects" / digest, incoming / "objects")
        here.adopt(incoming)
        shutil.rmtree(incoming, ignore_errors=True)

    def write(self, name: str, content: str | None, *, how: int = 0) -> None:
        """Let a person put something at a path, in place of all that is there; None removes it."""
        path = self.root / name
        for place in (*reversed(path.relative_to(self.root).parents), Path(name)):
            here = self.root / place
            if place != Path() and (here.is_symlink() or here.is_file()):
                here.unlink()
        shutil.rmtree(path, ignore_errors=True)
        if content is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if how % 5 == 4:
            path.symlink_to(content)
        else:
            path.write_text(content)
            path.chmod(0o600 if how % 5 == 3 else 0o644)


def _copy(source: Path, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        shutil.copyfile(source, directory / source.name)


class Disks:
    """Some nodes, to which anything happens."""

    def __init__(self, directory: Path, size: int) -> None:
        self.directory = directory
        self.nodes = [Disk(directory, name) for name in "abc"[:size]]
        self.came: set[tuple[str, str]] = set()
        """Paths and digests of what a person wrote and a node accepted."""
        self.backups: dict[str, Path] = {}
        self.lossy = False
        for node in self.nodes:
            node.others = {other.name: other for other in self.nodes if other is not node}
        for node in self.nodes:
            node.enter()
            for name in ("nginx.conf", "a", "d/e/a", "k"):
                node.write(name, name)
            self._leave(node)
            node.start()

    def do(self, operation: Operation) -> None:
        """Let something happen."""
        number, what, index, one, other = operation
        node = self.nodes[index % len(self.nodes)]
        node.enter()
        getattr(self, f"_{what}")(node, f"{number}", one, other)

    def _edit(self, node: Disk, text: str, one: int, other: int) -> None:
        node.write(NAMES[one % len(NAMES)], text, how=other)
        self._leave(node)

    def _delete(self, node: Disk, _: str, one: int, _other: int) -> None:
        node.write(("d", "d/e", *NAMES)[one % 8], None)
        self._leave(node)

    def _swap(self, node: Disk, text: str, one: int, _: int) -> None:
        node.write(f"{NAMES[one % len(NAMES)]}/in", text)
        self._leave(node)

    def _clash(self, node: Disk, text: str, one: int, _: int) -> None:
        node.write(f"clash-{node.name}", text if one % 2 else None)
        self._leave(node)

    def _pass(self, node: Disk, _: str, _one: int, _other: int) -> None:
        self._watched(node, node.make_pass)

    def _crash(self, node: Disk, _: str, one: int, other: int) -> None:
        """Let the power fail amid a pass, and maybe amid the recovery too."""
        self._fails(node, node.make_pass, one * 7 + other % 7)

    def _start(self, node: Disk, _: str, _one: int, _other: int) -> None:
        self._watched(node, node.start)

    def _rollback(self, node: Disk, _: str, one: int, other: int) -> None:
        targets = sorted(node.history.whole())
        if not targets:
            return
        target = targets[one % len(targets)]

        def order() -> None:
            with suppress(SidecarError):
                node.orders.rollback(target)

        if other % 3:
            self._watched(node, order)
        else:
            self._fails(node, order, other * 5 + one % 5)

    def _release(self, node: Disk, _: str, _one: int, _other: int) -> None:
        node.orders.release()

    def _cut(self, node: Disk, _: str, one: int, _other: int) -> None:
        node.alone = bool(one % 2)

    def _wipe(self, node: Disk, _: str, _one: int, _other: int) -> None:
        shutil.rmtree(node.state)
        self._leave(node)  # what a merge made counts as written there now
        node.start()
        self._forget(node)

    def _backup(self, node: Disk, text: str, _one: int, _other: int) -> None:
        place = self.directory / f"backup-{text}"
        shutil.copytree(node.here, place, symlinks=True)
        self.backups[node.name] = place

    def _restore(self, node: Disk, _: str, _one: int, other: int) -> None:
        """Put back state and data, or one of them."""
        place = self.backups.get(node.name)
        if place is None:
            return
        for part in (("state", "tree"), ("state",), ("tree",))[other % 3]:
            shutil.rmtree(node.here / part)
            shutil.copytree(place / part, node.here / part, symlinks=True)
        self._leave(node)
        node.start()
        self._forget(node)

    def _leave(self, node: Disk) -> None:
        node.made.add(fingerprint(node.live()))
        if self.lossy:
            self._forget(node)

    def _fails(self, node: Disk, work: Callable[[], object], after: int) -> None:
        before, known = node.live(), node.history.ids()
        try:
            with failing(after):
                work()
        except CrashError:
            pass
        for again in (after // 3, None):
            try:
                if again is not None:
                    with failing(again):
                        node.start()
                    break
                node.start()
            except CrashError:
                continue
        self._look(node, before, known)

    def _watched(self, node: Disk, work: Callable[[], object]) -> None:
        before, known = node.live(), node.history.ids()
        work()
        self._look(node, before, known)

    def _look(self, node: Disk, before: Tree, known: frozenset[str]) -> None:
        """See that the folder is one state, and that only what somebody made became a snapshot."""
        history, live = node.history, node.live()
        trees = {header.tree for header in history.headers().values()}
        if live != before and fingerprint(live) not in trees:
            raise ViolationError(f"{node.name} has a mixture")
        for name in history.ids() - known:
            header = history.headers()[name]
            if header.node == node.name and header.tree not in node.made | trees_of(self, name):
                raise ViolationError(f"{node.name} takes what nobody made for an edit")
        if (head := history.head()) is not None:
            if history.complete(head) is None:
                raise ViolationError(f"the head of {node.name} is not whole")
            mine = history.get(head)
            if mine.node == node.name:
                self.came |= versions(mine.tree, node)

    def _forget(self, node: Disk) -> None:
        """Expect nothing of what is nowhere any more, since a state was lost."""
        self.lossy = True
        known = self._known()
        for each in (*node.others.values(), node):
            each.enter()
            known |= versions(each.live(), each)
        self.came &= known

    def _known(self) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for node in self.nodes:
            history = node.history
            for name in history.whole():
                if (snapshot := history.complete(name)) is not None:
                    found |= versions(snapshot.tree, node)
        return found

    def end(self) -> None:
        """Let a person decide what waits, and see that all are alike and nothing is gone."""
        for number in range(24):
            for node in self.nodes:
                node.alone = False
                node.enter()
                if number == 0:
                    node.start()
                node.engine.forgive()
                self._watched(node, node.make_pass)
            if self._alike():
                break
            self.nodes[number % len(self.nodes)].enter()
            self._decide(self.nodes[number % len(self.nodes)], number)
        else:
            raise ViolationError(f"they do not come to rest: {self._told()}")
        for node in self.nodes:
            if node.history.incomplete([str(node.engine.head)]):
                raise ViolationError(f"{node.name} lacks files of its head")
            left = [*(node.place / "tree").rglob(f"{TEMPORARY}*")]
            if left:
                raise ViolationError(f"{node.name} leaves {left[0].name} behind")
        if lost := self.came - self._known():
            raise ViolationError(f"{min(lost)[0]}: a version is gone")

    def _alike(self) -> bool:
        return len({node.engine.head for node in self.nodes}) == 1 and not any(
            node.engine.report(0.0).draft or node.waits for node in self.nodes
        )

    def _decide(self, node: Disk, number: int) -> None:
        """Let a person do something about what waits on a node."""
        report = node.engine.report(0.0)
        reasons = {hold.reason for hold in report.holds}
        with suppress(SidecarError):
            if reasons & {"unrelated", "diverged"}:
                node.orders.adopt("mine" if number % 2 else next(iter(node.others)))
            elif report.draft_error or "merge-refused" in reasons:
                for name in "abc":
                    node.write(f"clash-{name}", None)
                self._leave(node)
            elif report.draft and (number // len(self.nodes)) % 2:
                node.orders.rollback(str(node.engine.head))
            elif report.draft:
                node.orders.release()

    def _told(self) -> str:
        return "; ".join(
            f"{node.name}: {[hold.message for hold in node.engine.report(0.0).holds]} "
            f"{node.engine.report(0.0).draft}"
            for node in self.nodes
        )


def trees_of(disks: Disks, name: str) -> set[str]:
    """Return the trees of the other snapshots: a rollback makes one of them again."""
    return {
        header.tree
        for node in disks.nodes
        for other, header in node.history.headers().items()
        if other != name
    }


def versions(tree: Tree, node: Disk) -> set[tuple[str, str]]:
    """Return the files of a tree, by their names below the root."""
    return {
        (path.removeprefix(str(node.root)), entry.digest)
        for path, entry in tree.items()
        if entry.kind is Kind.FILE
    }


WEIGHTS: Final[dict[str, int]] = {
    "edit": 12,
    "delete": 4,
    "swap": 3,
    "clash": 3,
    "pass": 24,
    "crash": 14,
    "start": 3,
    "rollback": 5,
    "release": 2,
    "cut": 4,
    "wipe": 1,
    "backup": 2,
    "restore": 3,
}


@dataclass(frozen=True, kw_only=True)
class DiskHistory(Happening):
    """What happens to nodes with disks."""

    native: bool
    """Two names can be exchanged at once there."""

    def __str__(self) -> str:
        lines = (f"  {' '.join(map(str, operation))}" for operation in self.operations)
        how = "exchange names" if self.native else "rename only"
        return "\n".join((f"{self.size} nodes whose disks {how}", *lines))


def make(number: int) -> DiskHistory:
    """Return the history of that number."""
    dice = random.Random(number)
    what = dice.choices(list(WEIGHTS), list(WEIGHTS.values()), k=dice.randint(1, LONGEST))
    size, native = dice.randint(2, 3), dice.random() < _NATIVE
    happens = [
        (when, name, dice.randrange(size), dice.randrange(60), dice.randrange(60))
        for when, name in enumerate(what, 1)
    ]
    return DiskHistory(size=size, native=native, operations=tuple(happens))


def run(history: DiskHistory) -> str | None:
    """Let it happen on a disk; return what was wrong, None if nothing was."""
    known = rename._renameat2
    if not history.native:
        rename._renameat2 = lambda *_: False
    try:
        with TemporaryDirectory() as directory:
            disks = Disks(Path(directory), history.size)
            for operation in history.operations:
                disks.do(operation)
            disks.end()
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not happen
        return f"{type(error).__name__}: {error}"
    finally:
        rename._renameat2 = known
    return None

"""Some nodes with real folders and histories, and a power that fails."""

import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sidecar.core.history.exclude import TEMPORARY
from sidecar.core.history.manifest import fingerprint
from sidecar.core.history.snapshot import Kind, Tree
from sidecar.errors import SidecarError
from sidecar.host import rename
from tests.fuzz.disk import Disk
from tests.fuzz.happening import Happening, Operation, ViolationError
from tests.fuzz.power import CrashError, failing

NAMES: Final = ("a", "b", "d/a", "d/e/a", "nginx.conf", "link")
LONGEST: Final = 25
"""Operations of a history, at most."""

_NATIVE: Final = 0.5


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

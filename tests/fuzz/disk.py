"""A node with a real folder and history: the code of `sidecar.sync`.

Only the loop's side is simulated: what serves, and the way between the nodes.
"""

import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from sidecar.core.history.guard import Rules
from sidecar.core.history.snapshot import Tree
from sidecar.core.sync_report import Hold, Progress
from sidecar.errors import SidecarError
from sidecar.sync.engine import RETRY, Engine
from sidecar.sync.orders import Orders
from sidecar.sync.peers import Peers
from sidecar.sync.scan import scan
from sidecar.sync.store import History
from sidecar.sync.workspace import BusyError, Workspace
from tests.fuzz.happening import ViolationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.sync.ports import Ports


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

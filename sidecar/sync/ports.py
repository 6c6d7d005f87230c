"""What sync asks the loop for, from its own thread: to serve, whether that goes well, to pull."""

from collections.abc import Callable, Mapping
from functools import partial

from sidecar.core.history.snapshot import Tree
from sidecar.core.sync_report import Progress
from sidecar.host.worker import Worker
from sidecar.sync.peers import Peers
from sidecar.sync.pulls import Pulls
from sidecar.sync.served import Served


class Ports:
    """Every way from the worker thread to the loop.

    Given: the worker, who serves the folders, the pulls, and what to call when the head changes.
    Every method raises StoppedError once the work has been cancelled.
    """

    def __init__(
        self, worker: Worker, served: Served, pulls: Pulls, on_head: Callable[[], None]
    ) -> None:
        self._worker, self._served, self._pulls = worker, served, pulls
        self._on_head = on_head

    def check(self) -> None:
        """Raise StoppedError if the work has been cancelled."""
        self._worker.check()

    def tell_head(self) -> None:
        """Say that the head is another one."""
        self._worker.tell(self._on_head)

    # Serve

    def try_own(self, tree: Tree) -> str | None:
        """Serve what a person has written here; return why that cannot be."""
        return self._worker.ask(partial(self._served.try_own, tree))

    def try_peers(self, tree: Tree | None) -> str | None:
        """Serve what was just put in place; return why that cannot be."""
        return self._worker.ask(partial(self._served.try_peers, tree))

    def ensure(self, tree: Tree | None) -> None:
        """Serve the folders as they are, if something else is served; None: no consistent scan."""
        self._worker.ask(partial(self._served.ensure, tree))

    def cooldown(self, tree: Tree) -> float:
        """Return the seconds until a change should be tried that nobody waits for."""
        return self._worker.ask(partial(self._served.cooldown, tree))

    def hurry(self) -> None:
        """Try at once: a person waits."""
        self._worker.call(self._served.hurry)

    # Is it healthy

    def well(self) -> str | None:
        """Tell what is wrong with what is served at this moment."""
        return self._worker.call(self._served.well)

    # Pull

    @property
    def peers(self) -> Peers:
        """What is known of the peers now."""
        return self._pulls.peers

    @property
    def coming(self) -> Mapping[str, str]:
        """The heads that are being pulled, by peer."""
        return self._pulls.of_heads

    @property
    def fetching(self) -> Mapping[str, Progress]:
        """How far the pulls of heads are, by peer."""
        return self._pulls.fetching

    def begin_pull(self, node: str, head: str) -> None:
        """Begin to bring a peer's head, beside all that is done here."""
        self._worker.call(partial(self._pulls.begin, node, head))

    def fetch_manifest(self, node: str, snapshot: str) -> None:
        """Bring a manifest from a peer, and wait for it; raise SidecarError."""
        self._worker.ask(partial(self._pulls.fetch_manifest, node, snapshot))

    def count_equal(self, head: str | None) -> None:
        """Note that no peer has anything new."""
        self._worker.call(partial(self._pulls.count_equal, head))

    def doubt_past(self) -> None:
        """Look again whether the past is here."""
        self._worker.call(self._pulls.doubt)

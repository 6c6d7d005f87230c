"""What a node knows of its peers' configurations, and how pulling them went, as a value."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sidecar.core.backoff import Backoff, Retry
from sidecar.core.sync_report import PeerSync, Progress
from sidecar.errors import SidecarError


@dataclass(frozen=True, slots=True, kw_only=True)
class Peers:
    """What the links show and what pulls brought, by node. `now` is in monotonic seconds."""

    pace: Backoff
    """At which a pull that failed is tried again."""
    heads: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    """Those of the linked peers."""
    brought: frozenset[str] = frozenset()
    retries: Mapping[str, Retry] = field(default_factory=dict[str, Retry])
    reports: Mapping[str, PeerSync] = field(default_factory=dict[str, PeerSync])

    def seen(self, heads: Mapping[str, str | None]) -> "Peers":
        """Return what is known once the links show these heads."""
        new = [node for node in heads if node not in self.heads]
        return replace(
            self._forgiven(new),
            heads=dict(heads),
            reports={**{node: PeerSync(node=node) for node in new}, **self.reports},
        )

    def willing(self, pulled: Mapping[str, str], now: float) -> Mapping[str, str | None]:
        """Return the heads of those that need not be spared after a failure.

        What is being `pulled`, by node, is left out until it is here, and the next of that node.
        """
        coming = frozenset(pulled.values())
        return {
            node: head
            for node, head in self.heads.items()
            if self._retry(node).due <= now and node not in pulled and head not in coming
        }

    @property
    def fetched(self) -> frozenset[str]:
        """The heads that were pulled with all that belongs to them."""
        return self.brought.intersection(head for head in self.heads.values() if head)

    def succeeded(self, node: str, snapshot: str, time: float) -> "Peers":
        """Return what is known after a pull brought a snapshot; `time` is in unix seconds."""
        return replace(
            self._counted(node, "success", time=time),
            retries={one: retry for one, retry in self.retries.items() if one != node},
            brought=self.fetched | {snapshot},
        )

    def failed(self, node: str, error: SidecarError, now: float) -> "Peers":
        """Return what is known after a pull failed."""
        retry = self._retry(node).failed(self.pace, now)
        return replace(self._counted(node, "failure", error), retries={**self.retries, node: retry})

    def compared(self, head: str | None, time: float) -> "Peers":
        """Return what is known once nobody has anything new for a node with that head."""
        result = self
        for node, theirs in self.heads.items():
            if theirs == head:
                result = result._counted(node, "nothing", time=time)
        return result

    def forgiven(self) -> "Peers":
        """Return the same, and all are asked again now."""
        return self._forgiven(self.retries)

    def waits(self, now: float) -> list[float]:
        """Return the seconds until each of those that failed is tried again."""
        return [one.due - now for node, one in self.retries.items() if node in self.heads]

    def report(self, head: str | None, fetching: Mapping[str, Progress]) -> tuple[PeerSync, ...]:
        """Return how their configurations stand to `head`, and what is being fetched."""
        return tuple(
            replace(report, in_sync=self._in_sync(node, head), fetching=fetching.get(node))
            for node, report in self.reports.items()
        )

    def _forgiven(self, nodes: Iterable[str]) -> "Peers":
        now = {node: Retry(failures=self._retry(node).failures) for node in nodes}
        return replace(self, retries={**self.retries, **now})

    def _retry(self, node: str) -> Retry:
        return self.retries.get(node, Retry())

    def _in_sync(self, node: str, head: str | None) -> bool | None:
        theirs = self.heads.get(node)
        if node not in self.heads or head is theirs is None:
            return None  # two nodes without a snapshot may well have different files
        return theirs == head

    def _counted(
        self, node: str, result: str, error: SidecarError | None = None, *, time: float = 0.0
    ) -> "Peers":
        before = self.reports.get(node, PeerSync(node=node))
        runs = Counter(before.runs)
        runs[result] += 1
        report = replace(
            before,
            runs=dict(runs),
            error=error.message if error else "",
            hint=error.hint if error else "",
            last_success=before.last_success if error else time,
        )
        return replace(self, reports={**self.reports, node: report})

"""What this node knows of its peers' configurations, and how pulling them went."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from sidecar.core.backoff import Backoff
from sidecar.core.sync import PeerSync
from sidecar.errors import SidecarError


class Peers:
    """Remembers what the links show and what pulls brought.

    Given: the pace at which a pull that failed is tried again.
    """

    def __init__(self, pace: Backoff) -> None:
        self._pace = pace
        self._fetched: frozenset[str] = frozenset()
        self._failures: Counter[str] = Counter()
        self._retry: dict[str, float] = {}
        self._reports: dict[str, PeerSync] = {}
        self.heads: Mapping[str, str | None] = {}
        """Those of the linked peers, by node."""

    def see(self, heads: Mapping[str, str | None]) -> bool:
        """Learn the heads of the linked peers and return whether that is news."""
        if heads == self.heads:
            return False
        for node in heads.keys() - self.heads.keys():
            self._retry.pop(node, None)
            self._reports.setdefault(node, PeerSync(node=node))
        self.heads = dict(heads)
        return True

    def willing(self, pulled: Mapping[str, str]) -> Mapping[str, str | None]:
        """Return the heads of those that need not be spared after a failure.

        What is being `pulled`, by node, is left out until it is here, and the next of that node.
        """
        now, coming = time.monotonic(), frozenset(pulled.values())
        return {
            node: head
            for node, head in self.heads.items()
            if self._retry.get(node, 0.0) <= now and node not in pulled and head not in coming
        }

    @property
    def fetched(self) -> frozenset[str]:
        """The heads that were pulled with all that belongs to them."""
        return self._fetched.intersection(head for head in self.heads.values() if head)

    def count_success(self, node: str, snapshot: str) -> None:
        """Note that a pull brought a snapshot."""
        self._failures.pop(node, None)
        self._retry.pop(node, None)
        self._fetched = self.fetched | {snapshot}
        self._count(node, "success")

    def count_failure(self, node: str, error: SidecarError) -> None:
        """Note that a pull failed."""
        self._failures[node] += 1
        self._retry[node] = time.monotonic() + self._pace.delay(self._failures[node] + 1, 0.0)
        self._count(node, "failure", error)

    def count_equal(self, head: str | None) -> None:
        """Note which peers have what this node has."""
        for node, theirs in self.heads.items():
            if theirs == head:
                self._count(node, "nothing")

    def forgive(self) -> None:
        """Try all again now."""
        self._retry.clear()

    def waits(self) -> list[float]:
        """Return the seconds until each of those that failed is tried again."""
        now = time.monotonic()
        return [retry - now for node, retry in self._retry.items() if node in self.heads]

    def report(self, head: str | None) -> tuple[PeerSync, ...]:
        """Return how their configurations stand to `head`."""
        return tuple(
            replace(report, in_sync=self._in_sync(node, head))
            for node, report in self._reports.items()
        )

    def _in_sync(self, node: str, head: str | None) -> bool | None:
        theirs = self.heads.get(node)
        if node not in self.heads or head is theirs is None:
            return None  # two nodes without a snapshot may well have different files
        return theirs == head

    def _count(self, node: str, result: str, error: SidecarError | None = None) -> None:
        before = self._reports.get(node, PeerSync(node=node))
        runs = Counter(before.runs)
        runs[result] += 1
        self._reports[node] = replace(
            before,
            runs=dict(runs),
            error=error.message if error else "",
            hint=error.hint if error else "",
            last_success=before.last_success if error else time.time(),
        )

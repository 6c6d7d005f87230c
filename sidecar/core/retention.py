"""Which snapshots are the newest, and which are kept with their files: one order for both."""

from collections.abc import Collection, Mapping
from itertools import combinations

from sidecar.core.graph import Graph
from sidecar.core.snapshot import Header


def graph_of(headers: Mapping[str, Header]) -> Graph:
    """Return the graph of the snapshots with these headers, by id."""
    return Graph({snapshot: header.parents for snapshot, header in headers.items()})


def newest_first(headers: Mapping[str, Header]) -> list[str]:
    """Return the ids by time; a clock that was wrong never puts a snapshot below its parents."""
    times: dict[str, float] = {}
    ranks: dict[str, tuple[float, int]] = {}
    for rank, snapshot in enumerate(graph_of(headers).oldest_first(headers)):
        header = headers[snapshot]
        before = (times[parent] for parent in header.parents if parent in times)
        times[snapshot] = max(header.time, *before, 0.0)
        ranks[snapshot] = times[snapshot], rank
    return sorted(ranks, key=lambda snapshot: ranks[snapshot], reverse=True)


def retained(headers: Mapping[str, Header], heads: Collection[str], most: int) -> frozenset[str]:
    """Return the snapshots that are kept with their files; the others are left as headers.

    They are the newest `most`, as `ha history` lists them, the heads, and what is needed to merge
    these: their merge bases.
    """
    graph = graph_of(headers)
    bases = (graph.merge_bases(*pair) for pair in combinations(sorted(heads), 2))
    kept = frozenset(heads).union(newest_first(headers)[:most], *bases)
    return kept & headers.keys()

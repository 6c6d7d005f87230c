"""Which snapshots are the newest, and which are kept with their files: one order for both."""

from collections.abc import Collection, Mapping

from sidecar.core.history.graph import Graph
from sidecar.core.history.merge import overrides
from sidecar.core.history.snapshot import Header


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

    They are the newest `most`, as `ha history` lists them, the heads and their merge bases. Of any
    merge among them that has overridden something, so are the parents and their merge bases: a
    person may want the other version.
    """
    graph = graph_of(headers)
    kept = {*heads, *newest_first(headers)[:most]} & headers.keys()
    merged = [headers[name].parents for name in kept if overrides(headers[name])]
    needed = (graph.all_merge_bases(some).union(some) for some in (heads, *merged))
    return frozenset(kept.union(*needed) & headers.keys())

"""Nodes with the same settings."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from tests.cluster.folder import Tree
from tests.cluster.host import Network
from tests.cluster.node import Node
from tests.cluster.wait import until

T = TypeVar("T")

NOT_SETTLED: Final = "not settled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Nodes that share virtual addresses, on hosts whose network was `before` without them."""

    nodes: tuple[Node, ...]
    vips: tuple[str, ...]
    before: tuple[Network, ...]
    preempts: bool = False
    """The first node takes the VIP back as soon as it can (the hand-written pair does)."""

    @property
    def a(self) -> Node:
        """The first node of HA_NODES."""
        return self.nodes[0]

    @property
    def b(self) -> Node:
        """The second one."""
        return self.nodes[1]

    @property
    def vip(self) -> str:
        """The first virtual address."""
        return self.vips[0]

    def holders(self, vip: str | None = None) -> list[Node]:
        """Return the nodes whose host has a virtual address on its NIC."""
        return [node for node in self.nodes if node.host.holds(vip or self.vip)]

    @property
    def master(self) -> Node:
        """The one node that holds the VIP."""
        return until("one node holds the VIP", self.holders, lambda nodes: len(nodes) == 1)[0]

    @property
    def backup(self) -> Node:
        """The first node that does not hold the VIP."""
        return self.others(self.master)[0]

    def others(self, node: Node) -> list[Node]:
        """Return all nodes but one."""
        return [other for other in self.nodes if other is not node]

    def move_to(self, node: Node) -> None:
        """Let a node hold the VIP, in a pair that is well."""
        if self.master is not node:
            self.master.ha("failover")
            self.wait_held_by(node)

    def up(self) -> None:
        """Start all nodes at once."""
        for node in self.nodes:
            node.own_files()
        _each(Node.up, self.nodes)

    def heal(self) -> None:
        """End everybody's troubles."""
        _each(Node.heal, self.nodes)

    def wait_held_by(self, node: Node, *, within: float = 10) -> None:
        """Wait until a node, and no other, holds every VIP."""
        self._wait_held(f"by {node} alone", lambda nodes: nodes == [node], within)

    def wait_settled(self, *, within: float = 10) -> None:
        """Wait until one node holds each VIP and the hosts' own network is as before."""
        self._wait_held("by one node", lambda nodes: len(nodes) == 1, within)
        for node, before in zip(self.nodes, self.before, strict=True):
            self._wait_as_before(node, before, within)

    def wait_well(self, *, within: float = 20) -> None:
        """Wait until the cluster is settled, all are up and each sees all others."""
        for node in self.nodes:
            node.wait_ready(within=within)
        self.wait_settled(within=within)
        for node in self.nodes:
            until(f"all is well on {node}", node.status, self._is_well, within=within)

    def wait_in_sync(self, *nodes: Node, within: float = 15) -> Tree:
        """Wait until nodes (all of them, if none is named) serve the same; return that tree.

        Nothing is left to accept, the snapshot is the same, and so is every byte on the disk.
        """
        asked = nodes or self.nodes
        return until(
            f"{', '.join(map(str, asked))} are in sync",
            lambda: _each(_served_tree, asked),
            lambda seen: all(one == seen[0] and one[0] != NOT_SETTLED for one in seen),
            within=within,
        )[0][1]

    def wait_linked(self, *, linked: bool = True) -> None:
        """Wait until all nodes see all others, or none sees any."""
        until(
            "the links are up" if linked else "the links are down",
            lambda: [peer["linked"] for node in self.nodes for peer in node.status()["peers"]],
            lambda links: all(links) if linked else not any(links),
            within=20,
        )

    def _wait_held(self, how: str, accept: Callable[[list[Node]], bool], within: float) -> None:
        for vip in self.vips:
            until(f"{vip} is held {how}", partial(self.holders, vip), accept, within=within)

    def _wait_as_before(self, node: Node, before: Network, within: float) -> None:
        until(
            f"addresses and routes of {node.host.name} are {before}",
            partial(node.host.network, without=frozenset(self.vips)),
            lambda network: network == before,
            within=within,
        )

    def _is_well(self, status: dict[str, Any]) -> bool:
        states = [peer["state"] for peer in status["peers"] if peer["linked"]]
        return (
            not status["problems"]
            and len(states) == len(self.nodes) - 1
            and all(state["eligible"] for state in states)
        )


def _each(action: Callable[[Node], T], nodes: Iterable[Node]) -> list[T]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(action, nodes))


def _served_tree(node: Node) -> tuple[str | None, Tree]:
    """Return the snapshot that a node serves, if that is all it knows of, and what lies there."""
    before, tree, sync = node.sync()["head"], node.tree(), node.sync()
    settled = not (sync["draft"] or sync["holds"] or sync["rejected"] or sync["head"] != before)
    return sync["head"] if settled else NOT_SETTLED, tree

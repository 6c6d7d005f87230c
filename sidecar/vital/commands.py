"""What a person may ask of a running node: failover, drain, resume."""

from typing import Final

from sidecar.core.report import NodeState, Role
from sidecar.core.settings import Prefer
from sidecar.core.vip.election import burden
from sidecar.errors import RefusedError
from sidecar.vital.node import Node

HANDOVER: Final = 4.0
"""Seconds that a peer has to take the VIP."""


class Commands:
    """Carries out the commands of the control socket on `node`."""

    def __init__(self, node: Node, prefer: Prefer) -> None:
        self._node = node
        self._prefer = prefer

    async def failover(self) -> str:
        """Give the VIP to a peer; return who has it. Raise RefusedError where that cannot work."""
        if self._prefer is Prefer.FIRST:
            raise RefusedError(
                "cannot fail over: HA_PREFER=first would bring the VIP back at once",
                "use: ha drain (and later: ha resume)",
            )
        self._must_be_master()
        own = burden(draining=False, soft=self._node.state().soft)
        if not any(
            peer.eligible and burden(draining=peer.draining, soft=peer.soft) <= own
            for peer in self._node.linked()
        ):
            raise RefusedError(
                "cannot fail over: no linked peer is eligible and as healthy as this node",
                "see: ha status",
            )
        self._node.handing_over = True
        try:
            self._node.decide()
            taker = await self._wait_for_taker()
        finally:
            self._node.handing_over = False
            self._node.decide()
        if taker is None:
            raise RefusedError(
                f"cannot fail over: no peer took the VIP within {HANDOVER:g} s; this node keeps it",
                "see the peer's log",
            )
        return f"{taker.node} is MASTER"

    async def drain(self) -> str:
        """Start maintenance; return who serves now."""
        await self._node.set_draining(True)
        if self._node.role is not Role.MASTER and not self._node.verdict.yielding:
            return "drained: this node serves only if no other can"
        taker = await self._wait_for_taker()
        if taker is None:
            return "drained, but this node keeps the VIP until a peer is eligible: see ha status"
        return f"drained: {taker.node} is MASTER"

    async def resume(self) -> str:
        """End maintenance."""
        if not self._node.draining:
            raise RefusedError("cannot resume: this node is not drained")
        await self._node.set_draining(False)
        return "resumed: this node is ready to serve"

    def _must_be_master(self) -> None:
        if self._node.role is Role.MASTER:
            return
        masters = [peer.node for peer in self._node.linked() if peer.role is Role.MASTER]
        raise RefusedError(
            f"cannot fail over: this node is {self._node.role}",
            f"run it on the MASTER: {masters[0]}" if masters else "see: ha status",
        )

    async def _wait_for_taker(self) -> NodeState | None:
        return await self._node.changes.wait_for(self._taker, within=HANDOVER)

    def _taker(self) -> NodeState | None:
        if self._node.role is Role.MASTER:
            return None
        return next((peer for peer in self._node.linked() if peer.role is Role.MASTER), None)

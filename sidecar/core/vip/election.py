"""Who should hold the VIP, from what this node knows of itself and of its linked peers.

keepalived decides the election (RFC 5798); this decides what keepalived is told, through two track
files:

- `health`: 1 makes the instance FAULT. A MASTER that goes to FAULT sends priority 0, and a peer
  serves within its skew time.
- `preference`: is added to the priority, so that of two nodes that come up the better one wins, and
  of two that serve the one that took over last.

Only a hard failure forbids serving whatever the peers do. Anything softer gives the VIP away only
to a linked peer that is *strictly* better off: the order is total, so two nodes never both give
way, and what fails everywhere moves nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.core.report import NodeState, Role

SOFT_PENALTY: Final = 100
DRAIN_PENALTY: Final = 150

TAKEOVER_BONUS: Final = 94
"""Makes every priority the highest one, 254: keepalived cuts off what is above."""

PATIENCE: Final = 3.0
"""Seconds to wait for a peer to take the VIP before taking it back."""

GRUDGE: Final = 60.0
"""Seconds during which peers that did not take the VIP are not asked again."""

RETURN_WITHIN: Final = 1.0
"""Seconds that keepalived has to leave FAULT after a handover."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the election needs to know of this node."""

    role: Role
    """That of keepalived: FAULT also while it gives the VIP away."""
    hard: tuple[str, ...] = ()
    soft: tuple[str, ...] = ()
    draining: bool = False
    aside: bool = False
    """It lost the arbitration of a split brain."""
    spurned: bool = False
    """It gave way lately and no peer came."""
    succeeds: bool = False
    """It took the VIP from a node that may not know it yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What keepalived is told, and why, in words."""

    health: int
    preference: int
    yielding: bool = False
    why: str = ""


def base_priority(index: int) -> int:
    """Return the VRRP priority of the node at `index` in HA_NODES.

    High, because a backup waits `(256 - priority) / 256` of an advert interval more than the
    others.
    """
    return max(240 - index, 160)


def burden(*, draining: bool, soft: Sequence[str]) -> tuple[bool, int]:
    """Return how badly off a node is; less is better. Draining is worse than any failing check."""
    return draining, len(soft)


def elect(own: Facts, peers: Sequence[NodeState]) -> Verdict:
    """Return what to tell keepalived, given the linked peers' latest states."""
    preference = _preference(own)
    if own.hard:
        return Verdict(health=1, preference=preference, why=f"failed: {', '.join(own.hard)}")
    if own.aside:
        return Verdict(health=1, preference=preference, why="split brain: a preferred node serves")
    mine = burden(draining=own.draining, soft=own.soft)
    better = [
        peer.node
        for peer in peers
        if peer.eligible and burden(draining=peer.draining, soft=peer.soft) < mine
    ]
    if better and not own.spurned and _has_something_to_give(own.role, peers):
        why = f"{_reason(own)}: gives the VIP to {' or '.join(better)}"
        return Verdict(health=1, preference=preference, yielding=True, why=why)
    return Verdict(health=0, preference=preference, why=_reason(own))


def _preference(own: Facts) -> int:
    if own.succeeds:
        return TAKEOVER_BONUS
    if own.draining:
        return -DRAIN_PENALTY
    return -SOFT_PENALTY if own.soft else 0


def _has_something_to_give(role: Role, peers: Sequence[NodeState]) -> bool:
    """Tell whether this node holds the VIP or has just let it go and nobody has it yet.

    A worse node that is BACKUP stays ready: it is the one that helps when the better one crashes.
    """
    if role is Role.FAULT:
        return all(peer.role is not Role.MASTER for peer in peers)
    return role is Role.MASTER


def _reason(own: Facts) -> str:
    reasons = [*(["draining"] if own.draining else []), *(f"{name} fails" for name in own.soft)]
    return ", ".join(reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long this node has been giving way; times are seconds of a monotonic clock."""

    since: float | None = None
    spurned_until: float = 0.0

    def after(self, now: float, *, yielding: bool) -> "Patience":
        """Return the patience after a verdict at `now`."""
        if not yielding:
            return Patience(spurned_until=self.spurned_until)
        since = now if self.since is None else self.since
        if now - since >= PATIENCE:
            return Patience(spurned_until=now + GRUDGE)
        return Patience(since=since, spurned_until=self.spurned_until)

    def spurned(self, now: float) -> bool:
        """Tell whether the peers are not to be asked now."""
        return now < self.spurned_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The role that the world sees: a handover goes through keepalived's FAULT, and is BACKUP.

    `yielded` is when (seconds of a monotonic clock) this node last gave the VIP away on purpose.
    """

    yielded: float | None = None

    def after(self, now: float, verdict: Verdict) -> "Standing":
        """Return the standing after a verdict at `now`."""
        if verdict.yielding:
            return Standing(yielded=now)
        return Standing() if verdict.health else self

    def role(self, now: float, keepalived: Role) -> Role:
        """Return the role to show for that of keepalived."""
        handed_over = self.yielded is not None and now - self.yielded < RETURN_WITHIN
        return Role.BACKUP if keepalived is Role.FAULT and handed_over else keepalived


@dataclass(frozen=True, slots=True, kw_only=True)
class Succession:
    """From whom this node took the VIP: `unaware` names who may still believe to have it.

    A frozen MASTER says nothing; it thaws as MASTER, without its address, and must not win then.
    """

    master: bool = False
    unaware: frozenset[str] = frozenset()

    def after(self, role: Role, masters: Collection[str]) -> "Succession":
        """Return the succession, given the peers that said last, however long ago, to be MASTER."""
        if role is not Role.MASTER:
            return Succession()
        unaware = frozenset(masters)
        return Succession(master=True, unaware=unaware & self.unaware if self.master else unaware)

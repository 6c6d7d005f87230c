"""What sync shows of itself, as plain values (part of the report and of the status API)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

RESULTS: Final = ("success", "failure", "nothing")
"""How a look at a peer's snapshot can end: it was fetched, it was not, it was here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Why a change is not taken over, with the way out."""

    reason: str
    """Stable, lower case with dashes: `draft`, `diverged`, `too-many-files`, …"""
    message: str
    hint: str = ""
    release: str = ""
    """Fingerprint of the tree that `ha sync release` lets pass; empty where that is not the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSync:
    """How a peer's configuration stands to ours."""

    node: str
    in_sync: bool | None = None
    """Same head on both; None while the link is down, or neither has one."""
    last_success: float = 0.0
    """Unix time of the last pull or comparison that worked."""
    runs: Mapping[str, int] = field(default_factory=dict)
    """Number of looks at its snapshot by result: one of `RESULTS`."""
    error: str = ""
    """Why the last pull failed."""
    hint: str = ""
    """What to do about that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """The state of sync on this node."""

    paths: tuple[str, ...]
    head: str | None = None
    draft: tuple[str, ...] = ()
    """Paths that differ from the head and are not accepted (yet)."""
    draft_error: str = ""
    """Why the draft is not accepted: nginx's own words."""
    rejected: Mapping[str, str] = field(default_factory=dict)
    """Snapshots of peers that this node refused, with nginx's own words, by id."""
    holds: tuple[Hold, ...] = ()
    peers: tuple[PeerSync, ...] = ()
    last_duration: float = 0.0
    """Seconds that the last full check took."""
    next_check: float = 0.0
    """Unix time of the next scheduled check; 0: none."""
    conflicts: int = 0

"""What sync shows of itself, as plain values (part of the report and of the status API)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

RESULTS: Final = ("success", "failure", "nothing")
"""How a look at a peer's snapshot can end: it was fetched, it was not, it was here."""

PATHS_SHOWN: Final = 100
"""Paths that are named: the report is made on the loop, and there may be thousands."""

SNAPSHOTS_SHOWN: Final = 20
SUMMARY_SHOWN: Final = 200
"""Characters of what a snapshot changed."""


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
class Progress:
    """How far a fetch is that is under way."""

    done: int
    """Files that have arrived, of those that were missing."""
    total: int

    def __str__(self) -> str:
        return f"{self.done:,} of {self.total:,} files"


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
    fetching: Progress | None = None
    """Of its snapshot; None while nothing is fetched from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotReport:
    """A snapshot of the folders, as people are told of it."""

    id: str
    time: float
    """Unix time, by the clock of the node that made it."""
    node: str = ""
    """Empty for a merge, which every node makes alike."""
    summary: str = ""
    """What it changed, cut to `SUMMARY_SHOWN` characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """The state of sync on this node."""

    paths: tuple[str, ...]
    head: str | None = None
    draft: tuple[str, ...] = ()
    """Paths that differ from the head and are not accepted (yet): the first `PATHS_SHOWN`."""
    draft_count: int = 0
    """How many there are in all."""
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
    """Paths that merges have overridden since the start."""
    overridden: tuple[str, ...] = ()
    """Those that nobody has resolved: the first `PATHS_SHOWN`."""
    overridden_count: int = 0
    """How many there are in all."""
    snapshots: tuple[SnapshotReport, ...] = ()
    """The newest `SNAPSHOTS_SHOWN`, newest first."""

"""What this node decided about snapshots, kept over restarts in `history/state.json`."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from sidecar.core.backoff import Backoff, Retry
from sidecar.core.plain import from_plain, to_plain
from sidecar.core.sync import Hold
from sidecar.host import files
from sidecar.sync.objects import MODE, keeping, set_aside

FORMAT: Final = 1

_LONGEST: Final = 1024 * 1024
"""Bytes of the file that are read."""

log = logging.getLogger("history")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A snapshot of a peer that this node could not use."""

    reason: str
    """nginx's own words."""
    failures: int = 1
    retry: float = 0.0
    """Unix time from which it is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """What lay in the folders when nginx started and must not be loaded: it became a snapshot."""

    snapshot: str
    reason: str
    message: str

    @property
    def hold(self) -> Hold:
        """Return it as people see it."""
        name = self.snapshot[:12]
        return Hold(
            reason=self.reason,
            message=f"{self.message}: nginx started with the last good state; what lay there is "
            f"kept as snapshot {name}",
            hint=f"see `ha diff {name}`; bring it back with `ha sync release`, "
            "or drop it with `ha rollback head`",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the file holds."""

    rejected: Mapping[str, Rejection] = field(default_factory=dict)
    """By id of the snapshot."""
    released: str = ""
    """Fingerprint of the tree that may pass the guards."""
    aside: tuple[Aside, ...] = ()
    """What was set aside when nginx started, the newest last."""


class Decisions:
    """Remembers what was rejected and what was released. Changes block.

    Given: the directory of the history, and the pace at which what was rejected is tried again.
    """

    def __init__(self, directory: Path, pace: Backoff) -> None:
        self._path = directory / "state.json"
        self._pace = pace
        self.state = read(directory)

    def reject(self, snapshot: str, reason: str, now: float) -> None:
        """Leave a snapshot alone for a while, longer each time."""
        before = self.state.rejected.get(snapshot)
        retry = Retry(failures=before.failures if before else 0).failed(self._pace, now)
        rejection = Rejection(reason=reason, failures=retry.failures, retry=retry.due)
        self._write(replace(self.state, rejected={**self.state.rejected, snapshot: rejection}))

    def forgive(self) -> None:
        """Try again what was rejected."""
        if self.state.rejected:
            self._write(replace(self.state, rejected={}))

    def release(self, fingerprint: str) -> None:
        """Let a tree pass the guards, once."""
        self._write(replace(self.state, released=fingerprint))

    def withdraw(self) -> None:
        """Let nothing pass any more: what was released is no longer there."""
        if self.state.released:
            self._write(replace(self.state, released=""))

    def retries(self, now: float) -> Mapping[str, float]:
        """Return when each rejected snapshot is tried again; a clock may have been ahead."""
        return {
            name: one.retry if one.retry <= now + self._pace.most else now
            for name, one in self.state.rejected.items()
        }

    def forget(self) -> None:
        """Start anew: the head is another now."""
        if self.state != (new := State(aside=self.state.aside)):
            self._write(new)

    def set_aside(self, aside: Aside) -> None:
        """Remember what a start had to set aside."""
        others = tuple(one for one in self.state.aside if one.snapshot != aside.snapshot)
        self._write(replace(self.state, aside=(*others, aside)))

    def drop_aside(self) -> None:
        """Forget what was set aside: a person has decided."""
        if self.state.aside:
            self._write(replace(self.state, aside=()))

    def _write(self, state: State) -> None:
        text = json.dumps({"format": FORMAT, **to_plain(state)}, indent=2, sort_keys=True)
        with keeping():
            files.write(self._path, f"{text}\n", mode=MODE, durable=True)
        self.state = state


def read(directory: Path) -> State:
    """Return what a node decided; nothing if that cannot be read."""
    path = directory / "state.json"
    try:
        body = json.loads(files.read(path, _LONGEST))
        if not isinstance(body, dict) or body.get("format") != FORMAT:
            raise ValueError(f"not of format {FORMAT}")
        return from_plain(State, body)
    except FileNotFoundError:
        return State()
    except (ValueError, RecursionError) as error:
        log.warning("cannot read %s: %s: rejected snapshots are tried again", path, error)
    except OSError as error:
        set_aside(path, error.strerror or str(error))
    return State()

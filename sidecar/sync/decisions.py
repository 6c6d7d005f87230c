"""What this node decided about snapshots, kept over restarts in `history/state.json`."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from msgspec import convert, to_builtins

from sidecar.core.backoff import Backoff, Retry
from sidecar.core.sync_report import Hold
from sidecar.host import files
from sidecar.sync.objects import MODE, keeping, set_aside

FORMAT: Final = 1

_LONGEST: Final = 1024 * 1024
"""Bytes of the file that are read."""

log = logging.getLogger("sync")


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
    """What was in the folders and gave way without a person's word: it is kept as a snapshot.

    It must not be loaded when nginx started, or its node had lost its history.
    """

    snapshot: str
    reason: str
    message: str

    @property
    def hold(self) -> Hold:
        """Return it as people see it."""
        name = self.snapshot[:12]
        return Hold(
            reason=self.reason,
            message=f"{self.message}; what was there is kept as snapshot {name}",
            hint=f"see `ha diff head {name}`; bring all of it back with `ha sync release`, a file "
            f"with `ha restore {name} PATH`, or drop it with `ha rollback head`",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A person has stopped sync on this node."""

    snapshot: str | None
    """The head at that moment, which the peers are told of until it ends."""

    @property
    def hold(self) -> Hold:
        """Return it as people see it."""
        return Hold(
            reason="held-by-hand",
            message="stopped by `ha sync hold`: this node takes nothing over, and its own changes "
            "reach no other node",
            hint="`ha sync release` ends that",
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
    cleared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Paths that a person took off the list of conflicts, by id of the merge."""
    held: Held | None = None


class Decisions:
    """Remembers what was rejected, released, cleared and held. Changes block.

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
        if self.state != (new := replace(self.state, rejected={}, released="")):
            self._write(new)

    def set_aside(self, aside: Aside) -> None:
        """Remember what a start had to set aside."""
        others = tuple(one for one in self.state.aside if one.snapshot != aside.snapshot)
        self._write(replace(self.state, aside=(*others, aside)))

    def drop_aside(self, snapshot: str | None = None) -> None:
        """Forget what was set aside, or one of it: a person has decided, or it did not go."""
        kept = tuple(one for one in self.state.aside if snapshot not in {None, one.snapshot})
        if self.state.aside != kept:
            self._write(replace(self.state, aside=kept))

    def clear(self, cleared: Mapping[str, tuple[str, ...]]) -> None:
        """Remember which conflicts a person took off the list, and no others."""
        self._write(replace(self.state, cleared=cleared))

    def hold(self, head: str | None) -> Held:
        """Remember that a person has stopped sync at a head, if it is not stopped already."""
        held = self.state.held
        if held is None:
            held = Held(snapshot=head)
            self._write(replace(self.state, held=held))
            log.warning("%s; %s", held.hold.message, held.hold.hint)
        return held

    def go_on(self) -> Held | None:
        """Forget that a person has stopped sync; return what that was."""
        held = self.state.held
        if held is not None:
            self._write(replace(self.state, held=None))
            log.info("sync resumes: the hold was released")
        return held

    def _write(self, state: State) -> None:
        text = json.dumps({"format": FORMAT, **to_builtins(state)}, indent=2, sort_keys=True)
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
        return convert(body, State)
    except FileNotFoundError:
        return State()
    except (ValueError, RecursionError) as error:
        log.warning("cannot read %s: %s: rejected snapshots are tried again", path, error)
    except OSError as error:
        set_aside(path, error.strerror or str(error))
    return State()

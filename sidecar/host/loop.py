"""An event loop that measures how long each of its turns keeps everything else waiting.

Heartbeat, election and lease share the loop: whatever blocks it delays them. The selector is where
a turn begins and ends, so the time between two of its calls is what the turn took: computing, and
waiting for a disk or for a lock. What a busy machine adds to that is no fault of ours, and the
kernel tells it apart (proc_pid_schedstat): for how long the thread could have run and had no
processor, and for how long another thread had none, for whose lock (the interpreter's) it may have
waited. The rest is ours. Where that is long, it is logged with the place where the turn was when it
became long, and the tests of whole nodes fail.
"""

import asyncio
import logging
import os
import re
import selectors
import signal
import sys
import threading
import time
import traceback
from bisect import bisect_left
from collections.abc import Callable
from contextvars import Context
from itertools import accumulate, islice
from pathlib import Path
from types import FrameType
from typing import Final, override

from sidecar.core.report import LoopReport

log = logging.getLogger("loop")

LONG: Final = 0.1
"""Seconds; what takes longer belongs into a worker thread."""

BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Upper bounds of the histogram, in seconds."""

SWITCH: Final = 0.0005
"""Seconds after which a thread that computes has to let the loop go on (Python's default: 0.005).

A turn waits that long at each of its system calls, and it has tens of them.
"""

LONGER: Final = 0.5
"""Seconds; a timer of more than that need not be exact."""

_OTHERS: Final = re.compile(
    r"\b_execute_child \(| < start \(\S*/threading\.py:|^_ask \(\S*/netlink\.py:"
)
"""Where the kernel lets this thread wait for others, which it does not tell apart: for a new
process or thread that waits for a processor until it runs (programs have to start from this
thread), and for whoever changes the network of any container of the machine: one lock is for all.
"""

_FRAMES: Final = 8
_LOOK_EVERY: Final = 0.25
"""Seconds between two looks at the other threads, which cost more than most turns."""
_NOTHING: Final = b"0 0 0"


class Turns:
    """How long the turns of a loop took, and which of them was the longest."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0
        self._long = 0
        self._longest = 0.0
        self._where = ""

    def report(self) -> LoopReport:
        """Return what was measured since the start."""
        bounds = (*map(str, BUCKETS), "+Inf")
        return LoopReport(
            turns=dict(zip(bounds, accumulate(self._counts), strict=True)),
            seconds=self._seconds,
            long=self._long,
            longest=self._longest,
            where=self._where,
        )

    def count(self, took: float) -> bool:
        """Note a turn of that many seconds; tell whether to look at it too."""
        self._counts[bisect_left(BUCKETS, took)] += 1
        self._seconds += took
        return took > min(self._longest, LONG)

    def look(self, own: float, where: str) -> None:
        """Note the seconds for which that turn did not wait for a processor, and its place."""
        if _OTHERS.search(where):
            own = min(own, LONG)
        if own > self._longest:
            self._longest, self._where = own, where
        if own > LONG:
            self._long += 1
            log.warning("the event loop was blocked for %.3f s: %s", own, where or "(unknown)")


def measured(turns: Turns) -> asyncio.AbstractEventLoop:
    """Return a loop whose turns are counted, and which no other thread keeps waiting for long.

    Make it in the main thread, as it uses SIGALRM.
    """
    sys.setswitchinterval(SWITCH)
    return _Loop(_Selector(turns))


class _Loop(asyncio.SelectorEventLoop):
    """A loop whose longer timers go off together: a turn costs more than most of what it does."""

    @override
    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: object,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        if when - self.time() > LONGER:
            when = round(when, 1)
        return super().call_at(when, callback, *args, context=context)


class _Selector(selectors.EpollSelector):
    """A selector that measures the time between its calls."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = turns
        self._begun: float | None = None
        self._where = ""
        self._threads = _Threads()
        signal.signal(signal.SIGALRM, self._on_alarm)

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._begun is not None:
            took = time.monotonic() - self._begun
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            if self._turns.count(took):
                self._turns.look(self._threads.own(took), self._where)
        try:
            return super().select(timeout)
        finally:
            self._where = ""
            self._threads.look()
            self._begun = time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, LONG)

    @override
    def close(self) -> None:
        # An alarm that outlives its handler would end the process.
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        self._threads.close()
        super().close()

    def _on_alarm(self, _number: int, frame: FrameType | None) -> None:
        """Remember where a turn is that has become long."""
        # Without the lines of code, which would be read from the disk meanwhile.
        frames = ((one.f_code, line) for one, line in traceback.walk_stack(frame))
        places = (f"{code.co_name} ({code.co_filename}:{line})" for code, line in frames)
        self._where = " < ".join(islice(places, _FRAMES))


class _Threads:
    """For how long this thread and the others of the process had a processor, and had to wait."""

    def __init__(self) -> None:
        self._files: dict[int, int] = {}
        self._this = threading.get_native_id()
        self._told = Path("/proc/thread-self/schedstat").exists()
        """This kernel tells it; else all waiting counts as ours."""
        self._before = _NOTHING
        self._others: dict[int, bytes] = {}
        self._looked = float("-inf")

    def look(self) -> None:
        """Note how it stands where a turn begins."""
        if not self._told:
            return
        self._before = self._read(self._this)
        if time.monotonic() - self._looked >= _LOOK_EVERY:
            self._look_at_others()

    def own(self, took: float) -> float:
        """Return the seconds of a turn without those in which somebody waited for a processor."""
        if not self._told:
            return took
        before = self._others
        self._look_at_others()
        ran, waited = _spent(self._before, self._read(self._this))
        others = (
            _spent(before.get(thread, _NOTHING), now)[1] for thread, now in self._others.items()
        )
        own = took - waited
        slept = own - ran  # the most that it can have waited for another thread
        return own - min(slept, max([0.0, *others]))

    def close(self) -> None:
        """Close all files."""
        while self._files:
            os.close(self._files.popitem()[1])

    def _look_at_others(self) -> None:
        threads = {thread.native_id or 0 for thread in threading.enumerate()} - {0}
        for gone in self._files.keys() - threads:
            os.close(self._files.pop(gone))
        self._others = {thread: self._read(thread) for thread in threads - {self._this}}
        self._looked = time.monotonic()

    def _read(self, thread: int) -> bytes:
        """Return what the kernel says of a thread now; parsed later, and only if need be."""
        try:
            if thread not in self._files:
                path = f"/proc/self/task/{thread}/schedstat"
                self._files[thread] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            return os.pread(self._files[thread], 64, 0)
        except OSError:  # it has ended
            if thread in self._files:
                os.close(self._files.pop(thread))
            return _NOTHING


def _spent(before: bytes, after: bytes) -> tuple[float, float]:
    """Return for how many seconds a thread ran, and waited for a processor."""
    ran, waited = (
        (int(then) - int(earlier)) / 1e9
        for earlier, then in zip(before.split()[:2], after.split()[:2], strict=True)
    )
    return ran, waited

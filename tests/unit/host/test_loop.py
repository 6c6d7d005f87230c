import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from sidecar.core.report import LoopReport
from sidecar.host.loop import Turns, measured


def run(work: Callable[[], Awaitable[None]]) -> LoopReport:
    turns = Turns()

    async def main() -> None:
        await work()
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=lambda: measured(turns)) as runner:
        runner.run(main())
    return turns.report()


async def block() -> None:
    time.sleep(0.2)  # noqa: ASYNC251 # the very thing that is measured


async def wait() -> None:
    await asyncio.sleep(0.2)


def test_a_turn_that_blocks_is_measured_and_its_place_is_known() -> None:
    report = run(block)
    assert (report.long, report.longest > 0.1) == (1, True)
    assert report.where.startswith("block (")
    assert report.turns["+Inf"] - report.turns["0.1"] == 1


@contextmanager
def thread(work: Callable[[threading.Event], object]) -> Iterator[None]:
    """Another thread that works meanwhile."""
    end = threading.Event()
    other = threading.Thread(target=work, args=(end,), daemon=True)
    other.start()
    try:
        yield
    finally:
        end.set()


@contextmanager
def hog(cpu: int) -> Iterator[None]:
    """A process that leaves a processor to nobody who is idle."""
    program = f"import os; os.sched_setaffinity(0, {{{cpu}}})\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        try:
            yield
        finally:
            process.kill()


@contextmanager
def starved_thread() -> Iterator[None]:
    """Another thread that computes whenever it gets a processor, which is seldom."""
    cpu, *others = sorted(os.sched_getaffinity(0))

    def compute(end: threading.Event) -> None:
        os.sched_setaffinity(threading.get_native_id(), {cpu})
        os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))
        while not end.is_set():
            pass

    with hog(cpu), thread(compute):
        os.sched_setaffinity(0, others)
        try:
            yield
        finally:
            os.sched_setaffinity(0, {cpu, *others})


two_processors = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="one thread has to run while another one does not"
)


@two_processors
def test_a_turn_that_waits_for_a_thread_without_a_processor_is_no_fault_of_ours() -> None:
    async def wait_for_the_lock() -> None:
        took, end = 0.0, time.monotonic() + 20
        while took < 0.15 and time.monotonic() < end:
            begun = time.monotonic()
            time.sleep(0.01)  # noqa: ASYNC251 # this is where the other thread gets it
            took = time.monotonic() - begun
            await asyncio.sleep(0)

    with starved_thread():
        report = run(wait_for_the_lock)
    assert report.turns["+Inf"] - report.turns["0.1"] > 0
    assert report.long == 0


@two_processors
def test_a_thread_that_waited_before_a_turn_excuses_nothing() -> None:
    turns = Turns()

    async def main() -> None:
        with starved_thread():
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)
        await block()
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=lambda: measured(turns)) as runner:
        runner.run(main())
    assert turns.report().long == 1
    assert turns.report().where.startswith("block (")


def test_a_thread_that_computes_and_lets_nobody_else_is_a_fault_of_ours() -> None:
    def compute(end: threading.Event) -> None:
        while not end.is_set():
            sum(range(20_000_000))

    async def wait_for_the_lock() -> None:
        for _ in range(3):
            time.sleep(0.01)  # noqa: ASYNC251 # as above
            await asyncio.sleep(0)

    with thread(compute):
        report = run(wait_for_the_lock)
    assert report.long > 0


def test_waiting_blocks_nothing() -> None:
    report = run(wait)
    assert report.longest < 0.1
    assert (report.long, report.where) == (0, "")
    assert 0 < report.seconds < 0.2


@pytest.mark.parametrize(
    ("where", "long"),
    [
        ("_execute_child (/usr/lib/python3.13/subprocess.py:1902) < run (/x:1)", 0),
        ("_ask (/opt/kiss-ha/sidecar/host/netlink.py:109) < change (/x:1)", 0),
        ("get_exec_path (<frozen os>:674) < _execute_child (/subprocess.py:1) < run (/x:1)", 0),
        (
            "wait (/x/threading.py:359) < start (/x/threading.py:981) < run (/x:1)",
            0,
        ),
        ("start (/x/service.py:1) < run (/x:1)", 1),
        ("", 1),
    ],
)
def test_waiting_for_a_new_process_or_thread_is_no_fault_of_ours(where: str, long: int) -> None:
    turns = Turns()
    assert turns.count(0.3)
    turns.look(0.3, where)
    report = turns.report()
    assert (report.long, report.turns["0.25"]) == (long, 0)


def test_no_alarm_outlives_the_loop() -> None:
    run(wait)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_longer_timers_go_off_together() -> None:
    async def set_timers() -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        short, longer = (loop.call_at(now + later, int).when() for later in (0.03, 1.0))
        assert (short, longer) == (now + 0.03, round(now + 1.0, 1))

    run(set_timers)

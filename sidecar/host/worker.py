"""One thread that does work in turn, and that may ask the loop for something meanwhile.

What touches a disk is written as a plain sequence and runs here, so nothing of it can block the
loop. What belongs to the loop (programs, sockets) is asked for with `ask`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any


class StoppedError(BaseException):
    """Nobody waits any more for the work that hears of this.

    No failure: whatever deals with those must let it pass.
    """


class Worker:
    """A thread with a name: `do` is for the loop, all else for what runs in the thread."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._job: _Job | None = None

    async def do[T](self, work: Callable[[], T]) -> T:
        """Do something after all that was to be done before, and return what comes of it.

        Who is cancelled waits for its end: work that has not begun is dropped, other work hears of
        it by StoppedError, at once where it waits for the loop.
        """
        job = _Job(asyncio.get_running_loop())
        begun = self._pool.submit(self._run, job, work)
        done = asyncio.wrap_future(begun)
        while not done.done():
            try:
                await asyncio.wait({done})
            except asyncio.CancelledError:
                begun.cancel()
                job.stop()
        try:
            result = done.result()
        except StoppedError:
            raise asyncio.CancelledError from None
        if job.stopped:
            raise asyncio.CancelledError
        return result

    def ask[T](self, wanted: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Have something done on the loop and return what comes of it, or raise StoppedError."""
        assert self._job is not None
        answer: Future[T] = Future()
        self._job.loop.call_soon_threadsafe(self._job.begin, wanted, answer)
        return answer.result()

    def call[T](self, function: Callable[[], T]) -> T:
        """Call a function on the loop and return what it returns, or raise StoppedError."""
        return self.ask(partial(_called, function))

    def tell(self, function: Callable[[], object]) -> None:
        """Call a function on the loop, soon, whether or not somebody waits for this work."""
        assert self._job is not None
        self._job.loop.call_soon_threadsafe(function)

    def check(self) -> None:
        """Raise StoppedError if nobody waits for this work any more."""
        if self._job is not None and self._job.stopped:
            raise StoppedError

    def _run[T](self, job: "_Job", work: Callable[[], T]) -> T:
        self._job = job
        try:
            self.check()
            return work()
        finally:
            self._job = None


class _Job:
    """What is being done for somebody on the loop, and what the loop does for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.stopped = False
        self._asked: asyncio.Task[Any] | None = None

    def begin[T](self, wanted: Callable[[], Coroutine[Any, Any, T]], answer: Future[T]) -> None:
        """Begin to do what the thread waits for."""
        if self.stopped:
            answer.set_exception(StoppedError())
            return
        self._asked = self.loop.create_task(wanted())
        self._asked.add_done_callback(partial(_answer, answer))

    def stop(self) -> None:
        """Let the thread know that nobody waits for it, at the latest when it asks again."""
        self.stopped = True
        if self._asked is not None:
            self._asked.cancel()


def _answer[T](answer: Future[T], task: asyncio.Task[T]) -> None:
    if task.cancelled():
        answer.set_exception(StoppedError())
    elif error := task.exception():
        answer.set_exception(error)
    else:
        answer.set_result(task.result())


async def _called[T](function: Callable[[], T]) -> T:
    return function()

import asyncio
import threading

import pytest

from sidecar.host.worker import StoppedError, Worker


@pytest.fixture
def worker() -> Worker:
    return Worker("test")


async def test_work_is_done_in_turn_in_one_other_thread(worker: Worker) -> None:
    done: list[int] = []

    def work(number: int) -> int:
        done.append(number)
        return threading.get_ident()

    threads = await asyncio.gather(*(worker.do(lambda n=n: work(n)) for n in range(5)))  # type: ignore[misc]
    assert done == [0, 1, 2, 3, 4]
    assert len(set(threads)) == 1
    assert threading.get_ident() not in threads


async def test_what_the_loop_is_asked_for_is_done_there_while_the_thread_waits(
    worker: Worker,
) -> None:
    async def answer() -> int:
        await asyncio.sleep(0)
        return threading.get_ident()

    def work() -> tuple[int, int]:
        return worker.ask(answer), worker.call(threading.get_ident)

    assert await worker.do(work) == (threading.get_ident(),) * 2


async def test_failures_of_either_side_reach_who_waits(worker: Worker) -> None:
    async def fail() -> None:
        raise ValueError("there")

    def work() -> None:
        try:
            worker.ask(fail)
        except ValueError as error:
            raise KeyError("here") from error

    with pytest.raises(KeyError, match="here"):
        await worker.do(work)


async def test_who_is_cancelled_waits_until_work_has_undone_what_it_began(worker: Worker) -> None:
    begun, said = asyncio.Event(), list[str]()

    async def forever() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            said.append("given up there")

    def work() -> None:
        try:
            worker.ask(forever)
        except BaseException:
            said.append("undone here")
            raise

    task = asyncio.create_task(worker.do(work))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert said == ["given up there", "undone here"]


async def test_work_that_nobody_waits_for_hears_of_it_when_it_asks_again(worker: Worker) -> None:
    begun, go, said = asyncio.Event(), threading.Event(), list[str]()

    def work() -> None:
        worker.tell(begun.set)
        go.wait()
        for asking in (worker.check, lambda: worker.call(lambda: None)):
            with pytest.raises(StoppedError):
                asking()
            said.append("stopped")

    task = asyncio.create_task(worker.do(work))
    await begun.wait()
    dropped = asyncio.create_task(worker.do(lambda: said.append("never")))
    await asyncio.sleep(0)
    dropped.cancel()
    task.cancel()
    await asyncio.wait({dropped})
    go.set()
    await asyncio.wait({task})
    assert task.cancelled()
    assert said == ["stopped", "stopped"]
    assert await worker.do(lambda: 1) == 1


async def test_a_failure_on_the_way_back_is_not_lost(worker: Worker) -> None:
    begun = asyncio.Event()

    async def forever() -> None:
        begun.set()
        await asyncio.Event().wait()

    def work() -> None:
        try:
            worker.ask(forever)
        finally:
            raise ValueError("cannot undo it")

    task = asyncio.create_task(worker.do(work))
    await begun.wait()
    task.cancel()
    with pytest.raises(ValueError, match="cannot undo it"):
        await task

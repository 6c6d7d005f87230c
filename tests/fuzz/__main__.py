"""`python -m tests.fuzz [--minutes 60 | --histories N] [--seed N]`: on all cores, until it fails.

A history follows from its number alone. It goes on from the number that a run says at its end.
Of each batch of histories of values some also happen on disks.
"""

import argparse
import logging
import multiprocessing
import os
import secrets
import sys
import time
from typing import Final

from tests.fuzz import disks, histories
from tests.fuzz.happening import shrink

BATCH: Final = 200
ON_DISKS: Final = 2
"""Of these as many happen on disks as well."""


def say(text: str) -> None:
    """Tell it at once."""
    print(text, flush=True)


def batch(first: int) -> int | None:
    """Run some histories; return the number of one that failed."""
    for number in range(first, first + ON_DISKS):
        if disks.run(disks.make(number)) is not None:
            return number
    for number in range(first, first + BATCH):
        if histories.run(histories.make(number)) is not None:
            return number
    return None


def tell(number: int) -> None:
    """Print the shortest history that fails as the one of that number does."""
    history, on_disks = histories.make(number), disks.make(number)
    if found := histories.run(history):
        say(f"make fuzz SEED={number} fails: {found}")
        short = shrink(history, lambda one: histories.run(one) is not None)
        say(f"{short}\n{histories.run(short)}")
    if found := disks.run(on_disks):
        say(f"make fuzz SEED={number} fails on disks: {found}")
        on_disks = shrink(on_disks, lambda one: disks.run(one) is not None)
        say(f"{on_disks}\n{disks.run(on_disks)}")


def main() -> int:
    """Run histories; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--histories", type=int, default=2**62)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9) * 10**6)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    say(f"make fuzz SEED={options.seed}")
    begun, told = time.monotonic(), 0.0
    first, next_one, took = options.seed, options.seed, 0.0

    def so_far() -> str:
        done = next_one - first
        return (
            f"{done:,} histories and {done // BATCH * ON_DISKS:,} on disks in {took:,.0f} s, "
            f"{done / took:,.0f} a second; go on with SEED={next_one}"
        )

    with multiprocessing.Pool(options.cores) as pool:
        numbers = range(first, first + options.histories, BATCH)
        for begin, failed in zip(numbers, pool.imap(batch, numbers), strict=True):
            next_one, took = begin + BATCH, time.monotonic() - begun
            if failed is not None:
                pool.terminate()
                tell(failed)
                return 1
            if took >= options.minutes * 60:
                pool.terminate()
                break
            if took - told >= 60:
                told = took
                say(so_far())
    say(so_far())
    return 0


if __name__ == "__main__":
    sys.exit(main())

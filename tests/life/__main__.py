"""`python -m tests.life [--minutes 60] [--seed N]`: rounds until the minutes are over.

What happens in a round follows from the seed; when exactly does not, so a failure may need a few
runs of `make life SEED=…` to come back.
"""

import argparse
import os
import secrets
import sys
import time

from tests.cluster.world import World
from tests.life.life import Life, plan


def say(text: str) -> None:
    """Tell it at once."""
    print(text, flush=True)


def live(life: Life, minutes: float) -> int:
    """Let rounds happen; return the exit code."""
    end = time.monotonic() + minutes * 60
    number = 0
    while time.monotonic() < end:
        number += 1
        try:
            say(f"round {number}: {life.round(number)}")
        except AssertionError as error:
            say(life.told())
            say(f"round {number} of SEED={life.seed}: {error}")
            return 1
    return 0


def main() -> int:
    """Live in a world of its own; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.life")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    options = parser.parse_args()
    say(f"make life SEED={options.seed} MINUTES={options.minutes:g}")
    world = World(f"kiss-ha-life-{os.getpid()}")
    try:
        world.up()
        cluster = world.cluster(plan())
        cluster.up()
        return live(Life.begun(cluster, options.seed), options.minutes)
    finally:
        world.down()


sys.exit(main())

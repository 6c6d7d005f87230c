"""`python -m tests.bench [failover] [sync]`: ours beside what people use instead; or both."""

import os
import sys
from typing import Final

from tests.bench import failover, sync
from tests.cluster.world import World

TABLES: Final = {"failover": failover.run, "sync": sync.run}


def main() -> int:
    """Measure in a world of its own, print the tables and return the exit code."""
    chosen = sys.argv[1:] or list(TABLES)
    if not set(chosen) <= TABLES.keys():
        print("usage: python -m tests.bench [failover] [sync]", file=sys.stderr)
        return 64
    world = World(f"kiss-ha-bench-{os.getpid()}")
    try:
        world.up()
        for name in chosen:
            print(TABLES[name](world), flush=True)
    finally:
        world.down()
    return 0


sys.exit(main())

"""`python -m tests.bench [failover] [sync] [containers] [soak]`: ours beside what others use.

Without a word it is the first three. The soak takes options: `soak --minutes 10 --advert 30ms`.
"""

import argparse
import os
import sys
from typing import Final

from tests.bench import containers, failover, soak, sync
from tests.cluster.world import World

TABLES: Final = {"failover": failover.run, "sync": sync.run, "containers": containers.run}


def main() -> int:
    """Measure in a world of its own, print the tables and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("what", nargs="*", choices=[*TABLES, "soak"], default=[*TABLES])
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--advert", default="100ms")
    parser.add_argument("--hogs", type=int, default=16)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--builds", type=int, default=0)
    parser.add_argument("--memory", default="")
    options = vars(parser.parse_args())
    chosen = options.pop("what")
    if tables := [TABLES[name] for name in chosen if name in TABLES]:
        world = World(f"kiss-ha-bench-{os.getpid()}")
        try:
            world.up()
            for measure in tables:
                print(measure(world), flush=True)
        finally:
            world.down()
    if "soak" in chosen:
        print(soak.run(soak.Soak(**options)), flush=True)
    return 0


sys.exit(main())

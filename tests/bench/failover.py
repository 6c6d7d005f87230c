"""What a failover costs: ours beside the hand-written pair."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import partial
from statistics import median
from typing import Final

from tests.bench import measure
from tests.bench.handwritten import NGINX, handwritten
from tests.bench.print import say, table
from tests.bench.work import repeat
from tests.cluster.cluster import Cluster
from tests.cluster.node import Plan
from tests.cluster.world import World

HEAD: Final = ("", "kiss-ha", "by hand", "ratio", "aim")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the table; `ratio` is theirs to ours for times, ours to theirs for rates."""

    what: str
    ours: str
    theirs: str = "-"
    ratio: str = ""
    aim: str = ""


@contextmanager
def ours(world: World) -> Iterator[Cluster]:
    """Give our pair, with the site as a user would write it."""
    with world.cleared():
        cluster = world.cluster(Plan())
        cluster.up()
        cluster.wait_well(within=30)
        yield cluster


@contextmanager
def theirs(world: World) -> Iterator[Cluster]:
    """Give the hand-written pair."""
    with world.cleared():
        yield handwritten(world)


def gaps(what: str, own: Sequence[float], other: Sequence[float], aim: str) -> Row:
    """Return the row of a gap that was measured several times."""
    return Row(
        what=what,
        ours=shown(own),
        theirs=shown(other),
        ratio=f"{median(other) / median(own):.0f}x",
        aim=aim,
    )


def shown(seconds: Sequence[float]) -> str:
    """Return the median and the worst of several times."""
    return f"{median(seconds) * 1000:.0f} ms (max {max(seconds) * 1000:.0f})"


def run(world: World) -> str:
    """Measure everything and return the table."""
    say("the hand-written pair: crash, handover, dead nginx")
    with theirs(world) as cluster:
        client = world.client
        crash = repeat(partial(measure.crash, cluster, client))
        planned = repeat(partial(measure.stop, cluster, client))
        dead = repeat(partial(measure.dead_nginx, cluster, client))
    say("our pair: crash, handover, dead nginx, idle, throughput")
    with ours(world) as cluster:
        idle = measure.idle(cluster.backup)
        own_crash = repeat(partial(measure.crash, cluster, client))
        own_cold = repeat(partial(measure.crash_met_cold, cluster, client))
        own_stop = repeat(partial(measure.stop, cluster, client))
        own_planned = repeat(partial(measure.failover, cluster, client))
        own_dead = repeat(partial(measure.dead_nginx, cluster, client))
    with world.cleared():
        through_vip, plain = measure.throughput(world, NGINX)
    rows = [
        gaps("crash of the MASTER", own_crash, crash, "≤ 350 ms"),
        Row(what="crash, met with no ARP entry", ours=shown(own_cold), aim="≤ 400 ms, max 1.2 s"),
        gaps("planned: ha failover, docker stop", own_planned, planned, "≤ 50 ms"),
        gaps("planned: docker stop, both", own_stop, planned, "≤ 50 ms"),
        gaps("nginx killed", own_dead, dead, "≤ 100 ms"),
        Row(what="resident memory of our Python", ours=f"{idle.memory:.0f} MB", aim="≤ 60 MB"),
        Row(what="idle CPU of our Python", ours=f"{idle.cpu:.2f} % of a core", aim="≤ 1 %"),
        Row(
            what="requests per second, plain nginx beside",
            ours=f"{through_vip:.0f}",
            theirs=f"{plain:.0f}",
            ratio=f"{through_vip / plain:.2f}x",
            aim="≥ 0.98x",
        ),
    ]
    return table(HEAD, map(astuple, rows))

"""Several pairs side by side on a busy machine: does the VIP ever move with nothing done to it?"""

import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from tests.bench.print import say, table
from tests.cluster import images
from tests.cluster.client import Load
from tests.cluster.cluster import Cluster
from tests.cluster.host import Host, Watch, now
from tests.cluster.node import Plan
from tests.cluster.wait import until
from tests.cluster.world import World

RATE: Final = 20
"""Requests per second on each pair."""

_HOG: Final = "while :; do :; done"
_WRITER: Final = """
while :; do
    dd if=/dev/zero of="/nodes/soak.$$" bs=64k count=64 conv=fsync 2>/dev/null
done
"""

_BUILD: Final = f"""
FROM {images.TEST}
RUN cp --recursive /usr/lib /tmp/copy && python -m compileall -q /tmp/copy
"""

HEAD: Final = ("pair", "moves", "two holders", "requests", "failed", "longest gap", "late adverts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """How long and how hard."""

    pairs: int = 4
    minutes: float = 10
    advert: str = "100ms"
    hogs: int = 16
    writers: int = 4
    builds: int = 0
    """`docker build`s that run all the time."""
    memory: str = ""
    """Limit of each sidecar, as `docker update --memory` takes it: less than it would like."""


@dataclass(slots=True, kw_only=True)
class Seen:
    """What was seen of one pair; `late` is (when, seconds since the one before, our own delay)."""

    world: World
    cluster: Cluster
    late: list[tuple[float, float, float]] = field(default_factory=list)
    nics: list[Watch] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)

    def row(self, number: int) -> Sequence[str]:
        """Return the line of the table."""
        (served,) = [load.served for load in self.loads]
        shared = overlaps([holdings(nic, self.cluster.vip) for nic in self.nics])
        moves = sum(len(nic.arrivals.get(self.cluster.vip, [])) for nic in self.nics) - 1
        late = max((gap for _, gap, _ in self.late), default=0.0)
        return (
            str(number),
            str(moves),
            f"{len(shared)} (max {max(shared) * 1000:.0f} ms)" if shared else "never",
            str(len(served.requests)),
            str(len(served.failures)),
            f"{served.gap * 1000:.0f} ms",
            f"{len(self.late)} (max {late * 1000:.0f} ms)",
        )


def run(soak: Soak) -> str:
    """Soak and return the table."""
    with ExitStack() as stack:
        seen = [stack.enter_context(_pair(soak, number)) for number in range(soak.pairs)]
        _disturb(stack, soak, seen)
        say(f"{soak}: all is up")
        with ExitStack() as watching:
            for one in seen:
                _watch(watching, one, _seconds(soak.advert) * 1.5)
            begun = now()
            until("the soak is over", lambda: now() - begun > soak.minutes * 60, within=1e9)
        for one in seen:
            for when, gap, delay in one.late:
                say(f"{one.world.project} {when:.3f}: {gap:.3f} s without an advert ({delay:.3f})")
            for node in one.cluster.nodes:
                lines = node.logs(tail=100000).splitlines()
                for line in lines:
                    if "timer expired" in line or "keepalived: (VI_1)" in line:
                        say(f"{one.world.project} {node} {line}")
        return table(HEAD, [one.row(number) for number, one in enumerate(seen, start=1)])


def _disturb(stack: ExitStack, soak: Soak, seen: Sequence[Seen]) -> None:
    """Take processors, disk and memory away from the pairs."""
    for number in range(soak.hogs):
        stack.enter_context(_program(seen[number % len(seen)].world, _HOG))
    for number in range(soak.writers):
        stack.enter_context(_program(seen[number % len(seen)].world, _WRITER))
    for _ in range(soak.builds):
        stack.enter_context(_builds())
    for node in [node for one in seen for node in one.cluster.nodes if soak.memory]:
        limits = ("--memory", soak.memory, "--memory-swap", "-1")
        subprocess.run(["docker", "update", *limits, node.name], check=True)


@contextmanager
def _pair(soak: Soak, number: int) -> Iterator[Seen]:
    world = World(f"kiss-ha-soak-{os.getpid()}-{number}")
    try:
        world.up()
        cluster = world.cluster(Plan(environment={"HA_ADVERT_INTERVAL": soak.advert}))
        cluster.up()
        for node in cluster.nodes:
            node.wait_ready(within=120)
        cluster.wait_settled(within=60)
        yield Seen(world=world, cluster=cluster)
    finally:
        world.down()


def _watch(stack: ExitStack, seen: Seen, late: float) -> None:
    cluster = seen.cluster
    with ThreadPoolExecutor() as pool:
        watches = pool.map(lambda node: node.host.watch(), cluster.nodes)
    seen.nics = [stack.enter_context(watch) for watch in watches]
    seen.loads = [stack.enter_context(seen.world.client.load(cluster.vip, rate=RATE))]
    master, backup = cluster.master, cluster.backup
    stack.enter_context(_adverts(backup.host, master.address, late, seen.late))


@contextmanager
def _adverts(
    host: Host, sender: str, late: float, found: list[tuple[float, float, float]]
) -> Iterator[None]:
    """Record the adverts that come late, on the host that hears them."""
    command = ["python3", "-u", "/tests/cluster/adverts.py", sender, str(late)]
    process = subprocess.Popen(
        ["docker", "exec", "--interactive", host.container, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    output = process.stdout
    assert output is not None
    assert process.stdin is not None

    def read() -> None:
        output.readline()
        for line in output:
            when, gap, delay = map(float, line.split())
            found.append((when, gap, delay))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        reader.join(timeout=10)
        output.close()


@contextmanager
def _program(world: World, script: str) -> Iterator[None]:
    """Run a shell script beside a world's nodes until the end of a `with` block."""
    machine = world.hosts[0].machine
    # It ends when its standard input does, so that nothing is left behind.
    guarded = f"({script}) & trap 'kill $!; rm -f /nodes/soak.*' EXIT; cat"
    process = subprocess.Popen(
        ["docker", "exec", "--interactive", machine, "sh", "-c", guarded], stdin=subprocess.PIPE
    )
    try:
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=60)


@contextmanager
def _builds() -> Iterator[None]:
    """Build an image again and again until the end of a `with` block."""
    over = threading.Event()
    command = ["docker", "build", "--quiet", "--no-cache", "-"]

    def build() -> None:
        while not over.is_set():
            subprocess.run(command, input=_BUILD.encode(), stdout=subprocess.DEVNULL, check=True)

    with ThreadPoolExecutor() as pool:
        done = pool.submit(build)
        try:
            yield
        finally:
            over.set()
    done.result()


def holdings(nic: Watch, vip: str) -> list[tuple[float, float]]:
    """Return when a host held an address, from and to."""
    events = [(at, True) for at in nic.arrivals.get(vip, [])]
    events += [(at, False) for at in nic.departures.get(vip, [])]
    events.sort()
    events.append((now(), False))
    return [(start, end) for (start, came), (end, _) in pairwise(events) if came]


def overlaps(holders: Sequence[Sequence[tuple[float, float]]]) -> list[float]:
    """Return for how many seconds two hosts held it, each time."""
    first, second = holders
    shared = [min(a[1], b[1]) - max(a[0], b[0]) for a in first for b in second]
    return [seconds for seconds in shared if seconds > 0]


def _seconds(advert: str) -> float:
    return float(advert.removesuffix("ms")) / 1000

"""What sync costs: ours beside the programs that people use to keep two directories the same."""

from collections.abc import Sequence
from functools import partial
from statistics import median
from typing import Final

from tests.bench import work
from tests.bench.ours import accept, check, first_sync, full_check, ours
from tests.bench.peers import PROGRAMS, Program, last_words, plain, start
from tests.bench.print import say, table
from tests.cluster.cluster import Cluster
from tests.cluster.world import World

SECONDS: Final = 60.0
"""How long each of the other programs may take for its edits."""

FIRST: Final = 2_000
AIMS: Final = {"check": "≤ 1.3x", "accept": "≤ 0.5 s"}
SIZES: Final = (200, FIRST, 20_000)

NOTES: Final = """\
live: for kiss-ha, the peer's nginx answers with the new content, which both nodes have tested;
for the others, the file lies on the peer's disk: nginx has not even been told.
check: nothing has changed. For kiss-ha, `ha sync`: every file's inode, size and times against what
is known, and the peer's head; rsync -a compares sizes and times, over an ssh connection that is
kept. full check: every file is read and hashed, by kiss-ha as on schedule, by rsync as --checksum.
first sync: for kiss-ha, from the link of an empty node until its nginx has tested and loaded all.
accept: from the watcher's word to the new snapshot, with nginx -t and a verified reload; soak 0."""

Line = tuple[str, ...]
Times = dict[str, list[float]]


def run(world: World) -> str:
    """Measure everything and return the tables."""
    lines: list[Line] = []
    with ours(world, "2s") as pair:
        say("sync: our pair, soak 2 s")
        lines.append(_edits("kiss-ha, soak 2s", pair, work.served(pair.b), aim="p50 ≤ 4 s"))
    with ours(world, "0s") as pair:
        say("sync: our pair, soak 0: edits, checks, first sync")
        lines.append(_edits("kiss-ha, soak 0", pair, work.served(pair.b), aim="p50 ≤ 1.5 s"))
        own = _our_checks(pair)
    lines += [_other(world, program) for program in PROGRAMS]
    say("sync: rsync, checks")
    with world.cleared():
        others = _rsync_checks(plain(world))
    return "\n\n".join(
        (
            table(("edit → live on the peer", "p50", "p95", "edits", "aim or reason"), lines),
            table(
                ("", "kiss-ha", "rsync -a", "ratio", "aim"),
                [_row(what, times, others.get(what, [])) for what, times in own.items()],
            ),
            NOTES,
        )
    )


def _edits(name: str, pair: Cluster, seen: str, *, aim: str = "", seconds: float = 600) -> Line:
    work.edit(pair.a, seen)  # whoever starts needs longer
    took = [one.took for one in work.edits(pair.a, seen, seconds=seconds)]
    p50, p95 = (f"{work.percentile(took, percent):.2f} s" for percent in (50, 95))
    say(f"  {name}: p50 {p50}, p95 {p95}")
    return name, p50, p95, str(len(took)), aim


def _other(world: World, program: Program) -> Line:
    """Measure one of the other programs; one that does not work says why."""
    say(f"sync: {program.name}")
    with world.cleared():
        pair = plain(world)
        start(program, pair)
        try:
            return _edits(program.name, pair, work.arrived(pair.b), seconds=SECONDS)
        except AssertionError:
            return program.name, "-", "-", "0", f"does not run here: {last_words(pair.a)}"


def _our_checks(pair: Cluster) -> Times:
    """Return times by what was done, with more and more files."""
    found: dict[str, list[float]] = {}
    for size in SIZES:
        work.fill(pair.a, size)
        pair.wait_in_sync(within=300)
        found[f"check of {size:,}"] = work.repeat(partial(check, pair.a))
        found[f"full check of {size:,}"] = work.repeat(partial(full_check, pair.a))
        if size == FIRST:
            found[f"first sync of {size:,}"] = work.repeat(partial(first_sync, pair), 3)
    found[f"accept one edit in {size:,}"] = work.repeat(partial(accept, pair))
    return found


def _rsync_checks(pair: Cluster) -> Times:
    """Return times of `rsync -a` by what was done."""
    target = f"root@{pair.b.address}:/etc/nginx/"
    copy = partial(work.timed, pair.a, "rsync", "-a")
    found: dict[str, list[float]] = {}
    for size in SIZES:
        work.fill(pair.a, size)
        if size == FIRST:
            found[f"first sync of {size:,}"] = work.repeat(partial(_first, pair), 3)
        copy("/etc/nginx/", target)
        found[f"check of {size:,}"] = work.repeat(partial(copy, "/etc/nginx/", target))
        full = partial(copy, "--checksum", "/etc/nginx/", target)
        found[f"full check of {size:,}"] = work.repeat(full)
    return found


def _first(pair: Cluster) -> float:
    pair.b.inside.sh("find . -mindepth 1 -delete")
    return work.timed(pair.a, "rsync", "-a", "/etc/nginx/", f"root@{pair.b.address}:/etc/nginx/")


def _row(what: str, own: Sequence[float], other: Sequence[float]) -> Line:
    ratio = f"{median(own) / median(other):.2f}x" if other else ""
    aim = AIMS.get(what.partition(" ")[0], "")
    return what, _shown(own), _shown(other), ratio, aim


def _shown(seconds: Sequence[float]) -> str:
    """Return the median and the worst of several times."""
    return f"{median(seconds):.2f} s (max {max(seconds):.2f})" if seconds else "-"

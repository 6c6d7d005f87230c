"""What the programs have to do: one file edited, many files made; and how it is timed."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from tests.cluster.host import now, run
from tests.cluster.node import Node

EDITS: Final = 30
PATIENCE: Final = 30.0
FILE: Final = "conf.d/bench.conf"

_EDIT: Final = Path(__file__).with_name("edit.py").read_text()
_FILL: Final = """
import pathlib, random, sys
root = pathlib.Path("bulk")
for number in range(int(sys.argv[1]) // 100):
    directory = root / f"{number:03}"
    if directory.exists():
        continue
    directory.mkdir(parents=True)
    for file in range(98):
        (directory / f"{file:02}.txt").write_bytes(random.randbytes(1024))
"""
_TIME: Final = """
import subprocess, sys, time
begun = time.monotonic()
subprocess.run(sys.argv[1:], check=True)
print(time.monotonic() - begun)
"""

_marks: Iterator[str] = (f"mark-{number:06}" for number in count())


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """An edit: when it was made (unix time), and after how many seconds it was there."""

    wrote: float
    took: float


def edit(maker: Node, seen: str) -> Edit:
    """Edit the site on one node and wait until its new word is in `seen` (see edit.py)."""
    mark = next(_marks)
    site = f'server {{ listen 80; server_name bench.test; return 200 "{mark}"; }}\n'
    file = f"/nodes/{maker.directory.name}/nginx/{FILE}"
    said = run(
        maker.host.machine, "python3", "-c", _EDIT, file, site, seen, mark, str(PATIENCE)
    ).stdout
    wrote, took = map(float, said.split())
    return Edit(wrote=wrote, took=took)


def edits(maker: Node, seen: str, *, most: int = EDITS, seconds: float = 300) -> list[Edit]:
    """Edit again and again, a second after the last was seen; stop after `seconds`."""
    begun, found = now(), [edit(maker, seen)]
    while len(found) < most and now() - begun < seconds:
        # Whoever looks once a second must not always be met at the same moment.
        time.sleep(random.uniform(1, 1.5))
        found.append(edit(maker, seen))
    return found


def arrived(peer: Node) -> str:
    """Return what `edit` looks at for the file on a node's disk."""
    return f"/nodes/{peer.directory.name}/nginx/{FILE}"


def served(peer: Node) -> str:
    """Return what `edit` looks at for the site as a node's nginx serves it."""
    return peer.address


def fill(node: Node, paths: int) -> None:
    """Have about so many files and directories of 1 kB, in directories of 98."""
    node.folder.python(_FILL, str(paths))


def timed(node: Node, *command: str) -> float:
    """Return the seconds that a command takes inside a container."""
    return float(run(node.name, "python3", "-c", _TIME, *command).stdout)


def repeat(once: Callable[[], float], rounds: int = 5) -> list[float]:
    """Measure several times."""
    return [once() for _ in range(rounds)]


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * int(percent) // 100) - 1)]

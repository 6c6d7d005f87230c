"""Random histories by number: each is made of nothing but its number, so it can be had again."""

import random
from dataclasses import dataclass
from typing import Final

from tests.fuzz.happening import Happening
from tests.fuzz.world import World

WEIGHTS: Final[dict[str, int]] = {
    "edit": 12,
    "delete": 4,
    "link": 2,
    "swap": 2,
    "rename": 4,
    "chmod": 2,
    "revert": 4,
    "clash": 3,
    "fit": 2,
    "accept": 24,
    "pull": 20,
    "settle": 6,
    "forgive": 1,
    "cut": 4,
    "mend": 4,
    "restart": 4,
    "half": 2,
    "torn": 2,
    "wipe": 2,
    "prune": 1,
    "backup": 4,
    "restore": 4,
    "clone": 1,
    "unmount": 1,
    "mount": 2,
    "hold": 1,
    "release": 3,
    "rollback": 2,
    "back": 2,
    "adopt": 2,
}
LONGEST: Final = 40
"""Operations of a history, at most."""

_WHAT: Final = tuple(WEIGHTS)
_WEIGHT: Final = tuple(WEIGHTS.values())
_ALIKE: Final = 0.7
"""Share of the clusters whose nodes begin with the same files."""


@dataclass(frozen=True, kw_only=True)
class History(Happening):
    """What happens to nodes as values, and with what they begin."""

    starts: tuple[int, ...]
    joined: bool
    """They have one history at the beginning."""

    def __str__(self) -> str:
        lines = (f"  {' '.join(map(str, operation))}" for operation in self.operations)
        how = "joined" if self.joined else "apart"
        start = f"{self.size} nodes that begin {how} with {self.starts}"
        return "\n".join((start, *lines))


def make(number: int) -> History:
    """Return the history of that number."""
    dice = random.Random(number)
    size = dice.randint(2, 5)
    alike = dice.random() < _ALIKE
    joined = alike and dice.random() < _ALIKE
    starts = (0,) * size if alike else tuple(dice.randrange(4) for _ in range(size))
    operations = [
        (when, what, dice.randrange(size), dice.randrange(60), dice.randrange(60))
        for when, what in enumerate(dice.choices(_WHAT, _WEIGHT, k=dice.randint(1, LONGEST)), 1)
    ]
    return History(size=size, starts=starts, joined=joined, operations=tuple(operations))


def run(history: History) -> str | None:
    """Let a history happen; return what was wrong, None if nothing was."""
    world = World.begun(history.size, history.starts, joined=history.joined)
    try:
        for operation in history.operations:
            world.do(operation)
        world.end()
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not happen
        return f"{type(error).__name__}: {error}"
    return None

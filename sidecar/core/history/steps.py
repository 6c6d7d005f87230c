"""From one tree to another, as an ordered list of small steps.

Each step changes one path by one rename or one chmod, so it is done or it is not, and the way back
is the same list made for the opposite direction.
"""

from dataclasses import dataclass
from enum import StrEnum

from sidecar.core.history.change import different
from sidecar.core.history.snapshot import Entry, Kind, Tree, parents_of


class Action(StrEnum):
    """What a step does."""

    PUT = "put"
    """Place what is new, or exchange it for what was there."""
    MODE = "mode"
    """Change permissions only."""
    REMOVE = "remove"
    """Take away what was there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of one path."""

    action: Action
    path: str
    before: Entry | None
    after: Entry | None


def difference(old: Tree, new: Tree) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """Return only those entries of both trees that the other one has not, or has differently."""
    paths = different(old, new)
    return (
        {path: old[path] for path in paths & old.keys()},
        {path: new[path] for path in paths & new.keys()},
    )


def check_places(tree: Tree, roots: tuple[str, ...]) -> None:
    """Raise ValueError for a path that does not lie in a directory of the tree.

    No manifest that was decoded has one; this is the last door before files are written.
    """
    for path in tree:
        parent = path.rpartition("/")[0]
        place = tree.get(parent)
        if parent not in roots and (place is None or place.kind is not Kind.DIRECTORY):
            raise ValueError(f"{path!r} does not lie in a directory of the set")


def plan(old: Tree, new: Tree) -> tuple[Step, ...]:
    """Return the steps from `old` to `new`, which may be whole trees or only their difference.

    What must give way to a file comes first; then new directories, files, links, modes, deletes,
    and directories that are no longer there.
    """
    steps = [_step(path, old.get(path), new.get(path)) for path in different(old, new)]
    return tuple(sorted(steps, key=lambda step: _rank(step, _gives_way(step, new))))


def _step(path: str, before: Entry | None, after: Entry | None) -> Step:
    if after is None:
        action = Action.REMOVE
    elif before is not None and _same_content(before, after):
        action = Action.MODE
    else:
        action = Action.PUT
    return Step(action=action, path=path, before=before, after=after)


def _same_content(one: Entry, other: Entry) -> bool:
    return (one.kind, one.digest, one.target) == (other.kind, other.digest, other.target)


def _gives_way(step: Step, new: Tree) -> bool:
    """Tell whether a path goes because its directory becomes something else."""
    return step.action is Action.REMOVE and any(
        parent in new and new[parent].kind is not Kind.DIRECTORY for parent in parents_of(step.path)
    )


def _rank(step: Step, gives_way: bool) -> tuple[int, tuple[int, str]]:
    """Return where a step stands: its phase, then parents first or, where things go, last."""
    down = (step.path.count("/"), step.path)
    up = (-step.path.count("/"), step.path)
    match step:
        case Step(action=Action.REMOVE) if gives_way:
            return 0, up
        case Step(action=Action.PUT, after=Entry(kind=Kind.DIRECTORY)):
            return 1, down
        case Step(action=Action.PUT, after=Entry(kind=Kind.FILE)):
            return 2, down
        case Step(action=Action.PUT):
            return 3, down
        case Step(action=Action.MODE):
            return 4, up
        case Step(before=Entry(kind=Kind.DIRECTORY)):
            return 6, up
        case _:
            return 5, up


def anchor(path: str, old: Tree, new: Tree, roots: tuple[str, ...]) -> str:
    """Return the nearest directory above `path` that is there before, after and in between.

    There a temporary file is out of the way of every step. The trees may be a difference: what
    neither of them has did not change.
    """
    for parent in parents_of(path):
        if parent in roots or _stays(old.get(parent), new.get(parent)):
            return parent
    raise ValueError(f"{path!r} lies below none of {', '.join(roots)}")


def _stays(before: Entry | None, after: Entry | None) -> bool:
    if before is None or after is None:
        return before is after
    return before.kind is after.kind is Kind.DIRECTORY

"""What a person does to the files of a node."""

from sidecar.core.history.snapshot import Entry, Kind, parents_of
from tests.unit.trees import ROOT, directory


def put(live: dict[str, Entry], name: str, entry: Entry | None) -> None:
    """Write something, or nothing, in place of all that lies at and below a path."""
    path = f"{ROOT}/{name}"
    for gone in [one for one in live if f"{one}/".startswith(f"{path}/")]:
        del live[gone]
    if entry is None:
        return
    for parent in parents_of(path):
        if parent == ROOT:
            break
        if (place := live.get(parent)) is None or place.kind is not Kind.DIRECTORY:
            live[parent] = directory()
    live[path] = entry


def move(live: dict[str, Entry], source: str, target: str) -> None:
    """Rename what lies at a path, with all below it; nothing happens where that cannot be."""
    old, new = f"{ROOT}/{source}", f"{ROOT}/{target}"
    if old not in live or f"{new}/".startswith(f"{old}/") or f"{old}/".startswith(f"{new}/"):
        return
    moved = {one: live[one] for one in live if f"{one}/".startswith(f"{old}/")}
    put(live, source, None)
    put(live, target, moved[old])
    live.update({new + path.removeprefix(old): entry for path, entry in moved.items()})

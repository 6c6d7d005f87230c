"""Changes that are more likely an accident than meant: they wait until a person says that they are.

An unmounted volume looks like a set whose files were all deleted, an empty conf.d passes
`nginx -t`, and a restored backup looks like an edit of all that was newer. A guard looks at a draft
before it is accepted. What a peer has accepted has passed the guard there, or a person's word,
which counts everywhere.
"""

from collections.abc import Container, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from sidecar.core.history.change import Change, ChangeKind, changes
from sidecar.core.history.manifest import fingerprint
from sidecar.core.history.snapshot import Kind, Tree
from sidecar.core.sync_report import Hold

MOST_DELETED: Final = 10
"""Files that may go at once, however few there are."""

MOST_SHARE: Final = 0.2
"""Share of all files that may go at once, however many they are."""

LEAST_BACK: Final = 2
"""Changes back to what was there before that look like a backup; a single one may be typed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a node asks of a configuration."""

    roots: tuple[str, ...]
    """HA_SYNC_PATHS, sorted."""
    needed: AbstractSet[str] = frozenset()
    """Paths without which nothing serves: nginx.conf, where nginx is ours."""
    stock: AbstractSet[str] = frozenset()
    """Digests of all files that images ever brought: nobody wrote them, so they yield to others."""


def is_stock(tree: Tree, rules: Rules) -> bool:
    """Tell whether nobody has written anything in a tree: no files, or stock files only."""
    return not _written(tree, rules)


def guard(before: Tree, after: Tree, rules: Rules, released: str = "") -> Hold | None:
    """Return why `after` must not follow `before` without a person's word; None if it may.

    A set became empty (each root counts for itself: it may be a volume of its own), a needed file
    is gone, or many files are. Stock files may go. `released` is the fingerprint of the tree that a
    person has let pass.
    """
    if before.keys() <= after.keys():
        return None
    reason = _emptied(before, after, rules) or _gone(before, after, rules)
    reason = reason or _mass_delete(before, after, rules)
    if reason is None:
        return None
    release = fingerprint(after)
    if release == released:
        return None
    code, message = reason
    return Hold(
        reason=code,
        message=message,
        hint="if it is intended, approve it with `ha sync release`; "
        "if not, mount what is missing, or put it back with `ha rollback head`",
        release=release,
    )


def is_restored(
    draft: Sequence[Change], live: Tree, before: Container[str], past: Iterable[Tree]
) -> bool:
    """Tell whether a draft brings back so much of the past that somebody may have restored it.

    `before` is the fingerprints of the trees that came before, `past` those that are still here,
    read no further than needed. Files that are gone, and were not there once either, count only
    beside one that is as it was, or where all is as it was: each file was once not there. A
    directory counts for nothing.
    """
    left = {change.path: change.new for change in draft if _is_written(change)}
    if len(left) < LEAST_BACK:
        return False
    if fingerprint(live) in before:
        return True
    back: set[str] = set()
    for tree in past:
        back.update(path for path, entry in left.items() if tree.get(path) == entry)
        if len(back) >= LEAST_BACK and any(left[path] is not None for path in back):
            return True
    return False


def _is_written(change: Change) -> bool:
    entry = change.new or change.old
    return entry is not None and entry.kind is not Kind.DIRECTORY


def _emptied(before: Tree, after: Tree, rules: Rules) -> tuple[str, str] | None:
    had = _written(before, rules)
    has = [path for path, entry in after.items() if entry.kind is not Kind.DIRECTORY]
    for root in rules.roots:
        below = f"{root}/"
        if any(path.startswith(below) for path in had) and not any(
            path.startswith(below) for path in has
        ):
            return "emptied", f"no file is left below {root}: was a volume not mounted?"
    return None


def _gone(before: Tree, after: Tree, rules: Rules) -> tuple[str, str] | None:
    for path in sorted(rules.needed):
        if path in before and path not in after:
            return "nginx-conf-gone", f"{path} is gone; nginx could not start without it"
    return None


def _mass_delete(before: Tree, after: Tree, rules: Rules) -> tuple[str, str] | None:
    had = _written(before, rules)
    if len(had - after.keys()) <= MOST_DELETED:
        return None
    gone = [
        change.path
        for change in changes(before, after)
        if change.kind is ChangeKind.DELETED and change.path in had
    ]
    if len(gone) > MOST_DELETED and len(gone) > MOST_SHARE * len(had):
        return "mass-delete", f"{len(gone)} of {len(had)} files were deleted at once"
    return None


def _written(tree: Tree, rules: Rules) -> frozenset[str]:
    """Return the paths of all files and links but the stock ones."""
    return frozenset(
        path
        for path, entry in tree.items()
        if entry.kind is not Kind.DIRECTORY and entry.digest not in rules.stock
    )

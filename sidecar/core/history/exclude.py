"""Which paths sync leaves alone, by simple exclude patterns as in rsync(1).

    *.swp           a name, in any directory
    /conf.d/old     a leading slash: from the root of the set on
    sites/*.bak     a slash inside: the last parts of a path
    cache/          a slash at the end: directories only; what lies in them is left alone too

`*` stands for anything but a slash, `**` also for slashes, `?` for one character, `[a-z]` and
`[!a-z]` for one of a range; a backslash takes the special meaning off the next character.
rsync's `+`, `-`, `!` and `***` have no meaning of their own here.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Final

from sidecar.core.history.snapshot import Kind, Tree, parents_of

DEFAULT_EXCLUDE: Final = (
    "*.swp",  # vim
    "*.swo",
    "*.swx",
    "4913",  # vim tries whether it can write
    "*~",  # emacs, nano, joe
    ".#*",
    "#*#",
    ".*.kate-swp",
    ".goutputstream-*",  # GNOME
    "*.tmp",
    ".git/",
    ".DS_Store",
    ".nfs*",  # open files that were removed
    ".fuse_hidden*",
    "lost+found/",
)
"""What editors and file systems drop beside files."""

TEMPORARY: Final = ".ha-"
"""Begins the names of our own temporary files in the tree: they are never scanned."""

Excluded = Callable[[str, bool], bool]
"""(path from the root on, with a leading slash; is it a directory) → is it left alone."""


@cache
def excluder(patterns: tuple[str, ...]) -> Excluded:
    """Return the function that tells which paths the patterns exclude.

    It looks at one path; what lies in an excluded directory is for the caller to skip.
    """
    known = [f"{TEMPORARY}*", *(pattern for pattern in patterns if pattern.rstrip("/"))]
    names = _by_kind(pattern for pattern in known if "/" not in pattern.rstrip("/"))
    paths = _by_kind(pattern for pattern in known if "/" in pattern.rstrip("/"))

    def excluded(path: str, directory: bool) -> bool:
        name, whole = names[directory], paths[directory]
        if name is not None and name.fullmatch(path, path.rindex("/") + 1):
            return True
        return whole is not None and whole.fullmatch(path) is not None

    return excluded


def left_out(tree: Tree, roots: Sequence[str], excluded: Excluded) -> frozenset[str]:
    """Return the paths of a tree below `roots` that are excluded, or lie in what is."""
    found: set[str] = set()
    for path in sorted(tree):  # a directory comes before what lies in it
        root = next(root for root in roots if path.startswith(f"{root}/"))
        is_directory = tree[path].kind is Kind.DIRECTORY
        if path.rpartition("/")[0] in found or excluded(path.removeprefix(root), is_directory):
            found.add(path)
    return frozenset(found)


def leave_alone(wanted: Tree, base: Tree, roots: Sequence[str], excluded: Excluded) -> Tree:
    """Return `wanted` with what is excluded as `base` has it, and the directories it lies in.

    Where something else is wanted in place of such a directory, there is no room for it.
    """
    out = left_out(wanted, roots, excluded)
    result = {path: entry for path, entry in wanted.items() if path not in out}
    for path in sorted(left_out(base, roots, excluded)):
        way = [parent for parent in parents_of(path) if parent in base]
        if all(result.get(parent, base[parent]).kind is Kind.DIRECTORY for parent in way):
            result = {parent: base[parent] for parent in (*way, path)} | result
    return result


def _by_kind(patterns: Iterable[str]) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
    """Return the expression for what is no directory, and that for directories."""
    known = list(patterns)
    return _join(pattern for pattern in known if not pattern.endswith("/")), _join(known)


def _join(patterns: Iterable[str]) -> re.Pattern[str] | None:
    expressions = [_expression(pattern.rstrip("/")) for pattern in patterns]
    return re.compile("|".join(expressions), re.DOTALL) if expressions else None


def _expression(pattern: str) -> str:
    if pattern.startswith("/"):
        return f"/{_translate(pattern[1:])}"
    return f".*/{_translate(pattern)}" if "/" in pattern else _translate(pattern)


def _translate(pattern: str) -> str:
    return "".join(_token(match) for match in _TOKENS.finditer(pattern))


_TOKENS: Final = re.compile(
    r"(?P<deep>\*\*+)|(?P<star>\*)|(?P<one>\?)"
    r"|\[(?P<not>[!^]?)(?P<set>\]?[^\]]*)\]"
    r"|\\(?P<quoted>.)|(?P<plain>.)",
    re.DOTALL,
)


def _token(match: re.Match[str]) -> str:
    match match.lastgroup:
        case "deep":
            return ".*"
        case "star":
            return "[^/]*"
        case "one":
            return "[^/]"
        case "set":
            inside = "".join(_members(match["set"]))
            return f"(?!/)[{'^' if match['not'] else ''}{inside}]"
        case _:
            return re.escape(match["quoted"] or match["plain"])


def _members(text: str) -> Iterator[str]:
    """Yield what stands between brackets; a dash means a range, everything else itself."""
    for one in text:
        yield one if one == "-" else re.escape(one)

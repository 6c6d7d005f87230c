"""Trees on the disk, told in a few words, and back."""

import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path

from sidecar.core.history.snapshot import Tree
from sidecar.sync.scan import Scan, scan

Spec = Mapping[str, str | tuple[str, int] | None]
"""By relative path: the content of a file, with its mode; "-> target" for a link; None for a
directory.
"""


def make(root: Path, spec: Spec) -> None:
    """Make what `spec` says below an empty `root`."""
    root.mkdir(exist_ok=True)
    for name, what in spec.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        match what:
            case None:
                path.mkdir(exist_ok=True)
            case (content, mode):
                path.write_text(content)
                path.chmod(mode)
            case str() if what.startswith("-> "):
                path.symlink_to(what.removeprefix("-> "))
            case str():
                path.write_text(what)


def told(root: Path) -> dict[str, tuple[str, int]]:
    """Return everything below `root`, also what a scan would leave alone."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            what = f"-> {path.readlink()}"
        else:
            what = "/" if path.is_dir() else path.read_bytes().decode("latin-1")
        found[str(path.relative_to(root))] = what, status.st_mode & 0o7777
    return found


def look(*roots: Path) -> Tree:
    """Return the tree as a scan that reads everything finds it."""
    result = scanned(*roots)
    assert result.usable, result
    return result.tree


def scanned(*roots: Path) -> Scan:
    return scan([str(root) for root in roots], known={})


def later() -> int:
    """Return a time at which nothing that was just made is young any more."""
    return time.time_ns() + 10_000_000_000


def same_inode_rewrite(path: Path, content: str) -> None:
    """Change a file in place, and put its times back as `touch -r` would."""
    status = path.stat()
    path.write_text(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

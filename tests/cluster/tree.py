"""Tells what lies below a directory; runs inside a container.

Usage: tree.py DIRECTORY. Prints a JSON object: path -> [kind, mode, content, owner]; the content is
the SHA-256 of a file or the target of a link.
"""

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress

KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFLNK: "link",
    stat.S_IFDIR: "directory",
}


def main(root: str) -> None:
    """Print all that lies below `root`."""
    found = {}
    for path in below(root):
        with suppress(FileNotFoundError):  # gone since
            found[path[len(root) + 1 :]] = entry(path)
    sys.stdout.write(json.dumps(found))


def below(directory: str) -> Iterator[str]:
    """Give every path below a directory."""
    for item in os.scandir(directory):
        yield item.path
        if item.is_dir(follow_symlinks=False):
            yield from below(item.path)


def entry(path: str) -> tuple[str, int, str, int]:
    """Return what lies at a path."""
    status = os.lstat(path)
    kind = KINDS.get(stat.S_IFMT(status.st_mode), "special")
    content = ""
    if kind == "file":
        with open(path, "rb") as file:  # noqa: PTH123 # the path may not be UTF-8
            content = hashlib.file_digest(file, "sha256").hexdigest()
    elif kind == "link":
        content = os.readlink(path)  # noqa: PTH115 # as above
    mode = 0 if kind == "link" else stat.S_IMODE(status.st_mode)
    return kind, mode, content, status.st_uid


main(sys.argv[1])

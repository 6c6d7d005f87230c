"""Files that are either the old or the new one, never half of one."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from sidecar.core.exclude import TEMPORARY


def write(path: Path, content: str | bytes, *, mode: int = 0o644, durable: bool = False) -> bool:
    """Replace `path` by `content` in one step and return whether that changed anything.

    With `durable` it survives a power loss (fsync of the file and its directory).
    """
    data = content.encode() if isinstance(content, str) else content
    with suppress(FileNotFoundError):
        if path.read_bytes() == data and path.stat().st_mode & 0o7777 == mode:
            return False
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_directory(path.parent)
    return True


def remove(path: Path, *, durable: bool = False) -> bool:
    """Remove a file and return whether it was there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    if durable:
        sync_directory(path.parent)
    return True


def sync_directory(directory: Path) -> None:
    """Make sure that what was created, renamed or removed in a directory stays so."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

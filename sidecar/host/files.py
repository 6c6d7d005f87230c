"""Files that are either the old or the new one, never half of one."""

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import BufferedReader
from pathlib import Path

from sidecar.core.history.exclude import TEMPORARY
from sidecar.host.flush import flush


def write(path: Path, content: str | bytes, *, mode: int = 0o644, durable: bool = False) -> bool:
    """Replace `path` by `content` in one step and return whether that changed anything.

    With `durable` it survives a power loss (fsync of the file and its directory).
    """
    data = content.encode() if isinstance(content, str) else content
    if _has(path, data, mode):
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


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading; never follow a link, never wait for a fifo."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read(path: Path, most: int) -> bytes:
    """Return the content of a regular file; raise OSError where it has more than `most` bytes."""
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"more than {most} bytes", str(path))
    return content


def make_directory(place: Path) -> None:
    """Make a directory for root only; what else has its name is moved aside."""
    if os.path.lexists(place) and not place.is_dir():
        move_aside(place, place.with_name(f"{place.name}.damaged"))
    place.mkdir(mode=0o700, parents=True, exist_ok=True)


def move_aside(path: Path, target: Path) -> None:
    """Move whatever lies at `path` to `target`, in place of what lies there."""
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    elif os.path.lexists(target):
        target.unlink()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.rename(target)


def remove(path: Path, *, durable: bool = False) -> bool:
    """Remove a file, or whatever has its name, and return whether it was there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except IsADirectoryError:
        shutil.rmtree(path)
    if durable:
        sync_directory(path.parent)
    return True


def sync_directory(directory: Path) -> None:
    """Make sure that what was created, renamed or removed in a directory stays so."""
    with _opened(directory) as descriptor:
        os.fsync(descriptor)


def sync_all(written: Sequence[Path]) -> None:
    """Make sure that regular files survive a power loss as they are; raise OSError if it fails."""
    flush([partial(_sync, path) for path in written], _each({path.parent for path in written}))


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _each(directories: Iterable[Path]) -> Iterator[int]:
    for directory in directories:
        with _opened(directory) as descriptor:
            yield descriptor


def _sync(path: Path) -> None:
    with open_regular(path) as file:
        os.fsync(file.fileno())


def _has(path: Path, data: bytes, mode: int) -> bool:
    """Tell whether exactly that lies at a path; what cannot be read is something else."""
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
            same = (stat.S_IMODE(status.st_mode), status.st_size) == (mode, len(data))
            return same and file.read() == data
    except OSError:
        return False

"""Contents of files, each named by its own SHA-256.

A name that is the hash of what it names makes torn reads, resumed transfers and bad disks visible,
and the same content is kept once.
"""

import errno
import hashlib
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from sidecar.core.digest import is_id
from sidecar.core.history.snapshot import MAX_BYTES
from sidecar.errors import MachineError, RefusedError
from sidecar.host import files

MODE: Final = 0o600
"""Mode of all files of the history: among them are private keys."""

OWN_FILES: Final = frozenset({"head", "version", "state.json"})
"""Files that lie in the directory of the history itself."""

DAMAGE: Final = frozenset(
    {
        *(errno.EINVAL, errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.EFBIG),
        *(errno.EIO, errno.EACCES, errno.EPERM, errno.EBADMSG, errno.EUCLEAN),
    }
)
"""What tells that a file itself is bad: no regular one, or the disk cannot read it. Not so where
this machine is short of something, e.g. of descriptors.
"""

log = logging.getLogger("history")

_CHUNK: Final = 1024 * 1024
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@contextmanager
def keeping() -> Iterator[None]:
    """Turn a failed write into an error with a way out."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise MachineError(
                "cannot keep history: no space left on the volume of /var/lib/ha",
                "make room there, or lower HA_SYNC_KEEP; what is served stays as it is",
            ) from error
        raise MachineError(
            f"cannot keep history: {error.strerror or error}: {error.filename or '/var/lib/ha'}",
            "/var/lib/ha must be a volume that the container can write to",
        ) from error


@contextmanager
def reading() -> Iterator[None]:
    """Turn a failed read into an error with a way out."""
    try:
        yield
    except OSError as error:
        raise MachineError(
            f"cannot read the history: {error.strerror or error}: {error.filename or ''}",
            "look at the disk that holds the volume of /var/lib/ha; it is tried again",
        ) from error


def set_aside(path: Path, why: str) -> None:
    """Take a damaged file of the history out of use; a person may still want to look at it."""
    place = path if path.name in OWN_FILES else path.parent
    damaged = place.parent / "damaged"
    try:
        if damaged.exists() and not damaged.is_dir():
            damaged.unlink()
        files.move_aside(path, damaged / path.name)
    except FileNotFoundError:
        return
    except OSError as error:
        log.error("%s is damaged (%s) and cannot be moved: %s", path, why, error.strerror)  # noqa: TRY400 - its text says it all
        return
    log.error("%s is damaged (%s): moved to %s and treated as missing", path, why, damaged)


class Objects:
    """A directory of objects. All methods block: call them in a thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, source: Path | bytes) -> str:
        """Keep a copy of a regular file or of bytes and return its digest; see `put_all`."""
        (digest,) = self.put_all([source])
        return digest

    def put_all(self, sources: Iterable[Path | bytes]) -> tuple[str, ...]:
        """Keep copies of regular files or of bytes and return their digests.

        Raise OSError where a source cannot be read (it vanished, it is a link, it grew beyond what
        a set may hold), SidecarError where a copy cannot be kept. They are found again after a
        power loss once `sync` has returned.
        """
        with self._aside() as place:
            copies = [
                (place / str(number), *_copy(source, place / str(number)))
                for number, source in enumerate(sources)
            ]
            self._take_in(copies)
        return tuple(digest for _, digest, _ in copies)

    def has(self, digest: str, size: int | None = None) -> bool:
        """Tell whether an object is here, with `size` bytes.

        Where the size differs the hash decides: a damaged object is set aside; one that is right
        stays, and who gave the size was wrong.
        """
        with reading():
            try:
                found = self._path(digest).lstat()
            except FileNotFoundError:
                return False
        if stat.S_ISREG(found.st_mode) and size in {None, found.st_size}:
            return True
        self.verify(digest)
        return False

    def open(self, digest: str) -> BinaryIO:
        """Open an object for reading; its content is not verified."""
        path = self._path(digest)
        with reading():
            try:
                return files.open_regular(path)
            except FileNotFoundError:
                raise _missing(digest) from None
            except OSError as error:
                if error.errno not in DAMAGE:
                    raise
                set_aside(path, error.strerror or str(error))
                raise _missing(digest) from error

    def read(self, digest: str) -> bytes:
        """Return the verified content of an object."""
        with self.open(digest) as file:
            content = file.read()
        if hashlib.sha256(content).hexdigest() != digest:
            set_aside(self._path(digest), "its content has another hash")
            raise _missing(digest)
        return content

    def verify(self, digest: str) -> bool:
        """Tell whether an object is here and undamaged; a damaged one is set aside."""
        path = self._path(digest)
        try:
            with files.open_regular(path) as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return False
        except OSError as error:
            with reading():
                if error.errno not in DAMAGE:
                    raise
            set_aside(path, error.strerror or str(error))
            return False
        if found != digest:
            set_aside(path, "its content has another hash")
        return found == digest

    def adopt(self, fetched: Iterable[Path]) -> frozenset[str]:
        """Move fetched files here and return their names; remove what is not what its name says."""
        right = []
        with keeping():
            for file in fetched:
                if is_id(file.name) and (size := _size_of_proven(file)) is not None:
                    right.append((file, file.name, size))
                else:
                    log.warning("a peer sent something else as object %r: removed", file.name)
                    file.unlink()
        self._take_in(right)
        return frozenset(digest for _, digest, _ in right)

    def prune(self, needed: Collection[str], *, before: float) -> None:
        """Remove what is neither needed nor younger than `before` (unix time).

        What is younger may belong to a snapshot that is just being made.
        """
        with keeping():
            remove_old(self._directory, keep=needed, before=before)

    def digests(self) -> list[str]:
        """Return the digests of all objects."""
        with reading():
            return sorted(filter(is_id, os.listdir(self._directory)))  # noqa: PTH208 - names only

    def absent(self, digests: Iterable[str]) -> frozenset[str]:
        """Return which objects are not here."""
        with keeping():
            with os.scandir(self._directory) as entries:
                here = {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
            return frozenset(digests) - here

    def sync(self) -> None:
        """Make sure that all objects are found again after a power loss."""
        with keeping():
            files.sync_directory(self._directory)

    def _take_in(self, verified: Sequence[tuple[Path, str, int]]) -> None:
        """Move files here, given with digest and size; of those that are here, renew the age."""
        new = []
        with keeping():
            for file, digest, size in verified:
                if self.has(digest, size) and self._renew(digest):
                    file.unlink()
                else:
                    new.append((file, self._path(digest)))
            move_in(new)

    def _renew(self, digest: str) -> bool:
        """Make an object young, so that it is not pruned now; tell whether it was not just so."""
        try:
            os.utime(self._path(digest))
        except FileNotFoundError:
            return False
        return True

    def _path(self, digest: str) -> Path:
        if not is_id(digest):
            raise ValueError(f"{digest!r} is not a digest")
        return self._directory / digest

    @contextmanager
    def _aside(self) -> Iterator[Path]:
        """Yield a new directory on the same file system that is gone at the end."""
        with keeping():
            place = Path(tempfile.mkdtemp(dir=self._directory, prefix=".new-"))
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)  # `prune` tries it again


def move_in(moves: Sequence[tuple[Path, Path]]) -> None:
    """Move files to their places in the history, in order, once all of them are on the disk.

    Their new names are not, until the directory is synced.
    """
    files.sync_all([file for file, _ in moves])
    for file, target in moves:
        file.replace(target)


def make_ours(descriptor: int) -> None:
    """Give a fetched file our mode, and the age of a new one."""
    os.fchmod(descriptor, MODE)
    os.utime(descriptor)


def remove_old(directory: Path, *, keep: Collection[str], before: float) -> None:
    """Remove what has no name in `keep` and is older than `before` (unix time)."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name in keep or entry.stat(follow_symlinks=False).st_mtime >= before:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                Path(entry.path).unlink(missing_ok=True)


def _copy(source: Path | bytes, target: Path) -> tuple[str, int]:
    """Copy to a new file and return the SHA-256 and the number of bytes."""
    content, size = hashlib.sha256(), 0
    origin = BytesIO(source) if isinstance(source, bytes) else files.open_regular(source)
    with origin, _written(target) as copy:
        while chunk := origin.read(_CHUNK):
            content.update(chunk)
            size += len(chunk)
            if size > MAX_BYTES:
                raise OSError(errno.EFBIG, f"more than {MAX_BYTES} bytes", str(source))
            with keeping():
                copy.write(chunk)
    return content.hexdigest(), size


@contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file; what fails where it is closed is told as a failed write."""
    with keeping():
        file = os.fdopen(os.open(path, _CREATE, MODE), "wb")
    try:
        yield file
    finally:
        with keeping():
            file.close()


def _size_of_proven(file: Path) -> int | None:
    """Return the size of a fetched file, as ours, if it has the content that its name says."""
    try:
        with files.open_regular(file) as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != file.name:
                return None
            make_ours(content.fileno())
            return os.fstat(content.fileno()).st_size
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EINVAL, errno.ENXIO}:
            return None
        raise


def _missing(digest: str) -> RefusedError:
    return RefusedError(
        f"cannot read object {digest[:12]}: it is not in the history",
        "it is fetched again from the peers, where they have it",
    )

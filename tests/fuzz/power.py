"""A power that fails at any access to a disk: from then on nothing reaches it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_ACCESS = frozenset(
    {
        *("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate"),
        *("os.link", "os.symlink", "os.utime", "os.listdir", "os.scandir", "shutil.rmtree"),
    }
)


class CrashError(BaseException):
    """The power has failed."""


class _Power:
    """What is left until it fails; audit hooks (PEP 578) cannot be removed, so there is one."""

    left: int | None = None
    """Accesses; None while it does not fail."""
    hooked = False


@contextmanager
def failing(after: int) -> Iterator[None]:
    """Let the power fail after so many accesses, and be back at the end.

    What cleans up meanwhile fails as well, as it does where no process is left.
    """
    if not _Power.hooked:
        _Power.hooked = True
        sys.addaudithook(_hook)
    _Power.left = after
    try:
        yield
    finally:
        _Power.left = None


def _hook(event: str, _arguments: object) -> None:
    if _Power.left is not None and event in _ACCESS:
        if _Power.left <= 0:
            raise CrashError
        _Power.left -= 1

"""What serving asks of others: of the running nginx, and of the owner of the synced folders."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from sidecar.core.history.snapshot import Tree
from sidecar.core.report import StubStatus
from sidecar.core.sync_report import Hold


class Program(Protocol):
    """The running nginx."""

    stub_status: StubStatus | None

    @property
    def working(self) -> bool:
        """It has workers."""

    async def reload(self, *, overlap: bool) -> str | None:
        """Make it read its configuration again; return why that failed."""


class Folders(Protocol):
    """The synced folders, and what watches them."""

    @property
    def watched(self) -> bool:
        """Changes in them are noticed."""

    def had(self, path: Path) -> bool:
        """Tell whether the newest snapshot contains a path."""

    async def between[T](self, work: Callable[[Hold | None, Tree | None], Awaitable[T]]) -> T:
        """Do `work` while sync changes nothing in them.

        It is given the hold that forbids to load them, if any, and their tree, if it is consistent.
        """

    async def put_back(self, error: str | None = None) -> bool:
        """Restore the last good state over what a guard holds, or nginx refuses with `error`.

        What it replaces is kept. Return whether anything was restored.
        """

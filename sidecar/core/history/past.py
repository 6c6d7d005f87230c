"""What a merge asks of the snapshots that came before."""

from collections.abc import Collection
from typing import Protocol

from sidecar.core.history.snapshot import Snapshot, Version


class Past(Protocol):
    """The snapshots whose tree is still here, by id."""

    def get(self, name: str, /) -> Snapshot | None:
        """Return a snapshot; None if its tree is not here."""

    def having(self, name: str, versions: Collection[Version]) -> frozenset[Version]:
        """Return which versions a snapshot has; none if its tree is not here.

        It costs far less than the whole snapshot: a merge asks all that came before.
        """

    def made(self, name: str) -> bool:
        """Tell whether a person has made a snapshot: it is known, and no mere merge."""

"""The snapshots of the history as a mapping, each read when it is asked for."""

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Final

from sidecar.core.history.snapshot import Snapshot, Version
from sidecar.sync.store import History

_DECODED: Final = 4
"""How many are held at a time: one of 20,000 paths takes some 20 MB."""


class Past(Mapping[str, Snapshot]):
    """The snapshots whose tree is still here, by id. Blocks."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._find = lru_cache(_DECODED)(history.find)

    def __getitem__(self, name: str) -> Snapshot:
        found = self._find(name)
        if found is None:
            raise KeyError(name)
        return found

    def having(self, name: str, versions: Collection[Version]) -> frozenset[Version]:
        """Return which versions a snapshot has; none if its tree is not here."""
        return self._history.having(name, versions)

    def made(self, name: str) -> bool:
        """Tell whether a person has made a snapshot."""
        header = self._history.headers().get(name)
        return header is not None and bool(header.node)

    def __iter__(self) -> Iterator[str]:
        return iter(self._history.whole())

    def __len__(self) -> int:
        return len(self._history.whole())

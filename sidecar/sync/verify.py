"""Reads all of the history again: what a disk has damaged is named, and made whole again.

Damage that nobody has read is found while another node still has what was lost. Where it is
found, the file is moved out of the way; then it counts as missing, and is taken from the folders
if it is there, else from a linked node.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import batched, filterfalse
from typing import Final

from sidecar.core.history.change import name
from sidecar.errors import RefusedError, SidecarError
from sidecar.host.worker import Worker
from sidecar.sync.engine import Engine
from sidecar.sync.pulls import Pulls
from sidecar.sync.store import History

DAILY: Final = "0 3 * * *"
"""When the schedule does it."""

BATCH: Final = 32
"""Files that are read at a time: a stop waits no longer."""


class Verifier:
    """Looks after what a disk may do to the history.

    Given: the history, the engine and its worker, and what brings snapshots from the peers.
    """

    def __init__(self, history: History, engine: Engine, worker: Worker, pulls: Pulls) -> None:
        self._history, self._engine = history, engine
        self._worker, self._pulls = worker, pulls

    async def verify(self, *, gently: bool = False) -> str:
        """Read everything; return what was found. With `gently` the disk rests half of the time.

        Raise RefusedError if something is damaged and nobody has it.
        """
        ids = sorted(await asyncio.to_thread(self._history.ids))
        digests = await asyncio.to_thread(self._history.objects)
        kept = await self._worker.do(self._engine.kept)
        bad_ids = await self._bad(ids, self._history.sound, gently)
        bad_digests = await self._bad(digests, self._history.verify, gently)
        names = await asyncio.to_thread(self._names, kept, bad_digests)
        lost = await self._bring(kept, bad_ids)
        gone = {one for one in bad_digests if not await asyncio.to_thread(self._history.has, one)}
        lines = [
            *(f"snapshot {one[:12]} was damaged{_now(one in lost)}" for one in bad_ids),
            *(f"{names[one]} was damaged{_now(one in gone)}" for one in names),
            *(f"snapshot {one[:12]} is incomplete here" for one in sorted(lost - {*bad_ids})),
        ]
        spare = await asyncio.to_thread(self._moved, {*bad_digests} - names.keys())
        lines += [f"{spare} damaged {_files(spare)} nothing needs: moved away"] if spare else []
        count = f"{len(ids)} snapshots and {len(digests)} files were checked"
        said = "\n".join((f"{count}: {'nothing is damaged' if not lines else ''}".strip(), *lines))
        if lost or gone & names.keys():
            raise RefusedError(said, "it is restored as soon as a node that has it is linked")
        return said

    async def _bad(
        self, names: Iterable[str], right: Callable[[str], bool], gently: bool
    ) -> Sequence[str]:
        found: list[str] = []
        for some in batched(names, BATCH, strict=False):
            begun = time.monotonic()
            found += await asyncio.to_thread(list, filterfalse(right, some))
            await asyncio.sleep(time.monotonic() - begun if gently else 0)
        return found

    def _moved(self, digests: Iterable[str]) -> int:
        """Return how many were damaged: the others were pruned meanwhile."""
        damaged = self._history.directory / "damaged"
        return sum((damaged / one).exists() for one in digests)

    def _names(self, kept: Iterable[str], digests: Sequence[str]) -> Mapping[str, str]:
        """Return where kept snapshots have objects, in words; the newest that has one."""
        wanted, found = set(digests), dict[str, str]()
        for snapshot in kept if wanted else ():
            if (known := self._history.find(snapshot)) is None:
                continue
            for path, entry in known.tree.items():
                if entry.digest in wanted and entry.digest not in found:
                    found[entry.digest] = f"{name(path, known.roots)} of snapshot {snapshot[:12]}"
        return found

    async def _bring(self, kept: Sequence[str], damaged: Iterable[str]) -> set[str]:
        """Bring what is missing of kept snapshots, and manifests; return what nobody has."""
        await self._worker.do(self._engine.replenish)
        self._pulls.doubt()
        lost = set[str]()
        for snapshot in await asyncio.to_thread(self._history.incomplete, kept):
            try:
                await self._pulls.bring(snapshot)
            except RefusedError:
                lost.add(snapshot)
        for snapshot in set(damaged).difference(kept):
            if not await self._fetch(snapshot):
                lost.add(snapshot)
        return lost

    async def _fetch(self, snapshot: str) -> bool:
        """Bring a manifest of which nothing is kept but the header."""
        if await asyncio.to_thread(lambda: snapshot in self._history.ids()):
            return True
        for node in self._pulls.peers.heads:
            try:
                await self._pulls.fetch_manifest(node, snapshot)
            except SidecarError:
                continue
            return True
        return False


def _files(count: int) -> str:
    return "file that" if count == 1 else "files that"


def _now(lost: bool) -> str:
    return ", and no linked node has it" if lost else ", and is restored"

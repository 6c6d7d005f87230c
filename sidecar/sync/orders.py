"""What a person may ask of sync: a check now, an old state, an old file."""

import asyncio
import time

from sidecar.core.change import changes, describe, name, summarise
from sidecar.core.reconcile import FastForward, Fetch, Join, Plan
from sidecar.core.snapshot import Snapshot, Tree
from sidecar.core.sync import SyncReport
from sidecar.errors import RefusedError
from sidecar.sync.engine import Engine
from sidecar.sync.lookup import lookup
from sidecar.sync.served import Served
from sidecar.sync.workspace import Look, RefusedByServiceError, Workspace


class Orders:
    """Carries out `ha sync`, `ha rollback` and `ha restore`; each returns what to print."""

    def __init__(self, engine: Engine, workspace: Workspace, served: Served, node: str) -> None:
        self._engine, self._workspace = engine, workspace
        self._served, self._node = served, node

    async def sync(self, *, dry_run: bool) -> str:
        """Check everything now; with `dry_run` only tell what would be done."""
        if not dry_run:
            await self._engine.once()
            return _outcome(self._engine.report(next_check=0.0))
        return "\n".join(self._forecast(*await self._engine.forecast()))

    async def release(self) -> str:
        """Let pass what a guard holds at this moment; return what that is."""
        hold = await self._engine.release()
        if hold is not None:
            return f"released ({hold.reason}): {hold.message}"
        if aside := self._engine.aside:
            return await self.rollback(aside[-1].snapshot)
        raise RefusedError("cannot release: nothing is held that a release lets pass")

    async def rollback(self, snapshot: str) -> str:
        """Serve an earlier state again, everywhere."""
        target = await asyncio.to_thread(lookup, self._workspace.history, snapshot)
        await self._engine.bring(target)
        wanted = await asyncio.to_thread(self._workspace.history.get, target)
        if wanted.roots != self._workspace.roots:
            raise RefusedError(
                f"cannot go back to {target[:12]}: it has {', '.join(wanted.roots)}",
                f"this node syncs {', '.join(self._workspace.roots)}",
            )
        said = await self._engine.exclusively(
            lambda look: self._replace(look, wanted.tree, target, f"rollback to {target[:12]}")
        )
        await self._engine.drop_aside()
        return said

    async def restore(self, snapshot: str, path: str) -> str:
        """Bring back what an earlier state had at a path, everywhere."""
        source = await asyncio.to_thread(lookup, self._workspace.history, snapshot)
        old = await self._tree_with(source, path)
        full = self._locate(path, old)
        if full is None:
            raise RefusedError(
                f"cannot restore {path}: snapshot {source[:12]} has nothing there",
                "paths are absolute, or below one of HA_SYNC_PATHS",
            )
        way = {one: entry for one, entry in old.items() if f"{full}/".startswith(f"{one}/")}
        if self._workspace.left_out(way):
            raise RefusedError(
                f"cannot restore {path}: it is left out on this node", "see HA_SYNC_EXCLUDE"
            )
        return await self._engine.exclusively(
            lambda look: self._replace(
                look,
                _with(look.live, old, full),
                None,
                f"restored {name(full, self._workspace.roots)} from {source[:12]}",
            )
        )

    async def bring(self, snapshot: str) -> str:
        """Make a snapshot whole that is not, given by its id."""
        await self._engine.bring(await asyncio.to_thread(lookup, self._workspace.history, snapshot))
        return f"snapshot {snapshot[:12]} is whole"

    async def _tree_with(self, source: str, path: str) -> Tree:
        """Return a snapshot's tree; all that it has at a path is here."""
        history = self._workspace.history
        try:
            await self._engine.bring(source)
        except RefusedError:
            if source not in await asyncio.to_thread(history.whole):
                raise
            old = (await asyncio.to_thread(history.get, source)).tree
            full = self._locate(path, old)
            needed = [one.digest for name, one in old.items() if f"{name}/".startswith(f"{full}/")]
            if await asyncio.to_thread(history.absent, filter(None, needed)):
                raise
        return (await asyncio.to_thread(history.get, source)).tree

    async def _replace(self, look: Look, wanted: Tree, target: str | None, summary: str) -> str:
        """Make `wanted` the live tree and a snapshot that follows the head and `target`.

        What this node leaves alone stays as it is, in the folders and in the head.
        """
        if look.refused:
            refusal = look.refused[0]
            raise RefusedError(f"cannot do that: {refusal.path}: {refusal.cause}", refusal.hint)
        wanted = self._workspace.spare(wanted, look)
        found = changes(look.live, self._workspace.on_disk(wanted))
        if not found and wanted == look.base:
            return "nothing to do: the folders are in that state"
        history, now = self._workspace.history, time.time()
        try:
            before = look
            if look.draft:  # nothing that a person wrote is lost: it stays in the history
                before = await self._workspace.keep(look, self._node, now, f"before: {summary}")
            known = {one for one in (before.head, target) if one is not None}
            made = Snapshot(
                roots=self._workspace.roots,
                tree=wanted,
                parents=tuple(sorted(history.graph().heads(known))),
                node=self._node,
                time=now,
                summary=summary,
            )
            name = await asyncio.to_thread(history.add, made)
            await self._workspace.apply(look, made, name, self._served)
        except RefusedByServiceError as error:
            raise RefusedError(f"cannot serve that state: {error.message}") from error
        return f"{summary}: {summarise(found, self._workspace.roots)}"

    def _locate(self, path: str, tree: Tree) -> str | None:
        candidates = [
            path.rstrip("/"),
            *(f"{root}/{path}".rstrip("/") for root in self._workspace.roots),
        ]
        return next((one for one in candidates if one in tree), None)

    def _forecast(self, look: Look, plan: Plan) -> list[str]:
        roots = self._workspace.roots
        lines = [f"{refusal.path}: {refusal.cause}; {refusal.hint}" for refusal in look.refused]
        if look.draft:
            lines += ["would accept:", *(f"  {line}" for line in describe(look.draft, roots))]
        match plan.step:
            case Fetch(node=node, snapshot=snapshot):
                lines.append(f"would fetch snapshot {snapshot[:12]} from {node}")
            case FastForward(snapshot=snapshot):
                wanted = self._workspace.history.get(snapshot).tree
                found = describe(changes(look.live, wanted), roots)
                lines += [f"would take over {snapshot[:12]}:", *(f"  {line}" for line in found)]
            case Join(parents=parents):
                lines.append(f"would join {' and '.join(one[:12] for one in parents)}")
            case None:
                pass
        lines += [f"held ({hold.reason}): {hold.message}\n  {hold.hint}" for hold in plan.holds]
        return lines or ["nothing to do"]


def _outcome(report: SyncReport) -> str:
    """Return how things stand after a check, in words."""
    lines = [f"head is {report.head[:12]}" if report.head else "there is no snapshot yet"]
    if report.draft:
        why = report.draft_error or (
            "it is held" if report.holds else "it has to serve well for HA_SYNC_SOAK first"
        )
        lines.append(f"not accepted: {', '.join(report.draft)}: {why}")
    lines += [f"refused {one[:12]}: {why}" for one, why in report.rejected.items()]
    lines += [f"held ({hold.reason}): {hold.message}\n  {hold.hint}" for hold in report.holds]
    unknown = "not linked" if report.head else "no snapshot to compare"
    for peer in report.peers:
        stands = {True: "in sync", False: "not in sync", None: unknown}[peer.in_sync]
        lines.append(f"{peer.node}: {stands}{f': {peer.error}' if peer.error else ''}")
    return "\n".join(lines)


def _with(live: Tree, old: Tree, path: str) -> Tree:
    """Return `live` with what `old` has at and below `path`, and the directories above it."""
    below = f"{path}/"
    kept = {one: entry for one, entry in live.items() if one != path and not one.startswith(below)}
    parents = [path[:index] for index, letter in enumerate(path) if letter == "/" and index]
    brought = {one: entry for one, entry in old.items() if one == path or one.startswith(below)}
    return {
        **kept,
        **{one: old[one] for one in parents if one in old and one not in kept},
        **brought,
    }

"""What a person may ask of sync: an old state, an old file, what a check would do.

All of it runs in the worker thread, between two passes; `sidecar.sync.desk` takes it in.
"""

import time

from sidecar.core.change import changes, describe, name, summarise
from sidecar.core.reconcile import FastForward, Fetch, Join, Plan
from sidecar.core.snapshot import Snapshot, Tree
from sidecar.core.sync import SyncReport
from sidecar.errors import RefusedError
from sidecar.sync.engine import Engine
from sidecar.sync.ports import Ports
from sidecar.sync.workspace import Look, RefusedByServiceError, Workspace


class Orders:
    """Carries out `ha sync --dry-run`, `ha rollback` and `ha restore`; each returns what to print.

    Snapshots are given by their ids, and are whole.
    """

    def __init__(self, engine: Engine, workspace: Workspace, ports: Ports, node: str) -> None:
        self._engine, self._workspace = engine, workspace
        self._ports, self._node = ports, node

    def forecast(self) -> str:
        """Tell what a check would do."""
        look, plan = self._engine.forecast()
        return "\n".join(self._forecast(look, plan))

    def release(self) -> str | None:
        """Let pass what a guard holds at this moment; return what that is, None for nothing."""
        hold = self._engine.release()
        return f"released ({hold.reason}): {hold.message}" if hold else None

    def rollback(self, target: str) -> str:
        """Serve an earlier state again, everywhere."""
        wanted = self._workspace.history.get(target)
        if wanted.roots != self._workspace.roots:
            raise RefusedError(
                f"cannot go back to {target[:12]}: it has {', '.join(wanted.roots)}",
                f"this node syncs {', '.join(self._workspace.roots)}",
            )
        summary = f"rollback to {target[:12]}"
        said = self._engine.exclusively(
            lambda look: self._replace(look, wanted.tree, target, summary)
        )
        self._engine.drop_aside()
        return said

    def restore(self, source: str, path: str) -> str:
        """Bring back what an earlier state had at a path, everywhere."""
        old = self._workspace.history.get(source).tree
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
        summary = f"restored {name(full, self._workspace.roots)} from {source[:12]}"
        return self._engine.exclusively(
            lambda look: self._replace(look, _with(look.live, old, full), None, summary)
        )

    def has(self, source: str, path: str) -> bool:
        """Tell whether all that a snapshot has at a path is here, whatever else is missing."""
        history = self._workspace.history
        if source not in history.whole():
            return False
        old = history.get(source).tree
        full = self._locate(path, old)
        needed = [one.digest for name, one in old.items() if f"{name}/".startswith(f"{full}/")]
        return not history.absent(filter(None, needed))

    def _replace(self, look: Look, wanted: Tree, target: str | None, summary: str) -> str:
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
        self._ports.check()
        history, now = self._workspace.history, time.time()
        try:
            before = look
            if look.draft:  # nothing that a person wrote is lost: it stays in the history
                before = self._workspace.keep(look, self._node, now, f"before: {summary}")
            known = {one for one in (before.head, target) if one is not None}
            made = Snapshot(
                roots=self._workspace.roots,
                tree=wanted,
                parents=tuple(sorted(history.graph().heads(known))),
                node=self._node,
                time=now,
                summary=summary,
            )
            name = history.add(made)
            self._workspace.apply(look, made, name, self._ports.try_peers)
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


def outcome(report: SyncReport) -> str:
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

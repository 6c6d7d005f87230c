"""What a person may ask of sync: an old state, an old file, what a check would do.

All of it runs in the worker thread, between two passes; `sidecar.sync.desk` takes it in.
"""

import time
from collections.abc import Container, Iterable

from sidecar.core.history.change import changes, describe, name, summarise
from sidecar.core.history.reconcile import FastForward, Fetch, Join, Merge, Plan
from sidecar.core.history.snapshot import Snapshot, Tree
from sidecar.core.sync_report import SyncReport
from sidecar.errors import RefusedError
from sidecar.sync.engine import Engine
from sidecar.sync.ports import Ports
from sidecar.sync.workspace import Look, RefusedByServiceError, Workspace


class Orders:
    """Carries out what a person orders; each returns what to print.

    Snapshots are given by their ids, and are whole.
    """

    def __init__(self, engine: Engine, workspace: Workspace, ports: Ports, node: str) -> None:
        self._engine, self._workspace = engine, workspace
        self._ports, self._node = ports, node

    def forecast(self) -> str:
        """Tell what a check would do."""
        look, plan = self._engine.forecast()
        return "\n".join(self._forecast(look, plan))

    def hold(self) -> str:
        """Stop sync on this node."""
        hold = self._engine.hold()
        return f"held: {hold.message}; {hold.hint}"

    def release(self) -> str | None:
        """End what is held at this moment; return what that is, None for nothing."""
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

    def adopt(self, whose: str) -> str:
        """Choose one of the configurations that cannot be merged, for every node."""
        return self._engine.exclusively(lambda look: self._adopt(look, whose))

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

    def clear(self, path: str) -> str:
        """Take a path off the list of conflicts, on this node."""
        conflicts = self._engine.conflicts()
        full = self._locate(path, conflicts.paths)
        if full is None:
            raise RefusedError(
                f"cannot clear {path}: it is not among the conflicts", "`ha conflicts` lists them"
            )
        conflicts.clear(full)
        return f"cleared {name(full, self._workspace.roots)}: the live version stays"

    def has(self, source: str, path: str) -> bool:
        """Tell whether all that a snapshot has at a path is here, whatever else is missing."""
        history = self._workspace.history
        if source not in history.whole():
            return False
        old = history.get(source).tree
        full = self._locate(path, old)
        needed = [one.digest for name, one in old.items() if f"{name}/".startswith(f"{full}/")]
        return not history.absent(filter(None, needed))

    def _adopt(self, look: Look, whose: str) -> str:
        choices = self._engine.choices(look)
        if not choices:
            raise RefusedError(
                "cannot adopt: no other node has a configuration that waits for a choice",
                "`ha status` shows what waits",
            )
        if whose in {"mine", self._node}:
            return self._adopt_mine(look, choices)
        theirs = [head for head, nodes in choices.items() if whose == "peer" or whose in nodes]
        if len(theirs) != 1:
            ways = " or ".join(f"`ha sync adopt {nodes[0]}`" for nodes in choices.values())
            why = "several nodes wait for a choice" if theirs else "no node of that name waits"
            raise RefusedError(f"cannot adopt {whose}: {why}", f"{ways}, or `ha sync adopt mine`")
        summary = f"chose the configuration of {choices[theirs[0]][0]}"
        wanted = self._workspace.history.get(theirs[0]).tree
        return self._replace(look, wanted, theirs[0], summary)

    def _adopt_mine(self, look: Look, others: Iterable[str]) -> str:
        """Let what is the head here follow the others' heads: there is nothing to apply."""
        assert look.head is not None
        if look.draft or look.refused:
            raise RefusedError(
                "cannot adopt mine: files differ here and are not accepted yet",
                "correct or undo that first: `ha diff` shows what differs",
            )
        history, summary = self._workspace.history, f"chose the configuration of {self._node}"
        made = Snapshot(
            roots=self._workspace.roots,
            tree=look.base,
            parents=tuple(sorted(history.graph().heads({look.head, *others}))),
            node=self._node,
            time=time.time(),
            summary=summary,
        )
        history.set_head(history.add(made))
        return f"{summary}: the other nodes take it over"

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
        before, added = look, []
        if look.draft:  # nothing that a person wrote is lost: it stays in the history
            before = self._workspace.keep(look, self._node, now, f"before: {summary}")
            added.append(before.head)
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
        try:
            self._workspace.apply(look, made, name, self._ports.try_peers)
        except RefusedByServiceError as error:
            history.drop(filter(None, (*added, name)))
            raise RefusedError(f"cannot serve that state: {error.message}") from error
        return f"{summary}: {summarise(found, self._workspace.roots)}"

    def _locate(self, path: str, known: Container[str]) -> str | None:
        candidates = [
            path.rstrip("/"),
            *(f"{root}/{path}".rstrip("/") for root in self._workspace.roots),
        ]
        return next((one for one in candidates if one in known), None)

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
            case Merge(heads=heads):
                lines.append(f"would merge {' and '.join(one[:12] for one in heads)}")
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
        more = report.draft_count - len(report.draft)
        paths = f"{', '.join(report.draft)}{f' and {more} more' if more else ''}"
        lines.append(f"not accepted: {paths}: {why}")
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

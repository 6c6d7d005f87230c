"""`ha history`: the snapshots, also while no daemon runs."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from sidecar.commands.context import Context
from sidecar.commands.snapshots import history_of
from sidecar.commands.status import ask, colored
from sidecar.core.history.retention import retained
from sidecar.core.show.timeline import timeline
from sidecar.errors import ExitCode, SidecarError
from sidecar.sync import decisions
from sidecar.sync.store import History


def run(context: Context, *, verify: bool) -> int:
    """Print the snapshots, newest first; or let the node read all of them again."""
    if verify:
        print(context.order("verify", {}))
        return ExitCode.DONE
    settings = context.loaded().settings
    history = history_of(context)
    said = marks(history, _heads(context), settings.sync_keep)
    zone = ZoneInfo(settings.timezone)
    print(timeline(history.headers(), said, zone, color=colored()))
    return ExitCode.DONE


def _heads(context: Context) -> Mapping[str, str | None]:
    """Return the heads of the linked peers, by node."""
    try:
        peers = ask(context.control()).peers
    except SidecarError:
        return {}
    return {peer.node: peer.state.head for peer in peers if peer.linked and peer.state}


def marks(history: History, heads: Mapping[str, str | None], most: int) -> Mapping[str, list[str]]:
    """Return what is to be said of each snapshot."""
    headers = history.headers()
    said: dict[str, list[str]] = {snapshot: [] for snapshot in headers}
    if head := history.head():
        said.setdefault(head, []).append("head")
    for node, snapshot in heads.items():
        if snapshot is not None:
            said.setdefault(snapshot, []).append(f"head of {node}")
    for snapshot in decisions.read(history.directory).rejected:
        said.setdefault(snapshot, []).append("rejected here")
    kept = retained(headers, [one for one in (head, *heads.values()) if one], most)
    for snapshot in headers.keys() - history.whole() - kept:
        said[snapshot].append("files no longer kept")
    for snapshot in history.incomplete(kept):
        said[snapshot].append("incomplete here")
    return said

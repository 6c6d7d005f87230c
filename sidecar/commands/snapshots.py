"""The history on this node's disk, for commands that need no daemon."""

from sidecar.commands.context import Context
from sidecar.errors import RefusedError, SidecarError
from sidecar.sync.store import History


def history_of(context: Context) -> History:
    """Return it, there or not."""
    return History(context.paths.state / "history")


def complete(context: Context, history: History, snapshot: str) -> None:
    """Make a snapshot whole, from the other nodes if need be, or raise RefusedError."""
    if not history.incomplete([snapshot]):
        return
    try:
        context.order("bring", {"snapshot": snapshot})
    except SidecarError as error:
        raise RefusedError(
            f"snapshot {snapshot[:12]} is incomplete on this node: {error.message}", error.hint
        ) from error

"""Makes the manifest of the head whole again after a disk has damaged it."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from sidecar.core.history.guard import Rules, is_stock
from sidecar.errors import SidecarError
from sidecar.sync.workspace import Workspace

log = logging.getLogger("sync")

ALONE_AFTER: Final = 30.0
"""Seconds during which a peer may still come that has it."""


class Mender:
    """Looks after the head of one node.

    Given: its workspace, what brings a manifest from a node or raises SidecarError, and the rules.
    """

    def __init__(
        self, workspace: Workspace, fetch: Callable[[str, str], None], rules: Rules
    ) -> None:
        self._workspace, self._fetch_from, self._rules = workspace, fetch, rules
        self._since: float | None = None

    def mend(self, nodes: Iterable[str], *, full: bool) -> None:
        """Make sure that the head's manifest can be read: from the folders, or from a peer.

        If no node has it, the folders become its successor. Raise SidecarError until then;
        BusyError while somebody edits.
        """
        if self._workspace.mend(full=full):
            self._since = None
            return
        head = self._workspace.history.head()
        assert head is not None
        if self._fetch(head, nodes):
            self._since = None
            return
        now = time.monotonic()
        self._since = self._since or now
        if now - self._since >= ALONE_AFTER and self._workspace.give_up(
            lambda live: not is_stock(live, self._rules)
        ):
            log.warning("nobody has the manifest of head %s: the folders follow it", head[:12])
            return
        raise SidecarError(
            f"cannot read snapshot {head[:12]}, which is live here: its manifest is damaged",
            "it is fetched from a peer that has it; without one, the folders become a snapshot "
            "that follows it, if your files are in them",
        )

    def _fetch(self, head: str, nodes: Iterable[str]) -> bool:
        for node in nodes:
            try:
                self._fetch_from(node, head)
            except SidecarError as error:
                log.info("%s", error)
                continue
            if self._workspace.history.readable(head):
                log.warning("the damaged manifest of head %s came from %s", head[:12], node)
                return True
        return False

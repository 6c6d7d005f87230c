"""Which of two secrets a node shows while HA_SECRET is being changed.

A node with `new,old` takes both, but its sshd can show one key only. Who has not been restarted yet
knows the old one, who is done knows only the new one, and both must be able to call it:

    old ─► new,old ─► new        one node after the other, all of them to the middle first
"""

from collections.abc import Iterable, Sequence

from sidecar.core.report import NodeState


def shown(own: Sequence[str], peers: Iterable[NodeState], before: int) -> int:
    """Return which of our own keys the peers must be shown, by its place in `own`.

    `own` are the keys' digests, the newest first; `peers` those whose link is alive. One that does
    not say what it takes is of an older version, and takes the old one. Without any the choice of
    `before` stands: a node that is being restarted takes no less than it did.
    """
    new, *old = own
    if not old:
        return 0
    takes = [peer.keys for peer in peers]
    done = any(new in keys and old[0] not in keys for keys in takes)
    ready = all(new in keys for keys in takes)
    return before if not takes else 0 if done or ready else 1

"""Whether all is well: what `ha status --wait` waits for, e.g. between upgrades."""

from collections.abc import Iterable, Iterator

from sidecar.core.report import NodeState, Problem, Report, Role
from sidecar.core.show.story import holding

_TOLERATED = frozenset({"versions-differ", "certificate-ends", "certificate-expired"})
"""Problems that an upgrade brings or cannot solve: nobody waits for them."""


def unwell(report: Report) -> str:
    """Return what is missing, in words; empty if all is well.

    One node holds the VIP, every other one could take it over, all have the same configuration, and
    no node has a problem other than different versions or a certificate to renew.
    """
    return next(_missing(report), "")


def _missing(report: Report) -> Iterator[str]:
    for peer in report.peers:
        if not peer.linked or peer.state is None:
            yield f"no link to {peer.node}: {peer.error or 'not yet connected'}"
    yield from _fetches(report)  # a node that starts waits for it, and is not eligible meanwhile
    for state in (report.node, *(peer.state for peer in report.peers if peer.state is not None)):
        yield from _not_ready(state)
    if len(held := holding(report).nodes) != 1:
        yield f"{' and '.join(held)} hold the VIP" if held else "no node holds the VIP"
    for sync in report.sync.peers if report.sync is not None else ():
        if sync.in_sync is False:  # None: no link, which is told already, or nothing to sync yet
            yield f"not in sync with {sync.node}"
    yield from _of(report.node.node, report.problems)
    for peer in report.peers:
        if peer.details is not None:
            yield from _of(peer.node, peer.details.problems)


def _fetches(report: Report) -> Iterator[str]:
    for sync in report.sync.peers if report.sync is not None else ():
        if sync.fetching is not None:
            yield f"fetching {sync.fetching} from {sync.node}"
    for peer in report.peers:
        if peer.linked and peer.details is not None and peer.details.fetching is not None:
            yield f"{peer.node} is fetching {peer.details.fetching}"


def _not_ready(state: NodeState) -> Iterator[str]:
    if not state.eligible:
        yield f"{state.node} is not eligible: {', '.join(state.hard) or f'it is {state.role}'}"
    if state.role not in {Role.MASTER, Role.BACKUP}:
        yield f"{state.node} is {state.role}"


def _of(node: str, problems: Iterable[Problem]) -> Iterator[str]:
    for problem in problems:
        if problem.code not in _TOLERATED:
            yield f"{problem.code} on {node}: {problem.message}"

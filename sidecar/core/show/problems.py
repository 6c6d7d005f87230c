"""What is wrong with a node, derived from its report.

The status page, the command line and the metrics all list the same.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from sidecar.core.history.change import name
from sidecar.core.nginx import advice
from sidecar.core.report import (
    ContainersReport,
    NodeState,
    PeerReport,
    Problem,
    Report,
    Role,
    ServiceState,
    Severity,
)
from sidecar.core.sync_report import PeerSync, SyncReport

_REMAPPED: Final = (
    "Docker remaps users (userns-remap): set `userns_mode: host`; if that is set already, "
    "remove userns-remap from the host's daemon.json"
)

MOST_NAMED: Final = 10
"""Problems of one kind that are named one by one."""

ENDING: Final = 0.25
"""Share of a certificate's lifetime below which it should have been renewed: usual is a third."""

MOST_SKEW: Final = 2.0
"""Seconds of clock difference between nodes that are still fine."""


def find(report: Report, *, settling: bool = False, remapped: bool = False) -> tuple[Problem, ...]:
    """Return all problems of the node, worst first.

    `settling`: the role has just changed, and the addresses are not yet held against the node.
    `remapped`: root here, or of the image's files, is not the host's.
    """
    found = (
        *_processes(report),
        *_configuration(report),
        *(() if settling else _vips(report, remapped=remapped)),
        *_split_brain(report),
        *_checks(report),
        *_peers(report),
        *(_sync(report.sync, report.nginx.config_error) if report.sync is not None else ()),
        *(containers_problems(report.containers) if report.containers is not None else ()),
        *_certificates(report),
        *_maintenance(report),
        *_parts(report),
    )
    return tuple(sorted(found, key=lambda problem: problem.severity is not Severity.ERROR))


def _processes(report: Report) -> Iterator[Problem]:
    for process in report.processes:
        if process.state in (ServiceState.BACKOFF, ServiceState.GAVE_UP):
            yield Problem(
                code="process-down",
                about=process.name,
                severity=Severity.ERROR,
                message=f"{process.name} is not running: {process.error or process.state}",
                hint=advice(process.error)
                or f"it is being restarted; its output: docker compose logs | grep {process.name}",
            )


def _configuration(report: Report) -> Iterator[Problem]:
    if report.nginx.config_error:
        yield Problem(
            code="nginx-config",
            severity=Severity.ERROR,
            message=f"nginx rejects the configuration: {report.nginx.config_error}",
            hint=f"{advice(report.nginx.config_error) or 'correct the file'}; "
            "until then nginx serves the last configuration it accepted, if any",
        )


def _vips(report: Report, *, remapped: bool) -> Iterator[Problem]:
    for vip in report.vips:
        if vip.held and not vip.leased and report.node.role is Role.MASTER:
            yield Problem(
                code="vip-not-leased",
                about=vip.address,
                severity=Severity.ERROR,
                message=f"{vip.address} has no lifetime: it would stay here if the container died",
                hint="the lease script does not run: "
                + (_REMAPPED if remapped else "cap_add needs SETGID, SETUID and NET_ADMIN"),
            )
        if report.node.role is Role.MASTER and not vip.held:
            yield Problem(
                code="vip-missing",
                about=vip.address,
                severity=Severity.ERROR,
                message=f"this node is MASTER, but {vip.address} is not on its interface",
                hint="cap_add needs NET_ADMIN; see keepalived's lines in the log",
            )


def _split_brain(report: Report) -> Iterator[Problem]:
    if report.split_brain:
        yield Problem(
            code="split-brain",
            severity=Severity.ERROR,
            message="split brain: two linked nodes are MASTER: VRRP adverts do not arrive",
            hint="let IP protocol 112 (VRRP) pass between the nodes, in both directions; "
            "`ha doctor` names the one that is blocked",
        )


def _checks(report: Report) -> Iterator[Problem]:
    for check in report.checks:
        # nginx-config or process-down may have said it already.
        if check.up is False and check.message not in _said(report):
            yield Problem(
                code="check-failed",
                about=check.name,
                severity=Severity.ERROR if check.hard else Severity.WARNING,
                message=f"check {check.name} fails: {check.message}",
                hint=advice(check.message)
                if check.hard
                else "the VIP moves to a node where it succeeds; if there is none, the VIP stays",
            )


def _said(report: Report) -> Iterator[str]:
    if report.nginx.config_error:
        yield report.nginx.config_error
    for process in report.processes:
        if process.state in (ServiceState.BACKOFF, ServiceState.GAVE_UP) and process.error:
            yield process.error


def _peers(report: Report) -> Iterator[Problem]:
    for peer in report.peers:
        if not peer.linked:
            yield _unlinked(peer)
        elif peer.state is not None:
            yield from _disagreement(report.node, peer, peer.state)


def _unlinked(peer: PeerReport) -> Problem:
    if peer.stranger:
        return Problem(
            code="nodes-differ",
            severity=Severity.ERROR,
            message=f"{peer.node} does not have this node in its HA_NODES",
            hint="put this node into HA_NODES there, then `docker compose up -d` there; "
            "until then this node does not take the VIP after a start",
        )
    wrong_secret = "HA_SECRET" in peer.error
    hint = "if that host is up, see its log, and let TCP HA_SYNC_PORT pass"
    if wrong_secret:
        hint = "copy the .env from one node to the other"
    elif peer.state is None:
        hint = (
            "until it joins, this node serves alone: start kiss-ha there with the same .env; "
            "if it is running, let TCP HA_SYNC_PORT pass"
        )
    return Problem(
        code="wrong-secret" if wrong_secret else "peer-unlinked",
        about=peer.node,
        severity=Severity.WARNING,
        message=f"no link to {peer.node}: {peer.error or 'not yet connected'}",
        hint=hint,
    )


def _disagreement(own: NodeState, peer: PeerReport, state: NodeState) -> Iterator[Problem]:
    if state.settings != own.settings:
        yield Problem(
            code="settings-differ",
            about=peer.node,
            severity=Severity.ERROR,
            message=f"{peer.node} and this node have different settings",
            hint="copy the .env: HA_NODES, HA_VIP, HA_VRID, HA_ADVERT_INTERVAL and "
            "HA_CONTAINERS must be the same",
        )
    if state.version != own.version:
        yield Problem(
            code="versions-differ",
            about=peer.node,
            severity=Severity.WARNING,
            message=f"{peer.node} runs version {state.version}, this node {own.version}",
            hint="finish the upgrade, one node at a time",
        )
    if peer.clock_skew is not None and abs(peer.clock_skew) > MOST_SKEW:
        yield Problem(
            code="clock-skew",
            about=peer.node,
            severity=Severity.WARNING,
            message=f"the clock of {peer.node} differs by {peer.clock_skew:+.1f} s",
            hint="run a time service such as chrony or systemd-timesyncd on every host",
        )


def _sync(sync: SyncReport, config_error: str) -> Iterator[Problem]:
    if sync.draft_error:
        yield _refused_draft(sync, config_error)
    for snapshot, reason in sync.rejected.items():
        yield Problem(
            code="sync-rejected",
            about=snapshot,
            severity=Severity.ERROR,
            message=f"this node cannot serve its peers' snapshot {snapshot[:12]}: {reason}",
            hint="it serves what it had, and retries by itself; "
            "correct the file, or add what only this host lacks",
        )
    for hold in sync.holds:
        yield Problem(
            code="sync-held",
            about=hold.reason,
            severity=Severity.WARNING,
            message=f"sync waits ({hold.reason}): {hold.message}",
            hint=hold.hint,
        )
    if sync.overridden:
        yield _conflict(sync)
    yield from (_failed_pull(peer) for peer in sync.peers if peer.in_sync is False and peer.error)


def _refused_draft(sync: SyncReport, config_error: str) -> Problem:
    some = name(sync.draft[0], sync.paths) if sync.draft else "what was edited here"
    more = f" and {sync.draft_count - 1} more" if sync.draft[1:] else ""
    why = "see nginx-config" if sync.draft_error == config_error else sync.draft_error
    return Problem(
        code="sync-draft",
        severity=Severity.WARNING,
        message=f"not accepted, so only on this node: {some}{more}: {why}",
        hint="correct or undo it here; `ha diff` shows what differs",
    )


def _conflict(sync: SyncReport) -> Problem:
    more = f" and {sync.overridden_count - 1} more" if sync.overridden[1:] else ""
    return Problem(
        code="sync-conflict",
        severity=Severity.WARNING,
        message="edited on two nodes independently, so only one version is live: "
        f"{name(sync.overridden[0], sync.paths)}{more}",
        hint="`ha conflicts` shows how to get the other version or keep this one",
    )


def _failed_pull(peer: PeerSync) -> Problem:
    return Problem(
        code="sync-failed",
        about=peer.node,
        severity=Severity.WARNING,
        message=f"not in sync with {peer.node}: {peer.error}",
        hint=peer.hint or "it is retried; the log shows each attempt",
    )


def containers_problems(containers: ContainersReport) -> Iterator[Problem]:
    """Give what is wrong with the sites of containers."""
    if containers.error:
        yield Problem(
            code="docker-unreachable",
            severity=Severity.WARNING,
            message=f"cannot tell which containers run here: {containers.error}",
            hint="mount Docker's socket, or set DOCKER_HOST; what is known so far is still served",
        )
    down = [
        f"{site.host}{site.path}" for site in containers.sites if site.replicas and site.up is False
    ]
    for site in down[:MOST_NAMED]:
        yield Problem(
            code="site-down",
            severity=Severity.WARNING,
            message=f"no container serves {site}{_more(down)}: it answers 503",
            hint="`ha sites` shows the state of its containers on each node",
        )
    for words in containers.ignored[:MOST_NAMED]:
        yield Problem(
            code="container-ignored",
            severity=Severity.WARNING,
            message=f"{words}{_more(containers.ignored)}",
            hint="correct its variables or labels; whatever else it declares is served",
        )


def _certificates(report: Report) -> Iterator[Problem]:
    roots = report.sync.paths if report.sync is not None else ()
    shares = {
        name(path, roots): valid.share_left(report.node.clock)
        for path, valid in sorted(report.nginx.certificates.items())
    }
    expired = [path for path, share in shares.items() if not share]
    for path in expired[:MOST_NAMED]:
        yield Problem(
            code="certificate-expired",
            about=path,
            severity=Severity.ERROR,
            message=f"the certificate {path} has expired{_more(expired)}",
            hint="renew it; if no site needs it, remove the file",
        )
    ending = [path for path, share in shares.items() if 0 < share < ENDING]
    for path in ending[:MOST_NAMED]:
        yield Problem(
            code="certificate-ends",
            about=path,
            severity=Severity.WARNING,
            message=f"the certificate {path} has {shares[path]:.0%} of its lifetime left"
            f"{_more(ending)}",
            hint="it should have been renewed by now: see the log of whatever renews it",
        )


def _more(named: Sequence[str]) -> str:
    left = len(named) - MOST_NAMED
    return f" (and {left} more)" if left > 0 else ""


def _maintenance(report: Report) -> Iterator[Problem]:
    if report.node.draining:
        yield Problem(
            code="draining",
            severity=Severity.WARNING,
            message="this node is drained: it serves only if no other node can",
            hint="when the maintenance is over: ha resume",
        )


def _parts(report: Report) -> Iterator[Problem]:
    for part, failures in report.part_failures.items():
        if failures:
            yield Problem(
                code="part-failed",
                about=part,
                severity=Severity.WARNING,
                message=f"crashes of the part {part} since the start: {failures}",
                hint="it was restarted and serving is not affected; please report the log line",
            )

"""Checks of how the nodes fit together, and of what the running node says."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

from sidecar.core.doctor.facts import Facts
from sidecar.core.doctor.finding import Finding, Verdict, found
from sidecar.core.report import PeerReport, Problem, Severity
from sidecar.core.show.problems import MOST_SKEW

GROUP: Final = "nodes"
CONFIGURATION: Final = "configuration"

_SAME: Final = 0.1
"""Seconds by which two clocks may differ that are called the same."""

_JUDGED: Final = frozenset(
    {"clock-skew", "versions-differ", "wrong-secret", "peer-unlinked", "settings-differ"}
)
"""Problems of the report that a check of this module tells more of."""


_found = partial(found, GROUP)


def reach(facts: Facts) -> Iterator[Finding]:
    """Check that the sync port of each peer can be reached."""
    port = facts.settings.link_port
    for peer, error in facts.knocks.items():
        if error:
            fix = f"start kiss-ha there, and let TCP {port} pass"
            yield _found("sync port", Verdict.PROBLEM, f"{peer}, port {port}: {error}", fix)
        else:
            yield _found("sync port", Verdict.OK, f"{peer} answers on {port}")


def links(facts: Facts) -> Iterator[Finding]:
    """Check that the nodes talk: their secrets match, their clocks and versions too."""
    if facts.report is None:
        yield _found(
            "secret", Verdict.UNKNOWN, "needs a running node: docker compose exec sidecar ha doctor"
        )
        return
    for peer in facts.report.peers:
        if peer.linked and peer.state is not None:
            yield _found("secret", Verdict.OK, f"the same on {peer.node}")
            yield _clock(peer)
            own, version = facts.report.node.version, peer.state.version
            if version == own:
                yield _found("version", Verdict.OK, f"the same on {peer.node} ({version})")
            else:
                text = f"{peer.node} runs {version}, this node {own}"
                yield _found("version", Verdict.WARNING, text, "finish the upgrade")
        elif "HA_SECRET" in peer.error:
            fix = "copy the .env from one node to the other"
            yield _found("secret", Verdict.PROBLEM, f"differs on {peer.node}", fix)
        else:
            text = f"no link to {peer.node}: {peer.error or 'not yet connected'}"
            yield _found("link", Verdict.PROBLEM, text, "see the log of that node")


def _clock(peer: PeerReport) -> Finding:
    if peer.clock_skew is None:
        return _found("clock", Verdict.UNKNOWN, f"of {peer.node}")
    text = f"{peer.node} differs by {peer.clock_skew:+.1f} s"
    if abs(peer.clock_skew) < _SAME:
        return _found("clock", Verdict.OK, f"{peer.node} has the same time, to {_SAME:g} s")
    if abs(peer.clock_skew) > MOST_SKEW:
        fix = "run chrony or systemd-timesyncd on every host"
        return _found("clock", Verdict.WARNING, text, fix)
    return _found("clock", Verdict.OK, text)


def settings(facts: Facts) -> Iterator[Finding]:
    """Check that the .env is the same on every node: digests tell which settings differ."""
    for peer in facts.report.peers if facts.report is not None else ():
        told = peer.details.settings if peer.details is not None and peer.linked else {}
        if not told or not facts.digests:
            yield _found("settings", Verdict.UNKNOWN, f"of {peer.node}")
        elif differing := _differing(facts.digests, told):
            verb = "differ" if differing[1:] else "differs"
            text = f"{', '.join(differing)} {verb} on {peer.node}"
            fix = "copy the .env from one node to the other, then docker compose up -d"
            yield _found("settings", Verdict.WARNING, text, fix)
        else:
            yield _found("settings", Verdict.OK, f"the same on {peer.node}")


def _differing(own: Mapping[str, str], told: Mapping[str, str]) -> list[str]:
    return [name for name, digest in own.items() if told.get(name, digest) != digest]


def configuration(facts: Facts) -> Iterator[Finding]:
    """Nginx accepts the configuration, and its ports are free."""
    for problem in facts.configuration:
        yield _of_problem(problem, CONFIGURATION)
    for port, holder in facts.ports.items():
        yield Finding(
            group=CONFIGURATION,
            check="port",
            verdict=Verdict.PROBLEM,
            text=f"{holder or 'another program on this host'} uses {port}",
            fix="on the host, `ss -tulnp` names it; or change the setting",
        )
    if not facts.configuration and not facts.ports:
        yield Finding(
            group=CONFIGURATION,
            check="nginx",
            verdict=Verdict.OK,
            text="the configuration is accepted and all ports are free",
        )


def told(facts: Facts) -> Iterator[Finding]:
    """Give what the running node itself has found."""
    if facts.report is None:
        yield _found("node", Verdict.UNKNOWN, "no node is running in this container")
        return
    known = {problem.code for problem in facts.configuration} | _JUDGED
    for problem in facts.report.problems:
        if problem.code not in known:
            yield _of_problem(problem, GROUP)
    if not facts.report.problems:
        yield _found("node", Verdict.OK, "the running node reports no problems")


def _of_problem(problem: Problem, group: str) -> Finding:
    error = problem.severity is Severity.ERROR
    return Finding(
        group=group,
        check=problem.code,
        verdict=Verdict.PROBLEM if error else Verdict.WARNING,
        text=" ".join(problem.message.split()),
        fix=" ".join(problem.hint.split()),
    )

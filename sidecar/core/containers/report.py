"""What people are shown of the sites of containers."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from sidecar.core.containers.fleet import Site
from sidecar.core.report import ContainersReport, SiteReport


def report(
    sites: Iterable[Site],
    *,
    node: str,
    certificates: Mapping[str, str],
    ignored: Collection[str],
    error: str,
) -> ContainersReport:
    """Return what is known of the sites on this node.

    Given: who we are, the certificate of each host that has one, what of containers cannot be used,
    and why Docker does not answer.
    """
    return ContainersReport(
        sites=tuple(
            SiteReport(
                host=site.host,
                path=site.path,
                up=site.up,
                replicas=_replicas(site, node),
                certificate=certificates.get(site.host, ""),
            )
            for site in sites
        ),
        ignored=tuple(sorted(ignored)),
        error=error,
    )


def _replicas(site: Site, node: str) -> dict[str, dict[str, int]]:
    """Return the number of containers by node and state."""
    own = Counter(str(replica.condition) for replica in site.own)
    found = {node: dict(own)} if own else {}
    for peer in site.peers:
        states = (
            {"up": peer.up, "down": peer.down} if peer.linked else {"unknown": peer.up + peer.down}
        )
        found[peer.node] = {state: count for state, count in states.items() if count}
    return found

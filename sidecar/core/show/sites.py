"""The sites for people: where each comes from, and what serves it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sidecar.core.report import Report, SiteReport
from sidecar.core.settings import Site
from sidecar.core.show.present import PLAIN, UNKNOWN, Style
from sidecar.core.show.table import Cell, Colour, Row

_UP: Final = {
    True: Cell("yes", Colour.GOOD),
    False: Cell("no", Colour.BAD),
    None: UNKNOWN,
}


def sites_text(
    report: Report, own: Sequence[Site], certificates: Mapping[str, str], style: Style = PLAIN
) -> str:
    """Return a table of all that nginx serves, in the order in which one wins over another.

    Given: the sites of HA_SITES (`own`), and the directory of the certificate of each that has one.
    """
    if not report.nginx.enabled:
        return "No sites: HA_NGINX=off."
    head = "SITE FROM UP SERVED-BY CERTIFICATE"
    return style.table(head, _rows(report, own, certificates)) or "No sites: nginx has no server."


def _rows(report: Report, own: Sequence[Site], certificates: Mapping[str, str]) -> Iterator[Row]:
    nothing = Cell("-")
    for server in report.nginx.servers:
        certificate = Cell(server.certificate or "-")
        yield Cell(server.host), Cell(server.file), nothing, nothing, certificate
    for site in own:
        certificate = Cell(certificates.get(site.host, "-"))
        yield Cell(site.host), Cell("HA_SITES"), nothing, Cell(site.url), certificate
    for one in report.containers.sites if report.containers else ():
        certificate = Cell(one.certificate or "-")
        yield (
            Cell(site_name(one)),
            Cell("containers"),
            _UP[one.up],
            Cell(served_by(one)),
            certificate,
        )


def site_name(site: SiteReport) -> str:
    """Return a site's host and path as people write them."""
    return f"{site.host}{site.path.rstrip('/')}"


def served_by(site: SiteReport) -> str:
    """Return how many containers a site has on each node, and how they are."""
    nodes = (
        f"{node}: {', '.join(f'{count} {state}' for state, count in sorted(states.items()))}"
        for node, states in site.replicas.items()
    )
    return "; ".join(nodes) or "no container"

"""All checks of `ha doctor`, in the order in which they are shown."""

from collections.abc import Callable, Iterator
from typing import Final

from sidecar.core.doctor import container, network, pair
from sidecar.core.doctor.facts import Facts
from sidecar.core.doctor.finding import Finding

CHECKS: Final[tuple[Callable[[Facts], Iterator[Finding]], ...]] = (
    container.capabilities,
    container.users,
    container.places,
    container.single_files,
    container.watches,
    network.identity,
    network.managers,
    network.subnet,
    network.strangers,
    network.router_ids,
    network.adverts,
    network.gateway,
    network.names,
    pair.reach,
    pair.links,
    pair.settings,
    pair.told,
    pair.configuration,
)


def examine(facts: Facts) -> tuple[Finding, ...]:
    """Return what all checks find."""
    return tuple(finding for check in CHECKS for finding in check(facts))

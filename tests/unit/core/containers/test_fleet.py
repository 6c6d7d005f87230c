from dataclasses import replace

import pytest

from sidecar.core.containers.fleet import (
    LINGERS,
    Lasting,
    PeerOffers,
    PeerReplicas,
    Site,
    Taken,
    merge,
)
from sidecar.core.containers.report import report
from sidecar.core.containers.site import Offer, offers, routes
from sidecar.core.containers.words import Proto
from tests.unit.core.containers.made import AROUND, container

NOBODY = Taken()


def offered(host: str = "app.test", **variables: str) -> tuple[Offer, ...]:
    said = {"VIRTUAL_HOST": host, **variables}
    found, _ = routes([replace(container("there"), environment=said)], AROUND)
    return offers(found)


def peer(*said: Offer, linked: bool = True, node: str = "192.0.2.12") -> PeerOffers:
    return PeerOffers(node=node, linked=linked, offers=said)


def sites(*hosts: str, peers: tuple[PeerOffers, ...] = ()) -> tuple[Site, ...]:
    own, _ = routes([container(host, VIRTUAL_HOST=host) for host in hosts], AROUND)
    return merge(own, peers, NOBODY)[0]


def test_a_site_has_the_containers_of_all_nodes() -> None:
    (site,) = sites("app.test", peers=(peer(*offered()), peer(*offered(), node="192.0.2.13")))
    assert [one.container for one in site.own] == ["app.test"]
    assert [one.node for one in site.peers] == ["192.0.2.12", "192.0.2.13"]
    assert site.up


def test_a_site_of_a_peer_alone_is_served_too() -> None:
    (site,) = sites(peers=(peer(*offered(VIRTUAL_PROTO="grpcs")),))
    assert (site.own, site.proto) == ((), Proto.GRPC)
    assert site.peers == (PeerReplicas(node="192.0.2.12", linked=True, up=1, down=0),)
    (http,) = sites(peers=(peer(*offered(VIRTUAL_PROTO="https")),))
    assert http.proto is Proto.HTTP


def test_containers_that_are_served_otherwise_are_left_to_their_node() -> None:
    other = peer(*offered(VIRTUAL_DEST="/x"))
    (site,) = sites("app.test", peers=(other, peer(*offered(VIRTUAL_PROTO="grpc"))))
    assert not site.peers


@pytest.mark.parametrize(
    ("taken", "host", "words"),
    [
        (Taken(sites=frozenset({"app.test"})), "app.test", "HA_SITES already serves"),
        (Taken(files=frozenset({"app.test"})), "app.test", "your nginx files already serve"),
        (Taken(files=frozenset({".app.test"})), "app.test", "your nginx files already serve"),
        (Taken(files=frozenset({".app.test"})), "*.app.test", "your nginx files already serve"),
        (Taken(files=frozenset({"*.app.test"})), "*.app.test", "your nginx files already serve"),
        (Taken(longest=5), "app.test", "longer than 5"),
        (Taken(files=frozenset({"*.test", "test", "_"})), "app.test", ""),
        (Taken(files=frozenset({"app.test"})), "*.app.test", ""),
    ],
)
def test_what_nginx_has_of_its_own_wins_and_that_is_said(
    taken: Taken, host: str, words: str
) -> None:
    own, _ = routes([container(VIRTUAL_HOST=host)], AROUND)
    found, ignored = merge(own, [peer(*offered(host))], taken)
    assert bool(found) == (not words)
    assert [one.reason.startswith(f"{host}: {words}") for one in ignored] == [True] * bool(words)


def test_a_site_stays_for_a_while_after_its_last_container() -> None:
    lasting = Lasting().after(sites("a.test", "b.test"), 1.0, NOBODY)
    assert lasting.due(100.0) is None
    lasting = lasting.after(sites("a.test"), 100.0, NOBODY)
    lasting = lasting.after(sites("a.test"), 105.0, NOBODY)
    assert [site.host for site in lasting.sites] == ["a.test", "b.test"]
    assert [site.up for site in lasting.sites] == [True, False]
    assert lasting.due(106.0) == LINGERS - 6.0
    again = lasting.after(sites("a.test", "b.test"), 109.0, NOBODY)
    assert all(site.up for site in again.sites)
    lasting = lasting.after(sites("a.test"), 110.0, NOBODY)
    assert [site.host for site in lasting.sites] == ["a.test"]


def test_a_site_that_a_person_has_written_ends_at_once() -> None:
    lasting = Lasting().after(sites("a.test"), 100.0, NOBODY)
    taken = Taken(files=frozenset({"a.test"}))
    assert not lasting.after((), 100.1, taken).sites


def test_a_silent_peer_is_not_known_to_serve() -> None:
    (site,) = sites(peers=(peer(*offered(), linked=False),))
    assert site.up is None
    assert site.peers[0].up == 1
    lasting = Lasting().after((site,), 0.0, NOBODY)
    assert lasting.due(1000.0) is None


def test_people_see_who_serves_what() -> None:
    down = replace(offered("b.test")[0], up=0, down=2)
    found = sites(
        "a.test", peers=(peer(*offered("a.test"), down), peer(*offered("b.test"), linked=False))
    )
    shown = report(
        found, node="192.0.2.11", certificates={"a.test": "/c"}, ignored={"z", "y"}, error="away"
    )
    assert (shown.ignored, shown.error) == (("y", "z"), "away")
    a, b = shown.sites
    assert a.replicas == {"192.0.2.11": {"up": 1}, "192.0.2.12": {"up": 1}}
    assert (a.up, a.certificate, b.up, b.certificate) == (True, "/c", None, "")
    assert b.replicas == {"192.0.2.12": {"unknown": 1}}

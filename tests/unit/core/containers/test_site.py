from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins

from sidecar.core.containers.container import Condition
from sidecar.core.containers.site import MOST_SITES, Offer, from_peer, offers, routes
from sidecar.core.containers.words import Method, Proto
from tests.unit.core.containers.made import AROUND, container

OFFER = Offer(
    host="app.test",
    path="/",
    dest="",
    grpc=False,
    method=Method.REDIRECT,
    certificate="",
    up=1,
    down=0,
)


def test_containers_of_one_site_are_its_replicas() -> None:
    found, ignored = routes(
        [
            container("b", address="172.17.0.4", VIRTUAL_HOST="app.test", HTTPS_METHOD="nohttp"),
            container("a", VIRTUAL_HOST="app.test", CERT_NAME="mine"),
            container("c", condition=Condition.STARTING, VIRTUAL_HOST="app.test"),
        ],
        AROUND,
    )
    assert not ignored
    (route,) = found
    assert [one.container for one in route.replicas] == ["a", "b", "c"]
    assert [one.up for one in route.replicas] == [True, True, False]
    assert (route.method, route.certificate) == (Method.REDIRECT, "mine")
    (offer,) = offers(found)
    assert offer == replace(OFFER, certificate="mine", up=2, down=1)
    assert offer.key == route.key == ("app.test", "/")


def test_a_container_that_is_served_otherwise_is_ignored() -> None:
    found, ignored = routes(
        [
            container("a", VIRTUAL_HOST="app.test"),
            container("b", VIRTUAL_HOST="app.test", VIRTUAL_PROTO="grpc"),
            container("c", VIRTUAL_HOST="app.test", VIRTUAL_DEST="/x"),
            container("d", VIRTUAL_HOST="app.test", address="10.9.9.9"),
            container("e", VIRTUAL_HOST="~x"),
        ],
        AROUND,
    )
    assert [one.container for route in found for one in route.replicas] == ["a"]
    assert [one.container for one in ignored] == ["b", "c", "d", "e"]
    assert ignored[0].reason.startswith("app.test/: a sets another")


def test_a_node_has_a_limit_of_sites() -> None:
    hosts = ",".join(f"h{number}.test" for number in range(600))
    both = (
        container("a", VIRTUAL_HOST=hosts),
        container("b", VIRTUAL_HOST=hosts.replace("h", "i")),
    )
    found, ignored = routes(both, AROUND)
    assert len(found) == MOST_SITES
    assert len(ignored) == 200
    assert "more than 1000 sites" in ignored[0].reason


def test_what_is_offered_survives_the_way() -> None:
    found, _ = routes(
        [
            container("a", VIRTUAL_HOST="*.b.test,a.test", VIRTUAL_PROTO="https"),
            container("g", VIRTUAL_HOST="g.test", VIRTUAL_PROTO="grpc"),
            container("d", VIRTUAL_HOST="d.test", VIRTUAL_PATH="/x/", VIRTUAL_DEST="/"),
        ],
        AROUND,
    )
    said = offers(found)
    assert len(said) == 4
    assert from_peer([to_builtins(offer) for offer in said]) == said
    assert found[0].proto is Proto.HTTPS


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "a;b"},
        {"host": "a.test\n"},
        {"host": "~."},
        {"host": 7},
        {"host": "$host"},
        {"path": "/ {"},
        {"path": "~ ^/"},
        {"path": "/;"},
        {"dest": "/$request_uri"},
        {"dest": "/#"},
        {"grpc": True, "dest": "/"},
        {"grpc": "yes"},
        {"method": "other"},
        {"certificate": "../../../run/ha/ssh"},
        {"certificate": "a b"},
        {"certificate": "-"},
        {"up": -1},
        {"up": 10**9},
        {"up": 1.5},
        {"down": True},
        {"down": None},
    ],
)
def test_a_peer_that_lies_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        from_peer([{**to_builtins(OFFER), **changes}])


def test_a_peer_with_too_many_sites_or_one_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        from_peer([to_builtins(OFFER)] * 2)
    many = [to_builtins(replace(OFFER, host=f"h{number}.test")) for number in range(10_000)]
    with pytest.raises(ValueError, match="at most 1000"):
        from_peer(many)
    assert len(from_peer(many[:1000])) == 1000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.sampled_from(sorted(to_builtins(OFFER))), json_values)
def test_no_value_raises_another_error_or_becomes_syntax(name: str, value: object) -> None:
    try:
        (offer,) = from_peer([{**to_builtins(OFFER), name: value}])
    except ValueError:
        return
    for text in (offer.host, offer.path, offer.dest, offer.certificate):
        assert not set(text) & set(" \t\r\n;{}$#'\"\\")

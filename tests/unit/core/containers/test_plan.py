from dataclasses import replace
from ipaddress import ip_address

import pytest

from sidecar.core.containers.container import Condition
from sidecar.core.containers.fleet import PeerReplicas, Site
from sidecar.core.containers.plan import (
    Fleet,
    Location,
    Plan,
    Relays,
    certificate_names,
    mark,
    plan,
    unsecured,
)
from sidecar.core.containers.site import Replica
from sidecar.core.containers.words import Method, Proto
from tests.unit.core.containers.made import RELAYS, B, replica, site


def there(node: str = "192.0.2.12", *, up: int = 1, linked: bool = True) -> PeerReplicas:
    return PeerReplicas(node=node, linked=linked, up=up, down=0)


def planned(
    *sites: Site,
    certificates: dict[str, str] | None = None,
    spread: bool = False,
    ipv6: bool = False,
    relays: Relays = RELAYS,
) -> Plan:
    return plan(
        Fleet(sites=sites, relays=relays, spread=spread),
        certificates=certificates or {},
        ipv6=ipv6,
    )


def only(made: Plan) -> Location:
    ((location,),) = (server.locations for server in made.servers)
    return location


def groups(made: Plan) -> dict[str, tuple[str, ...]]:
    return {group.name: group.servers for group in made.groups if "peer" not in group.name}


def test_own_containers_are_one_group() -> None:
    one = site(own=(replica(3), replica(4), replica(5, Condition.STARTING), replica(6, server="")))
    made = planned(one)
    assert groups(made) == {"ha_own_1": ("172.17.0.3:80", "172.17.0.4:80")}
    assert only(made) == Location(path="/", target="http://ha_own_1", connect_timeout="500ms")
    assert made.relayed == {mark(one): "http://ha_own_1"}
    assert (made.relay, made.secure) == ("192.0.2.11:8731", ())


def test_a_single_container_has_time_to_answer() -> None:
    assert only(planned(site(own=(replica(),)))).connect_timeout == "5s"


def test_peers_are_asked_when_no_own_container_answers() -> None:
    one = replace(site(own=(replica(),)), peers=(there(), there("192.0.2.13", up=0)))
    made = planned(one)
    assert groups(made) == {
        "ha_own_1": ("172.17.0.3:80",),
        "ha_site_1": ("172.17.0.3:80", "unix:/run/ha-relay/1-http.sock backup"),
    }
    assert only(made) == Location(
        path="/", target="http://ha_site_1", mark=mark(one), connect_timeout="500ms"
    )
    # What a peer asks for never leaves this node again.
    assert made.relayed == {mark(one): "http://ha_own_1"}


def test_the_ways_to_the_peers_are_always_there() -> None:
    made = planned()
    assert [(group.name, group.servers) for group in made.groups] == [
        ("ha_peer_1", ("192.0.2.12:8731",)),
        ("ha_peer_2", ("192.0.2.13:8731",)),
    ]
    assert [(one.listen, one.group) for one in made.sockets] == [
        (f"unix:/run/ha-relay/{number}-{proto}.sock", f"ha_peer_{number}")
        for number in (1, 2)
        for proto in ("http", "https", "grpc", "grpcs")
    ]
    assert [one.proto.tls for one in made.sockets] == 2 * [False, True, False, True]


def test_spread_out_all_containers_are_alike() -> None:
    one = replace(
        site(own=(replica(),)),
        peers=(there(up=2), there("192.0.2.13", linked=False)),
    )
    assert groups(planned(one, spread=True))["ha_site_1"] == (
        "172.17.0.3:80",
        "unix:/run/ha-relay/1-http.sock weight=2",
    )
    silent = replace(one, peers=(there(linked=False),))
    assert "ha_site_1" not in groups(planned(silent, spread=True))
    assert groups(planned(silent))["ha_site_1"][1].endswith(" backup")


def test_without_own_containers_the_peers_relays_are_asked_directly() -> None:
    one = replace(site(), peers=(there(up=3), there("192.0.2.13"), there(linked=False)))
    made = planned(one)
    assert groups(made) == {"ha_site_1": ("192.0.2.12:8731 weight=3", "192.0.2.13:8731 weight=1")}
    assert only(made) == Location(path="/", target="https://ha_site_1", direct=True, mark=mark(one))
    assert not made.relayed


def test_a_silent_peer_is_asked_if_there_is_no_other() -> None:
    made = planned(replace(site(), peers=(there(linked=False),)))
    assert groups(made) == {"ha_site_1": ("192.0.2.12:8731 weight=1",)}


def test_a_site_that_nobody_serves_stays() -> None:
    assert only(planned(site(own=(replica(3, Condition.UNHEALTHY),)))) == Location(path="/")


@pytest.mark.parametrize(
    ("proto", "target", "direct"),
    [
        (Proto.HTTPS, "https://ha_site_1/d", "https://ha_site_1/d"),
        (Proto.GRPC, "grpc://ha_site_1/d", "grpcs://ha_site_1/d"),
        (Proto.GRPCS, "grpcs://ha_site_1/d", "grpcs://ha_site_1/d"),
    ],
)
def test_each_protocol_has_a_way_of_its_own(proto: Proto, target: str, direct: str) -> None:
    one = replace(site(own=(replica(),), proto=proto, dest="/d"), peers=(there(),))
    made = planned(one)
    assert only(made).target == target
    assert only(made).grpc is proto.grpc
    assert groups(made)["ha_site_1"][1] == f"unix:/run/ha-relay/1-{proto}.sock backup"
    assert only(planned(replace(one, own=()))).target == direct


def test_peers_over_ipv6() -> None:
    relays = replace(RELAYS, node=ip_address("fd00::1"), peers=(ip_address("fd00::2"), B))
    made = planned(replace(site(), peers=(there("fd00::2"),)), relays=relays)
    assert made.relay == "[fd00::1]:8731"
    assert groups(made) == {"ha_site_1": ("[fd00::2]:8731 weight=1",)}


PLAIN, SECURE = ("80", "[::]:80"), ("443 ssl", "[::]:443 ssl")


@pytest.mark.parametrize(
    ("method", "certificate", "listens", "redirects", "closed"),
    [
        (Method.REDIRECT, "", PLAIN, (), ()),
        (Method.REDIRECT, "/c", SECURE, PLAIN, ()),
        (Method.NOREDIRECT, "/c", (*PLAIN, *SECURE), (), ()),
        (Method.NOHTTP, "/c", SECURE, (), PLAIN),
        (Method.NOHTTP, "", PLAIN, (), ()),
        (Method.NOHTTPS, "/c", PLAIN, (), ()),
    ],
)
def test_https_as_the_site_wants_it(
    method: Method,
    certificate: str,
    listens: tuple[str, ...],
    redirects: tuple[str, ...],
    closed: tuple[str, ...],
) -> None:
    certificates = {"app.test": certificate} if certificate else {}
    one = site(own=(replica(),), method=method)
    made = planned(one, certificates=certificates, ipv6=True)
    (server,) = made.servers
    assert (server.listens, server.redirects, server.closed) == (listens, redirects, closed)
    assert server.certificate == (certificate if method is not Method.NOHTTPS else "")
    assert bool(made.secure) == ("443 ssl" in listens)


def test_a_site_that_forbids_http_and_has_no_certificate_is_named() -> None:
    def strict(host: str, certificate: str = "", own: tuple[Replica, ...] = (replica(),)) -> Site:
        return site(host, own=own, method=Method.NOHTTP, certificate=certificate)

    sites = (
        strict("a.test"),
        strict("b.test", "shared"),
        strict("secure.test"),
        strict("theirs.test", own=()),
        site("z.test", own=(replica(),)),
    )
    one, other = map(str, unsecured(sites, {"secure.test": "/c"}))
    assert one.startswith("container web3: HTTPS_METHOD=nohttp, but a.test has no certificate")
    assert one.endswith("certs/a.test")
    assert other.endswith("certs/shared")


def test_paths_of_a_host_are_one_server() -> None:
    own = (replica(),)
    made = planned(
        site("a.test", "/x", certificate="peers"),
        site("a.test", "/y", own=own, certificate="ours"),
        site("b.test", own=own),
    )
    assert [(server.host, server.rest) for server in made.servers] == [
        ("a.test", True),
        ("b.test", False),
    ]
    assert [location.path for location in made.servers[0].locations] == ["/x", "/y"]
    assert groups(made).keys() == {"ha_own_2", "ha_own_3"}
    sites = (site("a.test", "/x", certificate="peers"), site("a.test", "/y", own=own))
    assert certificate_names(sites) == {"a.test": ""}


def test_the_addresses_come_from_the_cluster() -> None:
    from sidecar.core.settings import Identity
    from tests.unit.settings.example import load_with

    identity = Identity(node=RELAYS.node, index=0, interface="eth0", peers=RELAYS.peers)
    assert Relays.of(load_with().settings, identity, RELAYS.sockets) == RELAYS

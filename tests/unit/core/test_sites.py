from dataclasses import replace

import pytest

from sidecar.core.settings import Site
from sidecar.core.sites import SitePlan, listens, plan


def planned(
    url: str,
    host: str = "app.test",
    *,
    certificates: dict[str, str] | None = None,
    resolvers: tuple[str, ...] = ("192.0.2.53",),
    hosts: dict[str, str] | None = None,
    ipv6: bool = True,
) -> SitePlan:
    (site,) = plan(
        [Site(host=host, url=url)],
        certificates=certificates or {},
        resolvers=resolvers,
        hosts=hosts or {},
        ipv6=ipv6,
    )
    return site


def test_a_literal_address_gets_a_group_that_keeps_connections_open() -> None:
    assert planned("http://192.0.2.7:8080") == SitePlan(
        host="app.test",
        url="http://192.0.2.7:8080",
        listens=("80", "[::]:80"),
        redirect_listens=(),
        certificate="",
        group="ha_1",
        server="192.0.2.7:8080",
        variable="",
        resolver="",
        target="http://ha_1",
        path="",
        tls_name="",
    )


def test_a_name_is_looked_up_while_nginx_runs() -> None:
    literal = planned("http://192.0.2.7")
    assert planned("http://app.internal:81") == replace(
        literal,
        url="http://app.internal:81",
        group="",
        server="",
        variable="app.internal",
        resolver="192.0.2.53 valid=10s",
        target="http://$ha_upstream:81",
    )


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("http://localhost:3000", "127.0.0.1:3000"),
        ("http://[fd00::5]:8080", "[fd00::5]:8080"),
        ("http://192.0.2.7", "192.0.2.7:80"),
        ("https://192.0.2.7", "192.0.2.7:443"),
        ("http://Known", "192.0.2.8:80"),
        ("http://known6:1/x", "[fd00::8]:1"),
        ("http://unknown", ""),
        ("http://zoned", ""),
    ],
)
def test_what_is_an_address_is_written_as_one(url: str, server: str) -> None:
    hosts = {"known": "192.0.2.8", "known6": "fd00::8", "zoned": "nonsense"}
    assert planned(url, hosts=hosts).server == server


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://192.0.2.7/", "http://ha_1"),
        ("http://192.0.2.7/a/b/", "http://ha_1/a/b$request_uri"),
        ("https://name.test/a", "https://$ha_upstream:443/a$request_uri"),
    ],
)
def test_a_path_comes_before_what_the_client_asked_for(url: str, target: str) -> None:
    assert planned(url).target == target


def test_a_certificate_moves_the_site_to_https() -> None:
    site = planned("http://192.0.2.7", certificates={"app.test": "/etc/nginx/certs/app.test"})
    assert site.listens == ("443 ssl", "[::]:443 ssl")
    assert site.redirect_listens == ("80", "[::]:80")
    assert site.certificate == "/etc/nginx/certs/app.test"


def test_the_default_site_takes_all_other_names_with_and_without_tls() -> None:
    assert planned("http://192.0.2.7", "_", ipv6=False).listens == ("80 default_server",)
    secure = planned("http://192.0.2.7", "_", ipv6=False, certificates={"_": "/c"})
    assert secure.listens == ("443 ssl default_server",)
    assert secure.redirect_listens == ("80 default_server",)


def test_without_ipv6_nothing_listens_on_it_or_asks_for_it() -> None:
    assert planned("http://name.test", ipv6=False).listens == ("80",)
    assert planned("http://name.test", ipv6=False).resolver == "192.0.2.53 valid=10s ipv6=off"
    assert listens(80, ipv6=False) == ("80",)


def test_name_servers_are_written_as_nginx_wants_them() -> None:
    assert planned("http://n.test", resolvers=("fd00::53", "192.0.2.53")).resolver == (
        "[fd00::53] 192.0.2.53 valid=10s"
    )
    assert not planned("http://n.test", resolvers=()).resolver


def test_https_applications_are_told_the_name_that_was_asked_for() -> None:
    assert planned("https://Name.test").tls_name == "name.test"
    assert not planned("http://name.test").tls_name


def test_sites_keep_their_order_and_have_groups_of_their_own() -> None:
    sites = [Site(host=name, url="http://192.0.2.7") for name in ("b.test", "a.test")]
    planned_sites = plan(sites, certificates={}, resolvers=(), hosts={}, ipv6=True)
    assert [(site.host, site.group) for site in planned_sites] == [
        ("b.test", "ha_1"),
        ("a.test", "ha_2"),
    ]

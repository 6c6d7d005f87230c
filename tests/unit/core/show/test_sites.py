import re
from dataclasses import replace

from sidecar.core.report import ContainersReport, NginxReport, SiteReport
from sidecar.core.settings import Site
from sidecar.core.show.sites import served_by, sites_text
from tests.unit.reports import EMPTY, FULL

NGINX = NginxReport(enabled=True)


def test_each_site_has_a_line_with_who_serves_it() -> None:
    own = tuple(Site(host=f"{word}.example.org", url="http://192.0.2.7") for word in ("own", "tls"))
    certificates = {"tls.example.org": "/etc/nginx/certs/tls.example.org"}
    head, *lines = sites_text(FULL, own, certificates).splitlines()
    assert head.split() == ["SITE", "FROM", "UP", "SERVED-BY", "CERTIFICATE"]
    assert [re.split(r" {2,}", line) for line in lines] == [
        ["shop.example.org", "conf.d/shop.conf", "-", "-", "/etc/nginx/certs/shop.pem"],
        ["0.0.0.0:5432", "stream.d/db.conf", "-", "-", "-"],
        ["own.example.org", "HA_SITES", "-", "http://192.0.2.7", "-"],
        [
            *("tls.example.org", "HA_SITES", "-", "http://192.0.2.7"),
            "/etc/nginx/certs/tls.example.org",
        ],
        [
            *("app.example.org", "containers", "yes"),
            "192.0.2.11: 1 starting, 2 up; 192.0.2.12: 1 up",
            "/etc/nginx/certs/app.example.org",
        ],
        ["down.example.org/api", "containers", "no", "192.0.2.12: 1 unhealthy", "-"],
    ]


def test_what_only_a_silent_node_had_is_unknown() -> None:
    site = SiteReport(host="a.test", path="/", up=None, replicas={"192.0.2.12": {"unknown": 1}})
    containers = ContainersReport(sites=(site,))
    text = sites_text(replace(EMPTY, nginx=NGINX, containers=containers), (), {})
    assert text.splitlines()[1].split()[:3] == ["a.test", "containers", "?"]


def test_without_sites_it_says_why() -> None:
    assert "HA_NGINX=off" in sites_text(EMPTY, (), {})
    assert "no server" in sites_text(replace(EMPTY, nginx=NGINX), (), {})


def test_a_site_that_has_just_lost_its_last_container_says_so() -> None:
    assert served_by(SiteReport(host="a.test", path="/", up=False)) == "no container"

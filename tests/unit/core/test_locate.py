import pytest

from sidecar.core.locate import locate

FILES = (
    (
        "/etc/nginx/nginx.conf",
        "http {\n  # root $rooot;\n  access_log /data/a.log;\n  include certs/x.inc;\n}\n",
    ),
    (
        "/etc/nginx/conf.d/a.conf",
        """server {
  listen 127.0.0.1:8080;
  root $rooot/x;
  listen 80;
  ssl_certificate  certs/a.pem;
  set $a ${brace};
}
""",
    ),
)


@pytest.mark.parametrize(
    ("complaint", "place"),
    [
        ('[emerg] unknown "rooot" variable', "conf.d/a.conf:3"),
        ('[emerg] unknown "brace" variable', "conf.d/a.conf:6"),
        ('[emerg] open() "/data/a.log" failed (2: No such file)', "nginx.conf:3"),
        ('[emerg] cannot load certificate "/etc/nginx/certs/a.pem": ...', "conf.d/a.conf:5"),
        ("[emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)", "conf.d/a.conf:4"),
        ("[emerg] bind() to 127.0.0.1:8080 failed (98: Address in use)", "conf.d/a.conf:2"),
    ],
)
def test_a_complaint_gets_the_place_of_its_cause(complaint: str, place: str) -> None:
    assert locate(complaint, FILES) == f"{complaint} in /etc/nginx/{place}"


@pytest.mark.parametrize(
    "complaint",
    [
        '[emerg] unknown directive "listen" in /etc/nginx/nginx.conf:9',
        '[emerg] unknown "roo" variable',
        '[emerg] open() "/data/a.lo" failed (2: No such file)',
        "[emerg] bind() to unix:/run/x failed (98: Address already in use)",
        "[emerg] bind() to 0.0.0.0:8 failed (98: Address already in use)",
        "no events",
    ],
)
def test_a_complaint_with_a_place_or_without_a_cause_stays(complaint: str) -> None:
    assert locate(complaint, FILES) == complaint

import pytest

from sidecar.core.listens import Listen, listens


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("80", ["0.0.0.0:80"]),
        ("*:8080 default_server", ["0.0.0.0:8080"]),
        ("127.0.0.1:81", ["127.0.0.1:81"]),
        ("127.0.0.1", ["127.0.0.1:80"]),
        ("localhost:82 ssl", ["localhost:82"]),
        ("[::]:83 ipv6only=on", ["[::]:83"]),
        ("[::1]", ["[::1]:80"]),
        ("90-92", ["0.0.0.0:90", "0.0.0.0:91", "0.0.0.0:92"]),
        ("unix:/run/x.sock", []),
        ('"84"', ["0.0.0.0:84"]),
    ],
)
def test_an_address_is_read_as_nginx_does(value: str, found: list[str]) -> None:
    assert [str(listen) for listen in listens(f"server {{ listen {value}; }}")] == found


def test_each_is_named_once_and_comments_do_not_count() -> None:
    dump = "server { listen 80; }\n# listen 81;\nserver { listen 80; listen 443 quic; }"
    assert listens(dump) == (Listen("", 80), Listen("", 443, udp=True))


def test_udp_is_another_port() -> None:
    assert listens("listen 53 udp;listen 53;") == (Listen("", 53, udp=True), Listen("", 53))

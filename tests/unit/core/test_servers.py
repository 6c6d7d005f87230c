import pytest

from sidecar.core.servers import servers

RUN = "/run/ha/nginx"


def dump(**files: str) -> str:
    """Return what `nginx -T` prints of files below /etc/nginx, the first one being nginx.conf."""
    head = "nginx: configuration file /etc/nginx/nginx.conf test is successful\n"
    return head + "\n".join(
        f"# configuration file /etc/nginx/{path}:\n{text}\n" for path, text in files.items()
    )


def found(text: str) -> list[tuple[str, str, str]]:
    """Return host, file and certificate of each server."""
    return [(one.host, one.file, one.certificate) for one in servers(text, "/etc/nginx", RUN)]


def hosts(server: str) -> list[str]:
    """Return the hosts of a block inside of http."""
    return [host for host, _, _ in found(dump(**{"nginx.conf": f"http {{ {server} }}"}))]


def test_nothing_has_no_servers() -> None:
    assert found("") == []
    assert (
        found(dump(**{"nginx.conf": "events {} http { upstream a { server b.test:80; } }"})) == []
    )


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("server { server_name A.test '.b.test'\n ~^c.*$; }", ["a.test", ".b.test", "~^c.*$"]),
        (r'server { server_name "~^\d{2}\".test$"; }', [r"~^\d{2}\".test$"]),
        ("server { set $x ${y}z; server_name a#b.test; # server_name c.test;\n }", ["a#b.test"]),
        ("server { return 200 'server { server_name a.test; }'; server_name b.test; }", ["b.test"]),
        ("server { server_name a.test; } server { server_name a.test; listen 81; }", ["a.test"]),
        ("server { }", ["0.0.0.0:80"]),
        ("server { server_name ''; listen 81; listen [::]:81; }", ["0.0.0.0:81", "[::]:81"]),
        ("server { listen unix:/run/a.sock; }", []),
        ("; { } } server { server_name a.test; }", []),
    ],
)
def test_each_name_is_read_as_nginx_does(server: str, expected: list[str]) -> None:
    assert hosts(server) == expected


def test_servers_are_named_with_the_file_that_they_stand_in() -> None:
    text = dump(
        **{
            "nginx.conf": "http { include conf.d/*.conf; include /opt/a.conf; }\n"
            "stream { include stream.d/*; }\nmail { server { listen 25; } }",
            "conf.d/a.conf": "server { include snippets/names.conf; }",
            "snippets/names.conf": "server_name a.test;",
            "conf.d/old/b.conf": "server { server_name never.test; }",
            "stream.d/db": "server { listen 5432; server_name db.test; proxy_pass db; }",
        }
    )
    text += "# configuration file /opt/a.conf:\nserver { server_name opt.test; }\n"
    text += f"# configuration file {RUN}/sites.conf:\nserver {{ server_name ours.test; }}\n"
    text = text.replace("include /opt", f"include {RUN}/*.conf; include /opt")
    assert found(text) == [
        ("a.test", "conf.d/a.conf", ""),
        ("opt.test", "/opt/a.conf", ""),
        ("0.0.0.0:5432", "stream.d/db", ""),
        ("0.0.0.0:25", "nginx.conf", ""),
    ]


def test_a_certificate_is_the_servers_own_or_the_one_of_all() -> None:
    text = dump(
        **{
            "nginx.conf": """http {
                ssl_certificate certs/all.pem;
                server { server_name a.test; listen 80; return 301 https://$host; }
                server { server_name a.test; listen 443 ssl; include tls.conf; }
                server { server_name b.test; listen 443 quic; }
                server { server_name c.test; listen 80; ssl_certificate /unused.pem; }
            }
            stream { server { listen 853 ssl; } }""",
            "tls.conf": "ssl_certificate /a.pem; ssl_certificate_key /a.key;",
        }
    )
    assert found(text) == [
        ("a.test", "nginx.conf", "/a.pem"),
        ("b.test", "nginx.conf", "/etc/nginx/certs/all.pem"),
        ("c.test", "nginx.conf", ""),
        ("0.0.0.0:853", "nginx.conf", ""),
    ]

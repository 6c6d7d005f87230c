from ipaddress import ip_address

import pytest

from sidecar.core.nginx import (
    advice,
    emergency,
    first_emergency,
    includes,
    named,
    of_this_machine,
    parse_stub_status,
    problems,
)
from sidecar.core.report import Severity, StubStatus

UNKNOWN = 'unknown directive "listne" in /etc/nginx/nginx.conf:2'
RUN = "/run/ha/nginx"
PAGE = (
    "Active connections: 3 \n"
    "server accepts handled requests\n"
    " 16 15 31 \n"
    "Reading: 0 Writing: 1 Waiting: 2 \n"
)


@pytest.mark.parametrize(
    "line",
    [
        f"nginx: [emerg] {UNKNOWN}",
        f"2026/11/23 12:49:51 [emerg] 12#12: {UNKNOWN}",
        f"2026/11/23 12:49:51 [emerg] 12#12: *7 {UNKNOWN}\n",
    ],
)
def test_an_emergency_is_said_without_time_and_process(line: str) -> None:
    assert emergency(line) == f"[emerg] {UNKNOWN}"


def test_only_emergencies_count() -> None:
    assert not emergency("2026/11/23 12:49:51 [warn] 12#12: [emerg] is only mentioned")
    assert not first_emergency(["", "nginx: configuration file test failed"])
    assert first_emergency(["nginx: [warn] a", "nginx: [emerg] b", "nginx: [emerg] c"]) == (
        "[emerg] b"
    )


@pytest.mark.parametrize(
    ("complaint", "word"),
    [
        ('[emerg] getpwnam("nginx") failed in /etc/nginx/nginx.conf:2', "www-data"),
        ("[emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)", "ss -tulnp"),
        ("[emerg] bind() to 192.0.2.1:80 failed (99: Cannot assign requested address)", "VIP"),
        ("[emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)", "NET_BIND_SERVICE"),
        ('[emerg] host not found in upstream "x" in /etc/nginx/a.conf:1', "HA_SITES"),
        ('[emerg] open() "/var/log/a" failed (30: Read-only file system)', "/var/log/nginx"),
        ('[emerg] open() "/data/x" failed (30: Read-only file system)', "/var/cache/nginx"),
        ('[emerg] open() "/x/a.log" failed (2: No such file or directory)', "/var/log/nginx"),
        ('[emerg] open() "/srv/error" failed (30: Read-only file system)', "/var/log/nginx"),
        ('[emerg] open() "/etc/nginx/x.inc" failed (2: No such file)', "nginx folder"),
        (
            '[emerg] open() "/etc/nginx/modules-enabled/50-mod-http-echo.conf" failed (2: No such)',
            "no such module",
        ),
        ('[emerg] cannot load certificate "/x": BIO_new_file() failed', "mount"),
        ('[emerg] mkdir() "/data/x" failed (2: No such file or directory)', "/var/cache/nginx"),
        ('[emerg] unknown directive "stream" in /etc/nginx/nginx.conf:1', "ngx_stream_module.so"),
        ('[emerg] unknown directive "brotli_static" in /x:1', "ngx_http_brotli_static_module.so"),
        ('[emerg] unknown directive "brotli" in /x:1', "ngx_http_brotli_filter_module.so"),
        ('[emerg] unknown directive "more_set_headers" in /x:1', "headers_more"),
        ('[emerg] unknown directive "geoip2" in /x:1', "ngx_http_geoip2_module.so"),
        ('[emerg] unknown directive "js_import" in /x:1', "ngx_http_js_module.so"),
        ('[emerg] unknown directive "set_md5" in /x:1', "ndk_http_module.so"),
        ('[emerg] unknown directive "content_by_lua_block" in /x:1', "no module"),
        ('[emerg] unknown directive "\ufeffuser" in /x:1', "byte order mark"),
        ('[emerg] unknown directive "ssl" in /x:1', "listen 443 ssl"),
        ('[emerg] invalid parameter "resolve" in /x:1', "1.26"),
        ('[emerg] unknown "connection_upgrade" variable', "map $http_upgrade"),
        ('[emerg] unknown "x" variable', "typo"),
        (f"[emerg] {UNKNOWN}", ""),
    ],
)
def test_usual_complaints_come_with_a_way_out(complaint: str, word: str) -> None:
    assert word in advice(complaint)
    assert bool(word) == bool(advice(complaint))


def test_each_module_that_is_missing_gets_a_whole_line_in_the_order_of_loading() -> None:
    assert advice('[emerg] unknown directive "set_md5" in /x:1') == (
        "add at the top: `load_module modules/ndk_http_module.so;`"
        " and `load_module modules/ngx_http_set_misc_module.so;`"
    )


@pytest.mark.parametrize(
    ("complaint", "machine"),
    [
        ('[emerg] mkdir() "/var/lib/nginx/x" failed (28: No space left on device)', True),
        ('[emerg] open() "/etc/nginx/x.conf" failed (5: Input/output error)', True),
        ('[emerg] open() "/etc/nginx/x.conf" failed (2: No such file or directory)', False),
        (f"[emerg] {UNKNOWN}", False),
    ],
)
def test_what_is_wrong_with_the_machine_is_no_fault_of_the_configuration(
    complaint: str, machine: bool
) -> None:
    assert of_this_machine(complaint) == machine


def test_the_counters_are_read() -> None:
    assert parse_stub_status(PAGE) == StubStatus(
        active=3, accepted=16, handled=15, requests=31, reading=0, writing=1, waiting=2
    )


@pytest.mark.parametrize("page", ["", "<html>", PAGE[:-10], f"x{PAGE}"])
def test_another_page_is_not_taken_for_counters(page: str) -> None:
    with pytest.raises(ValueError, match="stub_status"):
        parse_stub_status(page)


@pytest.mark.parametrize(
    ("dump", "included"),
    [
        ("http {\n    include /run/ha/nginx/*.conf;\n}", True),
        ('http { include "/run/ha/nginx/*.conf"; }', True),
        ("http { include mime.types; include /run/ha/nginx/sites.conf; }", True),
        ("http {\n    # include /run/ha/nginx/*.conf;\n}", False),
        ("http {\n    include conf.d/*.conf; # include /run/ha/nginx/*.conf;\n}", False),
        ("http { include /run/ha/nginx-other/*.conf; }", False),
        ("", False),
    ],
)
def test_our_include_is_found(dump: str, included: bool) -> None:  # a table
    assert includes(dump, RUN) is included


def test_a_configuration_that_uses_ours_and_listens_everywhere_has_no_problem() -> None:
    dump = "http { include /run/ha/nginx/*.conf; server { listen 80; listen [::]:80 default_server;"
    assert not list(problems(dump, directory=RUN, sites=True, vips=[ip_address("192.0.2.10")]))


def test_what_is_lost_without_our_include_depends_on_the_settings() -> None:
    (with_sites,) = problems("", directory=RUN, sites=True, vips=[])
    (without,) = problems("", directory=RUN, sites=False, vips=[])
    assert (with_sites.severity, without.severity) == (Severity.ERROR, Severity.WARNING)
    assert "HA_SITES" in with_sites.message
    assert "HA_SITES" not in without.message
    assert RUN in without.hint


@pytest.mark.parametrize(
    "listen", ["192.0.2.10", "192.0.2.10:443 ssl", "[fd00::10]:80", "[fd00:0:0::10]"]
)
def test_a_listen_on_a_vip_is_a_problem_once(listen: str) -> None:
    server = f"server {{ listen {listen}; listen unix:/x; listen 192.0.2.1:80; listen *:81; }}"
    vips = [ip_address("192.0.2.10"), ip_address("fd00::10")]
    dump = f"include {RUN}/*.conf; {server} {server}"
    (problem,) = problems(dump, directory=RUN, sites=False, vips=vips)
    assert problem.code == "nginx-listen-vip"
    assert listen.split(maxsplit=1)[0] in problem.message


NAMING = """\
# configuration file /etc/nginx/nginx.conf:
http {
    include mime.types;
    server_names_hash_bucket_size 128;
    include "/opt/sites/*.conf";
    # ssl_certificate /etc/old.pem;
    server {
        ssl_certificate /etc/letsencrypt/live/a/fullchain.pem;
        ssl_certificate_key certs/a.key;
        ssl_certificate $host.pem;
        ssl_certificate_key engine:pkcs11:a;
        ssl_certificate "data:$text";
        proxy_ssl_certificate /etc/client.pem;
        ssl_password_file /etc/password;
        proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;
        auth_basic_user_file /etc/users;
        server_name A.test ".b.test"
            ~^c.*$;
        # server_name old.test;
    }
}
# configuration file /opt/sites/with space.conf:
server { }
# configuration file /run/ha/nginx/sites.conf:
server { server_name ours.test; }
"""


def test_a_table_of_names_has_room_for_what_nginx_has_by_itself() -> None:
    assert named("", "/etc/nginx", RUN).longest_server == 46
    odd = "server_names_hash_bucket_size many;"
    assert named(odd, "/etc/nginx", RUN).longest_server == 46


def test_what_is_read_with_a_configuration_is_named() -> None:
    found = named(NAMING, "/etc/nginx", RUN)
    assert found.certificates == {"/etc/letsencrypt/live/a/fullchain.pem", "/etc/client.pem"}
    assert found.files - found.certificates == {
        "/etc/nginx/nginx.conf",
        "/opt/sites/with space.conf",
        "/etc/nginx/certs/a.key",
        "/etc/password",
        "/etc/ssl/certs/ca-certificates.crt",
        "/run/ha/nginx/sites.conf",
    }
    assert [(server.host, server.file) for server in found.servers] == [
        ("0.0.0.0:80", "/opt/sites/with space.conf"),
        ("a.test", "nginx.conf"),
        (".b.test", "nginx.conf"),
        ("~^c.*$", "nginx.conf"),
    ]
    assert found.longest_server == 110
    assert found.patterns == {"/etc/nginx/mime.types", "/opt/sites/*.conf"}

import re
from collections.abc import Callable
from ipaddress import ip_address, ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.settings import LogFormat, LogLevel, Prefer, Site
from sidecar.settings import network, parse, sync
from sidecar.settings.row import Row
from sidecar.settings.schema import SCHEMA

seconds = parse.duration("10ms", "40s", step="10ms")

ACCEPTED: list[tuple[Callable[[str], object], str, object]] = [
    (seconds, "100ms", 0.1),
    (seconds, "2s", 2.0),
    (seconds, "2 S", 2.0),
    (seconds, "0.5", 0.5),
    (seconds, "2", 2.0),
    (seconds, "0.5m", 30.0),
    (parse.duration("100ms", "1h"), "1h", 3600.0),
    (parse.duration("100ms", "1h"), "1m", 60.0),
    *((parse.boolean, word, True) for word in ("on", "yes", "TRUE", "1", " On ")),
    *((parse.boolean, word, False) for word in ("off", "No", "false", "0")),
    (parse.auto(seconds), " Auto", None),
    (parse.auto(seconds), "30ms", 0.03),
    (parse.integer(1, 255), "010", 10),
    (parse.integer(1, 255), "255", 255),
    (parse.choice(Prefer), "First", Prefer.FIRST),
    (parse.choice(LogFormat), "json", LogFormat.JSON),
    (parse.choice(LogLevel), "WARNING", "warning"),
    (parse.colored, "", True),
    (parse.colored, "0", False),
    (parse.timezone, "Europe/Berlin", "Europe/Berlin"),
    (parse.secrets, "0123456789abcdef" * 2, ("0123456789abcdef" * 2,)),
    (parse.optional(network.address), "", None),
    (network.address, "10.0.0.1", ip_address("10.0.0.1")),
    (network.address, "FD00::0001", ip_address("fd00::1")),
    (network.nodes, "10.0.0.1, 10.0.0.2,", (ip_address("10.0.0.1"), ip_address("10.0.0.2"))),
    (network.vips, "10.0.0.1", (ip_interface("10.0.0.1/32"),)),
    (network.vips, "10.0.0.1/24", (ip_interface("10.0.0.1/24"),)),
    (network.vips, "10.0.0.0/31", (ip_interface("10.0.0.0/31"),)),
    (network.vips, "fd00::1,10.0.0.1", (ip_interface("fd00::1/128"), ip_interface("10.0.0.1/32"))),
    (network.vips, "fd00::1/128", (ip_interface("fd00::1/128"),)),
    (network.listen, "127.0.0.1,0.0.0.0,::", ("127.0.0.1", "0.0.0.0", "::")),
    (network.interface, "eth0.100", "eth0.100"),
    (network.sites, "", ()),
    (network.sites, "_=http://10.0.0.1", (Site(host="_", url="http://10.0.0.1"),)),
    (
        network.sites,
        "App.example.com=https://app:8443/a, b=http://[fd00::1]:80",
        (
            Site(host="app.example.com", url="https://app:8443/a"),
            Site(host="b", url="http://[fd00::1]:80"),
        ),
    ),
    (network.urls, "http://localhost/health?a=b$1", ("http://localhost/health?a=b$1",)),
    (sync.paths, "/etc/nginx", ("/etc/nginx",)),
    (sync.paths, "/srv/b/, /srv/a,", ("/srv/a", "/srv/b")),
    (sync.paths, "/srv/a,/srv/a.b,/runs,/.hidden", ("/.hidden", "/runs", "/srv/a", "/srv/a.b")),
    (sync.schedule, "*/5 * * * *", "*/5 * * * *"),
    (sync.schedule, " 30  3 * jan-jun MON,wed ", "30 3 * jan-jun MON,wed"),
    (sync.schedule, "0 0 29 2 *", "0 0 29 2 *"),
    (sync.schedule, "0 0 L * 5#2", "0 0 L * 5#2"),
    (sync.schedule, " Off ", None),
    (sync.exclude, "", ()),
    (sync.exclude, "*.bak, /cache/ ,a/[!b-d]?", ("*.bak", "/cache/", "a/[!b-d]?")),
]

REFUSED: list[tuple[Callable[[str], object], str, str]] = [
    (seconds, "5ms", "expected 10ms to 40s"),
    (seconds, "41s", "10ms to 40s"),
    (seconds, "1h", "10ms to 40s"),
    (seconds, "15ms", "multiple of 10ms"),
    (seconds, "100.5ms", "multiple"),
    *((seconds, text, "duration") for text in ("", "-1s", "1e3", "s", "1d", "1s 5ms", "٣s", "inf")),
    *((parse.boolean, text, "on or off") for text in ("", "2", "maybe", "on off")),
    *((parse.integer(1, 255), text, "whole") for text in ("", "-1", "1.0", "0x10", "1_0", "٣")),
    (parse.integer(1, 255), "0", "expected 1 to 255"),
    (parse.integer(1, 255), "256", "1 to 255"),
    (parse.integer(1, 255), "9" * 5000, "whole"),
    (parse.choice(Prefer), "last", "expected none or first"),
    *(
        (parse.timezone, text, "time zone")
        for text in ("Mars/Phobos", "/etc/passwd", "../UTC", "Europe", "", "a b", "CET-1CEST,M3")
    ),
    (parse.secrets, "short", "at least 32 characters, not 5"),
    (parse.secrets, "0123456789abcdef " * 3, "white space"),
    (parse.secrets, "0123456789abcdef\u200b" * 3, "unprintable"),
    (parse.secrets, "changeme" * 8, "example"),
    (parse.secrets, "Change-Me-0123456789abcdefghijklmnop", "example"),
    (parse.secrets, "a" * 64, "repeats"),
    (parse.secrets, ",".join(f"{n}123456789abcdef" * 2 for n in "xyz"), "one secret, or"),
    (parse.secrets, "0123456789abcdef" * 2 + ",", "at least 32 characters, not 0"),
    *(
        (network.address, text, "not the address of a host")
        for text in (
            "127.0.0.1",
            "::1",
            "224.0.0.18",
            "ff02::12",
            "0.0.0.0",
            "::",
            "255.255.255.255",
        )
    ),
    *((network.address, text, "not an IP") for text in ("", "host", "10.0.0.300", "010.0.0.1")),
    (network.address, "fe80::1", "link-local"),
    (network.address, "fe80::1%eth0", "zone"),
    (network.nodes, "10.0.0.1", "two"),
    (network.nodes, ",", "two"),
    (network.nodes, "10.0.0.1,10.0.0.2,10.0.0.1", "'10.0.0.1' appears twice"),
    (network.nodes, "fd00::1,fd00:0::1", "twice"),
    (network.nodes, "10.0.0.1,fd00::1", "mixed"),
    (network.vips, ",", "one address"),
    (network.vips, "10.0.0.1,10.0.0.1/24", "twice"),
    *((network.vips, f"10.0.0.1/{prefix}", "prefix") for prefix in ("0", "33", "", "x", "-1")),
    (network.vips, "10.0.0.0/24", "first or last"),
    (network.vips, "10.0.0.255/24", "first or last"),
    (network.vips, "fd00::1/64", "route"),
    (network.listen, "ff02::1", "multicast"),
    (network.listen, "::,0:0::", "twice"),
    (network.listen, ",", "one address"),
    *((network.interface, text, "interface") for text in ("", ".", "..", "a/b", "a b", "x" * 16)),
    (network.sites, "app", "'app': expected host=url"),
    (network.sites, "=http://a", "before '='"),
    (network.sites, "a;b=http://a", "before '='"),
    (network.sites, "-a=http://a", "before '='"),
    (network.sites, "a=http://b,A=http://c", "'a' appears twice"),
    (network.sites, "a=http://b?c", "'a=http://b?c': the URL of a site must not have a query"),
    (network.sites, "a=http://b/$host", "expected http://"),
    (network.sites, "a=http://b/;return", "expected http://"),
    *(
        (network.urls, url, "expected http://")
        for url in (
            "ftp://a",
            "http://",
            "a",
            "http:// a",
            "http://a\nb",
            "http://a#b",
            "http://a:b",
        )
    ),
    (network.urls, "http://a:0", "port"),
    (network.urls, "http://a:65536", "port"),
    (network.urls, "http://10.0.0.300", "'10.0.0.300' is not a valid host"),
    (network.urls, "http://[fd00::1::2]", "not a valid host"),
    (network.urls, "http://a..b", "not a valid host"),
    (network.urls, "http://a,http://a", "twice"),
    (network.urls, f"http://a/{'x' * 500}", "longer than 500"),
    (network.urls, ",".join(f"http://a/{number}" for number in range(51)), "at most 50"),
    (sync.paths, ",", "one directory"),
    *((sync.paths, text, "absolute path") for text in ("etc/nginx", "/", "//", "~/nginx")),
    *((sync.paths, text, "normalised") for text in ("/a//b", "/a/./b", "/a/../b", "//a", "/..")),
    *((sync.paths, text, "not printable") for text in ("/a\nb", "/a\u200bb", "/" + "x" * 1000)),
    (sync.paths, "/srv,/srv/", "'/srv' appears twice"),
    (sync.paths, "/srv/a,/b,/srv", "'/srv/a' is inside '/srv'"),
    *(
        (sync.paths, text, "cannot be synced")
        for text in ("/proc", "/sys/x", "/run/ha/", "/var/lib/ha/history", "/var/lib", "/opt")
    ),
    *(
        (sync.schedule, text, "five fields")
        for text in ("", "5m", "@daily", "* * * *", "0 * * * * *", "no")
    ),
    (sync.schedule, "60 * * * *", "not a cron expression: bad minute"),
    (sync.schedule, "* * 31 2 *", "not a cron expression: bad day-of-month"),
    (sync.schedule, "* * * * MON-SUN", "bad day-of-week"),
    (sync.schedule, "0 0 * 2 MON#5/2", "bad day-of-week"),
    (sync.schedule, "0 0 */31 2 MON#5", "never comes"),
    *((sync.exclude, text, "everything") for text in ("*", "a,/", "**/", "/*")),
    *((sync.exclude, text, "rules with") for text in ("- *.bak", "+ a", "!", "!a")),
    (sync.exclude, "a,[z-b]", "'[z-b]': bad character range"),
]


@pytest.mark.parametrize(("parser", "text", "value"), ACCEPTED)
def test_text_becomes_the_value(parser: Callable[[str], object], text: str, value: object) -> None:
    assert parser(text) == value


@pytest.mark.parametrize(("parser", "text", "cause"), REFUSED)
def test_wrong_text_is_refused_with_the_cause(
    parser: Callable[[str], object], text: str, cause: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(cause)):
        parser(text)


@pytest.mark.parametrize("text", ["a=http://me:hunter2@b", "a=http://me:hun/ter2@b"])
def test_no_message_tells_the_password_of_a_url(text: str) -> None:
    with pytest.raises(ValueError, match="a=http") as error:
        network.sites(text)
    assert "ter2" not in str(error.value)


@given(st.sampled_from(SCHEMA), st.text())
def test_a_value_written_down_parses_to_itself(row: Row, text: str) -> None:
    try:
        value = row.parse(text)
    except ValueError:
        return
    assert row.parse(row.show(value)) == value


@pytest.mark.parametrize(
    ("parser", "text"),
    [
        (parse.duration("1ms", "1h"), "3599.999s"),
        (seconds, "110ms"),
        (network.vips, "10.0.0.1/24,fd00::1"),
        (network.sites, "a=http://b/,_=https://c"),
        (parse.boolean, "no"),
    ],
)
def test_written_is_the_opposite_of_parsing(parser: Callable[[str], object], text: str) -> None:
    value = parser(text)
    assert parser(parse.written(value)) == value


def test_a_long_value_is_cut_in_messages() -> None:
    assert len(parse.shown("x" * 10_000)) < 250

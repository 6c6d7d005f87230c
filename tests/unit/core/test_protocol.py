import json
from dataclasses import replace
from ipaddress import ip_address, ip_interface
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.protocol import (
    MAX_LINE,
    PAGE,
    PROTOCOL,
    Page,
    ProtocolError,
    Refusal,
    check_claim,
    decode,
    encode,
    pages,
    settings_digest,
)
from sidecar.core.report import NodeState, Role
from sidecar.core.settings import LogFormat, Prefer, Settings

STATE = NodeState(node="192.0.2.11", version="0.1.0")

printable = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=40)
addresses = st.ip_addresses().map(str)
names = st.lists(printable.filter(bool), max_size=5).map(tuple)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
states = st.builds(
    NodeState,
    node=addresses,
    version=st.from_regex(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,63}", fullmatch=True),
    role=st.sampled_from(Role),
    vips=st.lists(addresses, max_size=4).map(tuple),
    eligible=st.booleans(),
    hard=names,
    soft=names,
    draining=st.booleans(),
    yielding=st.booleans(),
    settings=st.just("") | digests,
    head=st.none() | digests,
    clock=st.floats(min_value=0, max_value=2**40),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def line(**changes: object) -> bytes:
    return json.dumps({**json.loads(encode(STATE)), **changes}).encode() + b"\n"


@given(states)
def test_a_state_survives_the_way(state: NodeState) -> None:
    sent = encode(state)
    assert sent.endswith(b"\n")
    assert sent.count(b"\n") == 1
    assert decode(sent) == state


@given(printable)
def test_a_refusal_survives_the_way(reason: str) -> None:
    assert decode(encode(Refusal(refused=reason))) == Refusal(refused=reason)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_nothing_that_arrives_raises_another_error(garbage: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(garbage)


@given(st.sampled_from([*json.loads(encode(STATE)), "refused"]), json_values)
def test_no_value_of_a_field_raises_another_error(name: str, value: object) -> None:
    try:
        message = decode(line(**{name: value}))
    except ProtocolError:
        return
    # Whatever was taken is as good as what we say ourselves.
    assert decode(encode(message)) == message


@pytest.mark.parametrize(
    "changes",
    [
        {"node": "not-an-address"},
        {"node": None},
        {"node": 1},
        {"version": "a\nb"},
        {"version": "\x1b[31m"},
        {"version": "\ud800"},
        {"version": ""},
        {"version": "x" * 65},
        {"version": "1 0"},
        {"role": "KING"},
        {"vips": "192.0.2.10"},
        {"vips": ["192.0.2.10/32"]},
        {"vips": ["192.0.2.10"] * 65},
        {"eligible": 1},
        {"eligible": "yes"},
        {"vips": ["fe80::1%eth0"]},
        {"hard": [["nginx"]]},
        {"hard": [""]},
        {"soft": ["x" * 501]},
        {"soft": ["x"] * 65},
        {"settings": "f" * 63},
        {"settings": None},
        {"head": 7},
        {"head": ""},
        {"head": "v2:not-an-id"},
        {"head": "F" * 64},
        {"head": "f" * 64 + "\n"},
        {"clock": True},
        {"clock": "0"},
        {"clock": -1},
        {"clock": 10**400},
        {"clock": 1e300},
        {"protocol": None},
        {"protocol": [1]},
        {"protocol": ["1", "0"]},
        {"protocol": [-1, 0]},
        {"refused": "a\rb"},
    ],
)
def test_a_field_that_is_not_valid_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        decode(line(**changes))


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\n",
        b"\xff\n",
        b"[" * 20_000 + b"\n",
        b'{"protocol":[1,0],"node":"192.0.2.1","version":"1","clock":NaN}\n',
        b'{"protocol":[1,0],"node":"192.0.2.1","version":"1","clock":Infinity}\n',
        b'{"protocol":[1,0],"node":"192.0.2.1","version":"1","clock":1e999}\n',
        b'{"protocol":[1,0],"node":"192.0.2.1","clock":' + b"9" * 5000 + b"}\n",
        b'{"protocol":[1,0],"version":"1"}\n',
        b'{"protocol":[1,0],"node":"192.0.2.1"}\n',
        b'"' + b"x" * MAX_LINE + b'"\n',
    ],
)
def test_a_line_that_is_not_ours_is_refused(bad: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(bad)


def test_what_a_newer_minor_adds_is_ignored() -> None:
    assert decode(line(protocol=[PROTOCOL[0], 99, 3], moon="full")) == STATE


def test_what_an_older_minor_lacks_has_its_default() -> None:
    assert decode(b'{"protocol":[1,0],"node":"192.0.2.11","version":"0.1.0"}') == STATE


@pytest.mark.parametrize(("major", "older"), [(2, "this node"), (0, "the other node")])
def test_another_major_is_refused_and_the_older_node_named(major: int, older: str) -> None:
    with pytest.raises(ProtocolError, match=f"update kiss-ha on {older}$"):
        decode(line(protocol=[major, 0]))


def test_the_refusal_of_another_major_is_understood() -> None:
    assert decode(b'{"protocol":[2,0],"refused":"too old"}') == Refusal(refused="too old")


def test_a_node_speaks_for_itself_alone() -> None:
    check_claim(STATE, sender="192.0.2.11", own="192.0.2.12")
    with pytest.raises(ProtocolError, match="says it is"):
        check_claim(STATE, sender="192.0.2.13", own="192.0.2.12")
    with pytest.raises(ProtocolError, match="two nodes have the same address"):
        check_claim(STATE, sender="192.0.2.13", own="192.0.2.11")


def settings(**changes: object) -> Settings:
    values: dict[str, Any] = {
        "nodes": (ip_address("192.0.2.11"), ip_address("192.0.2.12")),
        "vips": (ip_interface("192.0.2.10/32"),),
        "secrets": "0123456789abcdef0123456789abcdef",
        "node": None,
        "interface": None,
        "vrid": 7,
        "advert_interval": 0.1,
        "prefer": Prefer.NONE,
        "nginx": True,
        "sites": (),
        "containers": False,
        "containers_filter": (),
        "containers_spread": False,
        "docker_host": "unix:///var/run/docker.sock",
        "relay_port": 8731,
        "check_urls": (),
        "check_interval": 1.0,
        "check_timeout": 1.0,
        "check_fall": 2,
        "check_rise": 2,
        "sync_paths": ("/etc/nginx",),
        "sync_schedule": None,
        "sync_on_change": True,
        "sync_soak": 2.0,
        "sync_exclude": (),
        "sync_keep": 50,
        "link_port": 8730,
        "http_port": 9165,
        "http_listen": None,
        "hook_master": "",
        "hook_backup": "",
        "hook_fault": "",
        "hook_sync": "",
        "notify": (),
        "log_level": "info",
        "log_format": LogFormat.TEXT,
        "timezone": "UTC",
        "color": False,
    }
    return Settings(**{**values, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"nodes": (ip_address("192.0.2.12"), ip_address("192.0.2.11"))},
        {"vips": (ip_interface("192.0.2.10/24"),)},
        {"vrid": 8},
        {"advert_interval": 0.2},
        {"containers": True},
    ],
)
def test_the_digest_tells_settings_that_must_be_the_same(changes: dict[str, Any]) -> None:
    assert settings_digest(settings()) != settings_digest(settings(**changes))


def test_the_digest_leaves_out_what_may_differ() -> None:
    assert settings_digest(settings()) == settings_digest(settings(relay_port=1))
    other = settings(node=ip_address("192.0.2.12"), log_level="debug", advert_interval=0.1)
    assert settings_digest(settings()) == settings_digest(other)
    assert len(settings_digest(settings())) == 64


@pytest.mark.parametrize("count", [0, 1, PAGE, PAGE + 1, 1000])
def test_sites_survive_the_way_however_many_they_are(count: int) -> None:
    sites = [{"host": f"{number}" * 250, "path": "/" * 400} for number in range(count)]
    lines = pages(sites, 7.0)
    read = [decode(line) for line in lines]
    assert all(isinstance(page, Page) and page.clock == 7.0 for page in read)
    told = [page for page in read if isinstance(page, Page)]
    assert [site for page in told for site in page.sites] == sites
    assert [page.first for page in told] == [True, *[False] * (len(told) - 1)]
    assert [page.last for page in told] == [*[False] * (len(told) - 1), True]


@pytest.mark.parametrize(
    "changes",
    [{"sites": [{}] * (PAGE + 1)}, {"sites": "all"}, {"first": 1}, {"last": None}, {"clock": -1}],
)
def test_a_page_that_is_not_valid_is_refused(changes: dict[str, Any]) -> None:
    page = {"protocol": PROTOCOL, "sites": [], "clock": 0, "first": True, "last": True, **changes}
    with pytest.raises(ProtocolError):
        decode(json.dumps(page).encode() + b"\n")


def test_a_state_that_says_the_same_later_is_another_line() -> None:
    assert encode(STATE) != encode(replace(STATE, clock=1.0))

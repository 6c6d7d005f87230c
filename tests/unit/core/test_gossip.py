import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.gossip import ROOM, Gossip, details_of, pack, unpack
from sidecar.core.protocol import MAX_LINE, ProtocolError, decode, decode_gossip, encode
from sidecar.core.report import Details, NodeState, Problem, Severity
from sidecar.core.sync_report import PeerSync, Progress, SyncReport
from sidecar.core.timeline import MOST, Event, EventKind
from tests.unit.reports import EMPTY, FULL, NOW

STATE = NodeState(node="192.0.2.11", version="0.1.0")
EVENT = Event(time=NOW, node="192.0.2.11", kind=EventKind.ROLE, subject="MASTER", gap=0.3)
GOSSIP = Gossip(details=details_of(FULL, {"HA_SITES": "0a1b"}), events=(EVENT,))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def line(gossip: object) -> bytes:
    return json.dumps({**json.loads(encode(STATE)), "gossip": gossip}).encode() + b"\n"


def test_what_a_node_tells_arrives_as_it_was() -> None:
    sent = encode(STATE, pack(GOSSIP))
    assert decode(sent) == STATE
    assert decode_gossip(sent) == GOSSIP


def test_a_state_without_gossip_is_as_it_was_before_there_was_any() -> None:
    assert encode(STATE, {}) == encode(STATE)
    assert decode_gossip(encode(STATE)) is None
    assert decode_gossip(encode(replace(STATE, hard=('"gossip"',)))) is None
    assert decode_gossip(encode(replace(STATE, hard=("gossip",)))) is None


def test_a_node_tells_when_it_last_synced() -> None:
    assert details_of(FULL, {"HA_SITES": "0a1b"}).synced == NOW - 4
    assert details_of(EMPTY, {}) == Details(started=0.0)


def test_a_node_tells_how_far_it_is_with_a_fetch() -> None:
    progress = Progress(done=1, total=2)
    peers = (PeerSync(node="b"), PeerSync(node="c", fetching=progress))
    details = details_of(replace(EMPTY, sync=SyncReport(paths=(), peers=peers)), {})
    assert details.fetching == progress
    assert unpack(pack(Gossip(details=details))).details == details


def test_texts_that_could_not_be_shown_are_made_so_and_cut() -> None:
    name = b"\xff".decode(errors="surrogateescape")
    gossip = Gossip(events=(replace(EVENT, text=f"{name}\x1b[31m{'x' * 600}"),))
    text = unpack(pack(gossip)).events[0].text
    assert text.startswith("  [31mxxx")
    assert text.endswith("…")
    assert len(text) == 500


def test_what_would_be_too_long_loses_its_oldest_events() -> None:
    events = tuple(replace(EVENT, time=NOW - age, text="\N{SNOWMAN}" * 300) for age in range(MOST))
    packed = pack(Gossip(events=events))
    assert len(json.dumps(packed)) <= ROOM
    kept = unpack(packed).events
    assert 5 < len(kept) < MOST
    assert kept == events[: len(kept)]


def test_details_that_are_too_long_are_not_told() -> None:
    long = Problem(code="x", severity=Severity.ERROR, message="\N{SNOWMAN}" * 500)
    assert pack(Gossip(details=Details(started=NOW, problems=(long,) * 16))) == {}


def test_the_state_always_fits_its_line() -> None:
    wide = replace(STATE, hard=("x" * 500,) * 64)
    sent = encode(wide, {"events": ["y" * MAX_LINE]})
    assert sent == encode(wide)


@given(json_values)
def test_nothing_that_a_peer_says_raises_another_error(value: object) -> None:
    try:
        gossip = decode_gossip(line(value))
    except ProtocolError:
        return
    assert gossip is not None
    assert unpack(pack(gossip)) == gossip


@pytest.mark.parametrize(
    "gossip",
    [
        {"events": [{}]},
        {"events": [{"time": "x", "node": "a", "kind": "role", "subject": "b"}]},
        {"events": [{"time": 1e300, "node": "a", "kind": "role", "subject": "b"}]},
        {"events": [{"time": 1, "node": "a", "kind": "party", "subject": "b"}]},
        {"events": [{"time": 1, "node": "a\x1b", "kind": "role", "subject": "b"}]},
        {"events": [{"time": 1, "node": "a" * 501, "kind": "role", "subject": "b"}]},
        {"events": [{"time": 1, "node": "a", "kind": "role", "subject": "b"}] * 65},
        {"details": {"started": None}},
        {"details": 7},
        [],
        None,
        10**400,
    ],
)
def test_what_none_of_ours_would_say_is_refused(gossip: object) -> None:
    with pytest.raises(ProtocolError, match="gossip"):
        decode_gossip(line(gossip))


def test_gossip_nested_without_end_is_refused() -> None:
    sent = encode(STATE)[:-2] + b',"gossip":' + b"[" * 20_000 + b"]" * 20_000 + b"}\n"
    with pytest.raises(ProtocolError):
        decode_gossip(sent)

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.timeline import FUTURE, MOST, Event, EventKind, merged

NOW = 1_790_000_000.0

events = st.builds(
    Event,
    time=st.floats(min_value=NOW - 100, max_value=NOW).map(lambda time: round(time, 1)),
    node=st.sampled_from(["192.0.2.11", "192.0.2.12", ""]),
    kind=st.sampled_from(EventKind),
    subject=st.sampled_from("abc"),
)
timelines = st.lists(events, max_size=2 * MOST).map(tuple)


@given(timelines, timelines)
def test_nodes_that_heard_each_other_have_the_same_timeline(
    one: tuple[Event, ...], other: tuple[Event, ...]
) -> None:
    own = merged(one, now=NOW)
    assert merged(own, other, now=NOW) == merged(merged(other, now=NOW), own, now=NOW)
    assert len(own) == min(MOST, len(set(one)))


@given(timelines)
def test_the_newest_is_first_and_each_is_there_once(one: tuple[Event, ...]) -> None:
    own = merged(one, one, now=NOW)
    assert [event.time for event in own] == sorted((event.time for event in own), reverse=True)
    assert len(set(own)) == len(own)


def test_what_comes_from_the_future_is_not_believed() -> None:
    event = Event(time=NOW + FUTURE, node="192.0.2.11", kind=EventKind.ROLE, subject="MASTER")
    assert merged([event], now=NOW) == (event,)
    assert merged([replace(event, time=NOW + FUTURE + 1)], now=NOW) == ()

"""The history as a table: newest first, whatever the clocks said."""

from zoneinfo import ZoneInfo

from sidecar.core.history.snapshot import Header
from sidecar.core.show.timeline import timeline

BERLIN = ZoneInfo("Europe/Berlin")
FIRST, SECOND, MERGE, OTHER = (letter * 64 for letter in "abcd")


def header(*parents: str, time: float, node: str = "192.0.2.11", summary: str = "") -> Header:
    return Header(
        roots=("/etc/nginx",),
        tree="0" * 64,
        parents=parents,
        node=node,
        time=time,
        summary=summary,
    )


HISTORY = {
    FIRST: header(time=1_790_000_000.0, summary="added 3"),
    SECOND: header(FIRST, time=1_789_999_000.0, summary="edited conf.d/a.conf"),
    OTHER: header("f" * 64, time=1_790_000_050.0),
    MERGE: header(OTHER, SECOND, time=1_790_000_050.0, node="", summary="joined"),
}

TEXT = """\
SNAPSHOT      TIME                 NODE        NOTE                      CHANGE
cccccccccccc  2026-09-21 16:14:10  -           head, head of 192.0.2.12  joined
dddddddddddd  2026-09-21 16:14:10  192.0.2.11  -
bbbbbbbbbbbb  2026-09-21 15:56:40  192.0.2.11  -                         edited conf.d/a.conf
aaaaaaaaaaaa  2026-09-21 16:13:20  192.0.2.11  files no longer kept      added 3"""


def test_the_history_is_a_table() -> None:
    marks = {MERGE: ["head", "head of 192.0.2.12"], FIRST: ["files no longer kept"], SECOND: []}
    text = timeline(HISTORY, marks, BERLIN, color=False)
    assert text.splitlines() == [line.rstrip() for line in TEXT.splitlines()]


def test_an_empty_history_says_so() -> None:
    assert timeline({}, {}, BERLIN, color=False) == "No snapshot yet."


def test_the_last_moment_of_the_calendar_is_shown_somehow() -> None:
    assert " ? " in timeline({FIRST: header(time=253_402_300_799.0)}, {}, BERLIN, color=False)

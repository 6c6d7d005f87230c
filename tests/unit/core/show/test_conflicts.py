"""The conflicts as a table."""

from zoneinfo import ZoneInfo

from sidecar.core.history.conflicts import Conflict, Version
from sidecar.core.show.conflicts import conflicts_text

ONE = "a/own.conf"
TEXT = """\
PATH        OTHER         TIME                 NODE        LIVE          TIME                 NODE
a/own.conf  aaaaaaaaaaaa  2026-09-21 14:13:20  192.0.2.11  bbbbbbbbbbbb  2026-09-21 14:13:21  -

See both versions:          ha diff OTHER LIVE
Bring the other one back:   ha restore OTHER PATH
Keep the one that is live:  ha conflicts --clear PATH"""


def test_the_conflicts_are_a_table_that_says_what_to_do() -> None:
    one = Conflict(
        path=f"/etc/nginx/{ONE}",
        merge="c" * 64,
        other=Version(snapshot="a" * 64, node="192.0.2.11", time=1_790_000_000.0),
        live=Version(snapshot="b" * 64, time=1_790_000_001.0),
    )
    assert conflicts_text([one], ["/etc/nginx"], ZoneInfo("UTC"), color=False) == TEXT
    (first, *_) = conflicts_text([one], ["/a", "/b"], ZoneInfo("UTC"), color=False).splitlines()[1:]
    assert first.startswith(f"/etc/nginx/{ONE}  aaaaaaaaaaaa")


def test_without_conflicts_it_says_so() -> None:
    assert conflicts_text([], [], ZoneInfo("UTC"), color=False) == "No conflicts."

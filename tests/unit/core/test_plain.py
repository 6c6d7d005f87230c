import json

import pytest

from sidecar.core.plain import from_plain, to_plain
from sidecar.core.report import NodeState, Report, VipReport
from tests.unit.reports import EMPTY, FULL

NODE = {"node": "192.0.2.11", "version": "0.1.0"}


@pytest.mark.parametrize("report", [FULL, EMPTY])
def test_json_and_back_is_the_same_report(report: Report) -> None:
    assert from_plain(Report, json.loads(json.dumps(to_plain(report)))) == report


def test_what_is_missing_has_its_default_and_what_is_new_is_ignored() -> None:
    state = from_plain(NodeState, {**NODE, "mood": "good"})
    assert state == NodeState(node="192.0.2.11", version="0.1.0")


def test_whole_numbers_are_numbers_too() -> None:
    assert from_plain(NodeState, {**NODE, "clock": 7}).clock == 7.0


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (None, "NodeState must be dict, not NoneType"),
        ([], "NodeState must be dict, not list"),
        ({"node": "192.0.2.11"}, "NodeState.version is missing"),
        ({**NODE, "eligible": 1}, "NodeState.eligible must be bool, not int"),
        ({**NODE, "clock": True}, "NodeState.clock must be float, not bool"),
        ({**NODE, "vips": "192.0.2.10"}, "NodeState.vips must be list, not str"),
        ({**NODE, "vips": ["a", 1]}, r"NodeState.vips\[1\] must be str, not int"),
        ({**NODE, "role": "KING"}, "'KING' is not a valid Role"),
        ({**NODE, "head": 1}, "NodeState.head must be str, not int"),
    ],
)
def test_what_does_not_fit_is_named(data: object, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        from_plain(NodeState, data)


def test_the_place_is_named_however_deep() -> None:
    broken = to_plain(FULL)
    broken["role_changes"]["MASTER"] = "2"
    with pytest.raises(ValueError, match=r"Report.role_changes\['MASTER'\] must be int, not str"):
        from_plain(Report, broken)


def test_lists_are_written_like_tuples() -> None:
    vip = VipReport(address="192.0.2.10", held=True, leased=True)
    assert to_plain([vip]) == [{"address": "192.0.2.10", "held": True, "leased": True}]

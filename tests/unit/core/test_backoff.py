import pytest

from sidecar.core.backoff import Backoff, Retry


@pytest.mark.parametrize(
    ("free", "delays"), [(0, [0.0, 1.0, 2.0, 4.0, 5.0, 5.0]), (1, [0.0, 0.0, 1.0, 2.0, 4.0, 5.0])]
)
def test_pauses_double_up_to_the_longest_after_those_that_are_free(
    free: int, delays: list[float]
) -> None:
    pace = Backoff(first=1.0, most=5.0, free=free)
    assert [pace.delay(failures) for failures in range(6)] == delays
    assert pace.delay(10**6, chance=0.5) == 5.25


def test_what_fails_again_is_tried_later_each_time() -> None:
    pace = Backoff(first=1.0, most=5.0, free=0)
    retry = Retry()
    assert retry.due < 0.0
    for failures, due in enumerate([101.0, 102.0, 104.0, 105.0, 105.0], start=1):
        retry = retry.failed(pace, 100.0)
        assert retry == Retry(failures=failures, due=due)
    assert Retry(failures=-5).failed(pace, 0.0) == Retry(failures=1, due=1.0)

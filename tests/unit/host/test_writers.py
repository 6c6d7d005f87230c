import pytest

from sidecar.host.writers import CLOSES_WITHIN, COMES_BACK_WITHIN, Place, Writers

FILE: Place = (1, b"site.conf")
OTHER: Place = (1, b"site.conf.tmp")
NEVER = float("-inf")


@pytest.fixture
def writers() -> Writers:
    return Writers()


def test_a_file_is_whole_once_it_is_closed(writers: Writers) -> None:
    assert writers.finished_at == NEVER
    writers.write(FILE, 10.0)
    writers.write(FILE, 10.5)
    assert writers.finished_at == 10.0 + CLOSES_WITHIN
    assert writers.close(FILE)
    assert writers.finished_at == NEVER


def test_the_close_of_what_was_not_written_to_is_no_change(writers: Writers) -> None:
    assert not writers.close(FILE)


def test_what_stays_open_is_waited_for_once(writers: Writers) -> None:
    writers.write(FILE, 10.0)
    writers.rest()
    writers.write(FILE, 20.0)
    assert writers.finished_at == 10.0 + CLOSES_WITHIN


def test_a_name_that_is_gone_may_come_back(writers: Writers) -> None:
    writers.go(FILE, 10.0)
    assert writers.finished_at == 10.0 + COMES_BACK_WITHIN
    writers.come(FILE)
    assert writers.finished_at == NEVER


def test_nobody_misses_what_came_and_went(writers: Writers) -> None:
    writers.come(OTHER)
    writers.write(OTHER, 10.0)
    writers.close(OTHER)
    writers.go(OTHER, 10.1)
    writers.come(FILE)
    assert writers.finished_at == NEVER
    writers.rest()
    writers.go(FILE, 20.0)
    assert writers.finished_at == 20.0 + COMES_BACK_WITHIN


def test_what_came_back_may_be_missed_again(writers: Writers) -> None:
    writers.go(FILE, 10.0)
    writers.come(FILE)
    writers.go(FILE, 10.3)
    assert writers.finished_at == 10.3 + COMES_BACK_WITHIN


@pytest.mark.parametrize("end", ["go", "come"])
def test_nobody_writes_to_what_is_gone_or_replaced(writers: Writers, end: str) -> None:
    writers.come(FILE)
    writers.write(FILE, 10.0)
    if end == "go":
        writers.go(FILE, 10.1)
    else:
        writers.come(FILE)
    assert writers.finished_at == NEVER

import pytest

from sidecar.host.writers import CLOSES_WITHIN, GOES_ON_WITHIN, File, Writers

FILE: File = (1, b"site.conf")
OTHER: File = (1, b"site.conf.tmp")
NEVER = float("-inf")


@pytest.fixture
def writers() -> Writers:
    return Writers()


def test_a_file_is_whole_once_it_is_closed(writers: Writers) -> None:
    assert writers.finished_at == NEVER
    writers.write(FILE, 10.0)
    writers.write(FILE, 10.5)
    assert writers.finished_at == 10.0 + CLOSES_WITHIN
    writers.close(FILE)
    assert writers.finished_at == NEVER


def test_a_close_without_a_write_leaves_nothing(writers: Writers) -> None:
    writers.close(FILE)
    assert writers.finished_at == NEVER


def test_what_stays_open_gets_that_much_time_once(writers: Writers) -> None:
    writers.write(FILE, 10.0)
    writers.end_burst()
    writers.write(FILE, 20.0)
    assert writers.finished_at == 20.0 + GOES_ON_WITHIN


def test_the_last_to_finish_counts(writers: Writers) -> None:
    writers.write(FILE, 10.0)
    writers.write(OTHER, 10.5)
    writers.vanish((1, b"a"), 10.2)
    assert writers.finished_at == 10.5 + CLOSES_WITHIN


def test_a_name_that_vanished_may_be_replaced(writers: Writers) -> None:
    writers.vanish(FILE, 10.0)
    assert writers.finished_at == 10.0 + GOES_ON_WITHIN
    writers.create(FILE)
    assert writers.finished_at == NEVER
    writers.vanish(FILE, 10.3)
    assert writers.finished_at == 10.3 + GOES_ON_WITHIN


def test_nobody_misses_what_came_and_went(writers: Writers) -> None:
    writers.create(OTHER)
    writers.write(OTHER, 10.0)
    writers.close(OTHER)
    writers.vanish(OTHER, 10.1)
    writers.arrive(FILE)
    assert writers.finished_at == NEVER


def test_what_was_there_before_is_missed(writers: Writers) -> None:
    writers.create(FILE)
    writers.end_burst()
    writers.vanish(FILE, 20.0)
    assert writers.finished_at == 20.0 + GOES_ON_WITHIN
    writers.end_burst()
    assert writers.finished_at == NEVER


def test_what_was_moved_over_something_is_missed(writers: Writers) -> None:
    writers.arrive(FILE)
    writers.vanish(FILE, 10.0)
    assert writers.finished_at == 10.0 + GOES_ON_WITHIN


@pytest.mark.parametrize("end", ["vanish", "arrive", "create", "forget"])
def test_nobody_writes_to_what_is_gone_or_replaced(writers: Writers, end: str) -> None:
    writers.create(FILE)
    writers.write(FILE, 10.0)
    match end:
        case "vanish":
            writers.vanish(FILE, 10.1)
        case "arrive":
            writers.arrive(FILE)
        case "create":
            writers.create(FILE)
        case _:
            writers.forget(FILE[0])
    assert writers.finished_at == NEVER


def test_only_what_was_in_a_directory_is_forgotten_with_it(writers: Writers) -> None:
    writers.write(FILE, 10.0)
    writers.forget(2)
    assert writers.finished_at == 10.0 + CLOSES_WITHIN

"""A check changes its mind only after enough answers in a row."""

import pytest

from sidecar.core.vip.check import Check


def after(check: Check, answers: str) -> Check:
    """Return the check after a row of answers: `+` is a success, `-` a failure."""
    for answer in answers:
        check = check.after(None if answer == "+" else "no answer")
    return check


@pytest.mark.parametrize(
    ("answers", "up"),
    [
        ("", None),
        ("+", True),
        ("-", None),
        ("--", False),
        ("+-", True),
        ("+-+-+-", True),
        ("+--", False),
        ("--+", False),
        ("--+-+", False),
        ("--++", True),
    ],
)
def test_fall_and_rise(answers: str, up: bool | None) -> None:
    assert after(Check(name="url", fall=2, rise=2), answers).up is up


def test_an_earned_check_cannot_fail_before_it_has_succeeded() -> None:
    check = Check(name="gateway", fall=2, rise=2, earned=True)
    assert after(check, "-----").up is None
    assert after(check, "-----+--").up is False


def test_the_message_is_that_of_the_last_answer() -> None:
    check = Check(name="url", fall=2, rise=2)
    assert after(check, "--").message == "no answer"
    assert after(check, "--++").message == ""

"""Waiting for a condition instead of sleeping."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

_PAUSE: Final = 0.05


def until(
    what: str,
    probe: Callable[[], T],
    accept: Callable[[T], bool] = bool,
    *,
    within: float = 10,
) -> T:
    """Call `probe` until `accept` likes what it returns, and return that.

    Raise AssertionError with the last thing seen if that takes more than `within` seconds.
    A probe that raises has not been liked.
    """
    deadline = time.monotonic() + within
    while True:
        seen: object
        try:
            value = probe()
            if accept(value):
                return value
            seen = value
        except Exception as error:  # noqa: BLE001 # what a container that starts or dies answers
            seen = error
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what}: not within {within:g} s; last seen: {seen!r}")
        time.sleep(_PAUSE)


def always(
    what: str, probe: Callable[[], T], accept: Callable[[T], bool], *, during: float
) -> None:
    """Call `probe` for `during` seconds; raise AssertionError once `accept` does not like it."""
    deadline = time.monotonic() + during
    while time.monotonic() < deadline:
        value = probe()
        if not accept(value):
            raise AssertionError(f"{what}: not any more; seen: {value!r}")
        time.sleep(_PAUSE)

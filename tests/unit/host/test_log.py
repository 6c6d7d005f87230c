import io
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from sidecar.core.settings import LogFormat, Settings
from sidecar.host import log
from tests.unit.settings.example import load_with

UTC = ZoneInfo("UTC")
SETTINGS = load_with().settings


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def record(message: str, name: str = "nginx", level: int = logging.INFO) -> logging.LogRecord:
    made = logging.LogRecord(name, level, __file__, 1, message, None, None)
    made.created = 1_795_435_200.25
    return made


def text(of: logging.LogRecord, zone: str = "UTC", *, color: bool = False) -> str:
    return log.TextFormatter(ZoneInfo(zone), color=color).format(of)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()  # else the set-up would close pytest's own
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def test_a_line_has_time_level_program_and_message() -> None:
    assert text(record("ready")) == "2026-11-23T12:00:00.250+00:00 INFO  nginx: ready"


def test_the_time_is_that_of_the_zone() -> None:
    assert text(record("x"), "Asia/Kolkata").startswith("2026-11-23T17:30:00.250+05:30 ")


def test_our_modules_go_by_their_last_name() -> None:
    line = text(record("x", name="sidecar.vital.vip", level=logging.WARNING))
    assert line.endswith(" WARN  vip: x")


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("cannot a: b\n  change c\n", "cannot a: b | change c"),
        ("\x1b[31mred\x1b[0m\tend\x00", "?[31mred?[0m end?"),
        ("\udcff", "?"),
    ],
)
def test_an_event_is_one_line_whatever_is_in_it(message: str, shown: str) -> None:
    assert text(record(message)).endswith(f"nginx: {shown}")


def failure() -> logging.LogRecord:
    event = record("part failed", level=logging.ERROR)
    try:
        int("x\n")
    except ValueError:
        event.exc_info = sys.exc_info()
    return event


def test_an_exception_is_told_with_its_place_in_the_same_line() -> None:
    line = text(failure())
    assert "\n" not in line
    assert "part failed [ValueError: invalid literal" in line
    assert "< failure (" in line


def test_json_has_the_same_and_the_whole_traceback() -> None:
    line = log.JsonFormatter(UTC).format(failure())
    event = json.loads(line)
    assert "\n" not in line
    assert event.pop("exception").startswith("Traceback (most recent call last):\n")
    assert event == {
        "time": "2026-11-23T12:00:00.250+00:00",
        "level": "error",
        "logger": "nginx",
        "message": "part failed",
    }


def logged(settings: Settings, stream: io.StringIO) -> str:
    log.setup(settings, stream)
    logging.getLogger("sidecar.daemon").debug("details")
    logging.getLogger("sidecar.daemon").error("no\nway")
    return stream.getvalue()


def test_settings_choose_level_and_format() -> None:
    assert logged(SETTINGS, io.StringIO()).endswith(" ERROR daemon: no | way\n")
    assert logged(replace(SETTINGS, log_level="debug"), io.StringIO()).count("\n") == 2
    as_json = logged(replace(SETTINGS, log_format=LogFormat.JSON), io.StringIO())
    assert json.loads(as_json)["message"] == "no\nway"


def test_colour_is_for_terminals_that_want_it() -> None:
    assert "\x1b[31mERROR\x1b[0m" in logged(SETTINGS, Terminal())
    assert "\x1b" not in logged(replace(SETTINGS, color=False), Terminal())
    assert "\x1b" not in logged(SETTINGS, io.StringIO())


def test_warnings_of_libraries_are_logged_too() -> None:
    stream = io.StringIO()
    log.setup(SETTINGS, stream)
    logging.getLogger("py.warnings").warning("old call")
    assert "WARN  py.warnings: old call" in stream.getvalue()

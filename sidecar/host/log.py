"""The log: one line per event on standard output, for people or as JSON.

    2026-11-23T12:00:00.000+00:00 INFO  nginx: start worker processes
    {"time":"2026-11-23T12:00:00.000+00:00","level":"info","logger":"nginx","message":"start …"}

The output of a program is logged under the program's name, our own modules under theirs.
"""

import json
import logging
import sys
import traceback
from datetime import datetime, tzinfo
from typing import Final, TextIO, override
from zoneinfo import ZoneInfo

from sidecar.core.settings import LogFormat, Settings

FRAMES: Final = 4
"""How many calls of a traceback a line of text shows, innermost first."""

_LEVELS: Final = {
    logging.DEBUG: ("DEBUG", "2"),
    logging.INFO: ("INFO", ""),
    logging.WARNING: ("WARN", "33"),
    logging.ERROR: ("ERROR", "31"),
    logging.CRITICAL: ("FATAL", "1;31"),
}
"""Level → what a line of text calls it, and its colour (ECMA-48 SGR)."""


def setup(settings: Settings, stream: TextIO | None = None) -> None:
    """Log as the settings say, to `stream` or else to standard output."""
    stream = stream or sys.stdout
    handler = logging.StreamHandler(stream)
    zone = ZoneInfo(settings.timezone)
    match settings.log_format:
        case LogFormat.TEXT:
            handler.setFormatter(TextFormatter(zone, color=settings.color and stream.isatty()))
        case LogFormat.JSON:
            handler.setFormatter(JsonFormatter(zone))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)


class TextFormatter(logging.Formatter):
    """Makes a line for people; what would break the line or steer a terminal is replaced."""

    def __init__(self, zone: tzinfo, *, color: bool) -> None:
        super().__init__()
        self._zone = zone
        self._color = color

    @override
    def format(self, record: logging.LogRecord) -> str:
        level, colour = _LEVELS.get(record.levelno, (record.levelname, ""))
        label = f"{level:<5}"
        if self._color and colour:
            label = f"\x1b[{colour}m{label}\x1b[0m"
        message = _one_line(record.getMessage())
        if record.exc_info and record.exc_info[1] is not None:
            message = f"{message} [{_one_line(epitaph(record.exc_info[1]))}]"
        return f"{_time(record, self._zone)} {label} {_name(record)}: {message}"


class JsonFormatter(logging.Formatter):
    """Makes a JSON object per line, with the whole traceback where there is one."""

    def __init__(self, zone: tzinfo) -> None:
        super().__init__()
        self._zone = zone

    @override
    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": _time(record, self._zone),
            "level": record.levelname.lower(),
            "logger": _name(record),
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event, separators=(",", ":"))


def epitaph(error: BaseException) -> str:
    """Return an exception and where it came from, short enough for a line."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    places = (f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in reversed(frames))
    return " < ".join([f"{type(error).__name__}: {error}", *places])


def _one_line(text: str) -> str:
    lines = " | ".join(line.strip() for line in text.splitlines() if line.strip())
    spaced = lines.replace("\t", " ")
    return "".join(character if character.isprintable() else "?" for character in spaced)


def _time(record: logging.LogRecord, zone: tzinfo) -> str:
    return datetime.fromtimestamp(record.created, zone).isoformat(timespec="milliseconds")


def _name(record: logging.LogRecord) -> str:
    """Return the program, or the last part of our module's name."""
    own = record.name.startswith("sidecar.")
    return record.name.rpartition(".")[2] if own else record.name

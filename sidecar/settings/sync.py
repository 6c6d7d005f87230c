"""The types of settings about sync; like `parse`, text → value or ValueError."""

import re
from datetime import UTC, datetime
from typing import Final

from cronsim import CronSim, CronSimError

from sidecar.core.history.exclude import excluder
from sidecar.settings.parse import items, shown

OFF: Final = "off"

_NOT_SYNCED: Final = ("/proc", "/sys", "/dev", "/run", "/var/lib/ha", "/opt/kiss-ha")
"""The kernel's, and our own: what lies there is of this node only."""

_SOME_DAY: Final = datetime(2024, 1, 1, tzinfo=UTC)


def paths(text: str) -> tuple[str, ...]:
    """Return directories, normalised and sorted; none holds another one, or what is not synced."""
    parsed = sorted(_path(item) for item in items(text))
    if not parsed:
        raise ValueError("at least one directory is required")
    for index, path in enumerate(parsed):
        for other in parsed[:index]:
            if path == other:
                raise ValueError(f"{shown(path)} appears twice")
            if _holds(other, path):
                raise ValueError(f"{shown(path)} is inside {shown(other)}, which is synced already")
    return tuple(parsed)


def schedule(text: str) -> str | None:
    """Return a cron expression, or None for `off`."""
    expression = " ".join(text.split())
    if expression.lower() == OFF:
        return None
    if len(expression.split(" ")) != 5:
        raise ValueError("expected five fields: minute, hour, day, month, day of the week")
    try:
        comes = next(CronSim(expression, _SOME_DAY), None) is not None
    except CronSimError as error:
        raise ValueError(f"not a cron expression: {str(error).lower()}") from None
    if not comes:
        raise ValueError("this time never comes")
    return expression


def exclude(text: str) -> tuple[str, ...]:
    """Return patterns of what is left alone."""
    parsed = tuple(items(text))
    for pattern in parsed:
        try:
            _check_pattern(pattern)
        except (ValueError, re.PatternError) as error:
            raise ValueError(f"{shown(pattern)}: {error}") from None
    return parsed


def _path(text: str) -> str:
    path = text.rstrip("/")
    parts = path.split("/")[1:]
    if not path.startswith("/"):
        raise ValueError(f"{shown(text)} is not an absolute path below /")
    if not path.isprintable() or len(path.encode()) > 1000:
        raise ValueError(f"{shown(text)} is too long or not printable")
    if any(part in {"", ".", ".."} for part in parts):
        raise ValueError(f"{shown(text)} is not normalised: leave out `//`, `.` and `..`")
    for other in _NOT_SYNCED:
        if path == other or _holds(other, path) or _holds(path, other):
            raise ValueError(f"{shown(text)} cannot be synced: {other} belongs to each node alone")
    return path


def _holds(path: str, other: str) -> bool:
    return other.startswith(f"{path}/")


def _check_pattern(pattern: str) -> None:
    if not pattern.strip("/*"):
        raise ValueError("that would exclude everything")
    if pattern.startswith(("+ ", "- ", "!")):
        raise ValueError("expected a pattern; rules with `+`, `-` or `!` are not supported")
    excluder((pattern,))

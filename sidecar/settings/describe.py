"""The settings as they are in force, for the start-up log and `ha check`."""

from collections.abc import Iterable

from sidecar.settings.load import Loaded
from sidecar.settings.row import Row
from sidecar.settings.schema import SCHEMA


def describe(loaded: Loaded) -> Iterable[str]:
    """Give one line per setting: its value, masked if secret, and where that came from."""
    for row in SCHEMA:
        value = getattr(loaded.settings, row.field)
        yield f"{row.variable}: {_value(row, value)} ({loaded.sources[row.variable]})"


def _value(row: Row, value: object) -> str:
    if row.secret:
        return "(hidden)" if value else row.computed
    text = row.show(value)
    if not text:
        return row.computed
    return text if text.isprintable() else repr(text)

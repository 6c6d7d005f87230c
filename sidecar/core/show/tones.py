"""Texts in tones, and moments, as people read them."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import Final

from sidecar.core.show.present import span
from sidecar.core.show.timeline import moment


class Tone(StrEnum):
    """How something looks; the words say the same."""

    GOOD = "good"
    PLAIN = "plain"
    WARN = "warn"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Badge:
    """A text in a tone."""

    text: str
    tone: Tone = Tone.PLAIN


UNKNOWN: Final = Badge("unknown", Tone.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """A moment, for people and for machines."""

    iso: str
    text: str
    ago: str


class Clock:
    """Writes times as people read them."""

    def __init__(self, now: float, zone: tzinfo) -> None:
        self.now, self._zone = now, zone

    @property
    def zone(self) -> str:
        """The zone's name at this time, e.g. CET."""
        return datetime.fromtimestamp(self.now, self._zone).strftime("%Z")

    def when(self, time: float) -> When:
        """Return a unix time."""
        try:
            iso = datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")
        except (OverflowError, ValueError):  # the end of the last year that a snapshot may have
            iso = ""
        passed = self.now - time
        ago = f"{span(passed)} ago" if passed >= 0 else f"in {span(-passed)}"
        return When(iso=iso, text=moment(time, self._zone), ago=ago)

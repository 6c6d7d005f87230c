"""The types of settings: text as a person writes it → value, and back.

Every parser takes the text and returns the value, or raises ValueError with the cause in words.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from sidecar.core.settings import Site

_MILLISECONDS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "": 1000}
_BOOLEANS: Final = {
    **dict.fromkeys(("on", "yes", "true", "1"), True),
    **dict.fromkeys(("off", "no", "false", "0"), False),
}
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?(ms|s|m|h|)")
_PASSWORD: Final = re.compile(r"(?<=//)[^,\s]*@")
_WELL_KNOWN: Final = re.compile(
    r"<|change.?me|example|password|replace|secret|your.", re.IGNORECASE
)


def shown(text: str) -> str:
    """Return `text` as it may stand in a message: one line, not too long, no password of a URL."""
    quoted = repr(_PASSWORD.sub("***@", text))
    return quoted if len(quoted) <= 200 else f"{quoted[:200]}…"


def items(text: str) -> list[str]:
    """Return the parts of a comma separated list; spaces and a trailing comma do not count."""
    return [item for part in text.split(",") if (item := part.strip())]


def command(text: str) -> str:
    """Return a shell command as it is."""
    return text


def boolean(text: str) -> bool:
    """Return on, yes, true, 1 as True and their opposites as False, in any case."""
    try:
        return _BOOLEANS[text.strip().lower()]
    except KeyError:
        raise ValueError("expected on or off") from None


def colored(text: str) -> bool:
    """Return whether to color: any text at all in NO_COLOR forbids it (no-color.org)."""
    return not text


def integer(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of whole decimal numbers from `low` to `high`."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text.strip()):
            raise ValueError("expected a whole number")
        if not low <= (number := int(text)) <= high:
            raise ValueError(f"expected {low} to {high}")
        return number

    return parse


def duration(low: str, high: str, *, step: str = "1ms") -> Callable[[str], float]:
    """Return a parser of durations in seconds from `low` to `high`, in multiples of `step`."""

    def parse(text: str) -> float:
        milliseconds = _milliseconds(text)
        if not _milliseconds(low) <= milliseconds <= _milliseconds(high):
            raise ValueError(f"expected {low} to {high}")
        if milliseconds % _milliseconds(step):
            raise ValueError(f"expected a multiple of {step}")
        return float(milliseconds / 1000)

    return parse


def auto[T](parser: Callable[[str], T]) -> Callable[[str], T | None]:
    """Return `parser` with None for `auto`."""

    def parse(text: str) -> T | None:
        try:
            return None if text.strip().lower() == "auto" else parser(text)
        except ValueError as error:
            raise ValueError(f"{error}, or auto") from None

    return parse


def choice[T: StrEnum](words: type[T]) -> Callable[[str], T]:
    """Return a parser of the words of an enumeration, in any case."""

    def parse(text: str) -> T:
        try:
            return words(text.strip().lower())
        except ValueError:
            raise ValueError(f"expected {' or '.join(words)}") from None

    return parse


def optional[T](parser: Callable[[str], T]) -> Callable[[str], T | None]:
    """Return `parser` with None for the empty text."""

    def parse(text: str) -> T | None:
        return parser(text) if text else None

    return parse


def secrets(text: str) -> tuple[str, ...]:
    """Return the secret, or the new one and the old one; no message tells any of them."""
    found = tuple(_secret(one) for one in text.split(","))
    if len(found) > 2:
        raise ValueError("expected one secret, or `new,old`")
    return tuple(dict.fromkeys(found))


def _secret(text: str) -> str:
    if any(character.isspace() or not character.isprintable() for character in text):
        raise ValueError("it contains white space or unprintable characters")
    if _WELL_KNOWN.match(text):
        raise ValueError("it looks like an example from a manual")
    if len(text) < 32:
        raise ValueError(f"expected at least 32 characters, not {len(text)}")
    if len(set(text)) < 8:
        raise ValueError("it repeats only a few characters")
    return text


def timezone(text: str) -> str:
    """Return the name of a time zone that the system knows."""
    try:
        if re.fullmatch(r"[A-Za-z0-9_+/-]{1,64}", text):
            ZoneInfo(text)
            return text
    except (KeyError, ValueError, OSError):
        pass
    raise ValueError("unknown time zone")


def written(value: object) -> str:
    """Return a value as a person would write it; the opposite of the parsers."""
    match value:
        case None:
            return ""
        case bool():
            return "on" if value else "off"
        case float():
            return f"{value:.10g}s" if value >= 1 else f"{value * 1000:.10g}ms"
        case tuple():
            return ",".join(written(item) for item in value)
        case Site():
            return f"{value.host}={value.url}"
        case _:
            return str(value)


def _milliseconds(text: str) -> Decimal:
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError("expected a duration")
    return Decimal(match[1]) * _MILLISECONDS[match[2]]

"""Where the text of a setting comes from: a variable, the file of its X_FILE, or sidecar.yaml."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

_LIMIT: Final = 64 * 1024


class Origin(StrEnum):
    """The kinds of places."""

    ENVIRONMENT = "environment"
    FILE = "file"
    CONFIG = "sidecar.yaml"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One place; printed as `environment`, `file /run/secrets/x`, `sidecar.yaml` or `default`."""

    origin: Origin
    variable: str = ""
    """The variable that held the value or the path."""
    path: str = ""

    def __str__(self) -> str:
        return f"{self.origin} {self.path}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The text of a setting and its source."""

    text: str = field(repr=False)
    source: Source


def look_up(variable: str, environment: Mapping[str, str]) -> Given | None:
    """Return what `variable` or `variable_FILE` holds; None if both are unset or empty.

    Raise ValueError, with the cause, if both are set, the file cannot be used, or it is no text.
    """
    text = environment.get(variable, "")
    path = environment.get(f"{variable}_FILE", "")
    if text and path:
        raise ValueError(f"{variable} and {variable}_FILE are both set\n  remove one of them")
    if path:
        text = _read(path, variable)
        source = Source(origin=Origin.FILE, variable=f"{variable}_FILE", path=path)
    else:
        source = Source(origin=Origin.ENVIRONMENT, variable=variable)
    if "\0" in text or not _is_unicode(text):
        raise ValueError(f"{source.variable} is not UTF-8 text, or contains a NUL")
    return Given(text=text, source=source) if text else None


def _read(path: str, variable: str) -> str:
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LIMIT + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        cause = error.strerror if isinstance(error, OSError) else error
        raise ValueError(
            f"{variable}_FILE: cannot read {path!r} as uid {os.geteuid()}: {cause}\n"
            "  mount the file there and let that user read it"
        ) from None
    if len(data) > _LIMIT:
        raise ValueError(f"{variable}_FILE: {path!r} is longer than {_LIMIT // 1024} KiB")
    text = data.decode(errors="surrogateescape").removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError(f"{variable}_FILE: {path!r} is empty")
    return text


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

"""What the table of settings says of each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sidecar.settings.parse import written


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One setting; the texts are parts of sentences, without a full stop."""

    variable: str
    field: str
    """Its name in `Settings`."""
    parse: Callable[[str], object]
    """Text → value; ValueError says what is wrong. It must take `default`."""
    meaning: str
    allowed: str
    example: str
    default: str = ""
    """As a person would write it; empty: not set."""
    computed: str = "unset"
    """What stands for a default that is empty or worked out later."""
    secret: bool = False
    required: bool = False
    show: Callable[[Any], str] = written
    """Value → text, the opposite of `parse`."""

    @property
    def key(self) -> str:
        """Its name in sidecar.yaml."""
        return self.variable.removeprefix("HA_").lower()

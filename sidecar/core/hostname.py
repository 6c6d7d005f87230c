"""What may stand where a host is named."""

import re
from typing import Final

_LABEL: Final = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def is_hostname(text: str) -> bool:
    """Tell whether `text` is a host name (RFC 1123), underscores allowed, so no syntax."""
    return len(text) <= 253 and _NAME.fullmatch(text) is not None

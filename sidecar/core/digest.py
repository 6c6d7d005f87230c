"""The names of snapshots and objects: each is the SHA-256 digest of its bytes."""

import re
from typing import Final

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def is_id(name: str) -> bool:
    """Tell whether `name` can name a snapshot or an object: 64 lower hex digits."""
    return _DIGEST.fullmatch(name) is not None

"""The version before this one, for what two neighbours say to each other.

It is this version, saying what the one before said: without the fields and the gossip of 1.1.
"""

import re
from pathlib import Path
from typing import Any, Final

from tests.cluster.node import REPOSITORY

VERSION: Final = "0.0.9"

_INSIDE: Final = "/opt/kiss-ha/sidecar"

_FIELDS: Final = (
    *("protocol", "refused", "node", "version", "role", "vips", "eligible", "hard", "soft"),
    *("draining", "yielding", "settings", "head", "clock"),
)
"""Those of protocol 1.0."""


def service(directory: Path) -> dict[str, Any]:
    """Return the keys of a compose service that runs it, with its files in `directory`."""
    protocol = (REPOSITORY / "sidecar/core/protocol.py").read_text()
    protocol = _replaced(r"PROTOCOL: Final = .*", "PROTOCOL: Final = (1, 0)", protocol)
    said = f"{{name: said for name, said in to_builtins(message).items() if name in {_FIELDS}}}"
    protocol = _replaced(r"\*\*to_builtins\(message\)", f"**{said}", protocol)
    protocol = _replaced(r"more = \{.*", "more = {}", protocol)
    version = (REPOSITORY / "sidecar/__init__.py").read_text()
    version = _replaced(r'__version__ = ".*"', f'__version__ = "{VERSION}"', version)
    mounts = []
    for path, text in (("core/protocol.py", protocol), ("__init__.py", version)):
        place = directory / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        mounts.append(f"{place}:{_INSIDE}/{path}:ro")
    # What was compiled is not compared with its source, so it must be out of sight.
    return {
        "volumes": mounts,
        "tmpfs": [f"{_INSIDE}/__pycache__", f"{_INSIDE}/core/__pycache__"],
    }


def _replaced(pattern: str, new: str, text: str) -> str:
    found, count = re.subn(pattern, lambda _: new, text)
    assert count == 1, f"{pattern} is there {count} times"
    return found

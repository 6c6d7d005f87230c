"""What a program that reads from a peer may take: the kernel ends one that takes more (prlimit(1)).

Whatever it starts has the same limits.
"""

from collections.abc import Sequence
from typing import Final

_MEMORY: Final = 512 * 1024 * 1024
"""Bytes of address space: a peer that sends without end ends the program, not the container."""


def limited(command: Sequence[str], *, largest: int = 0) -> list[str]:
    """Return `command` so that no file that it writes has more than `largest` bytes."""
    return ["prlimit", f"--as={_MEMORY}", f"--fsize={largest}", "--core=0", *command]

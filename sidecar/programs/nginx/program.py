"""nginx's command line and its own test of a configuration."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidecar.core.locate import locate
from sidecar.core.nginx import advice, first_emergency
from sidecar.errors import ProgramError
from sidecar.host.process import Completed, run

CONFIGURATION: Final = Path("/etc/nginx")

TEST_WITHIN: Final = 60.0
"""Seconds: nginx waits for the name servers when a configuration names upstreams."""

_MOST_BYTES: Final = 1024 * 1024
"""What is larger is no configuration that a person wrote."""


def command(configuration: Path = CONFIGURATION) -> list[str]:
    """Return the command that runs nginx in the foreground, with complaints on standard error."""
    main = configuration / "nginx.conf"
    return ["nginx", "-e", "stderr", "-c", str(main), "-g", "daemon off;"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What nginx says of the configuration on disk."""

    error: str | None = None
    """Why it refuses it; None if it accepts it."""
    dump: str = ""
    """The whole of an accepted one with everything that it includes."""


async def verdict(configuration: Path = CONFIGURATION, *, timeout: float = TEST_WITHIN) -> Verdict:
    """Let nginx test the configuration on disk (`nginx -T`)."""
    try:
        completed = await run([*command(configuration), "-q", "-T"], timeout=timeout)
    except ProgramError as error:
        return Verdict(error=error.message)
    if words := _complaint(completed):
        return Verdict(error=await asyncio.to_thread(locate, words, _texts(configuration)))
    return Verdict(dump=completed.stdout)


async def dump(configuration: Path = CONFIGURATION, *, timeout: float = TEST_WITHIN) -> str:
    """Return the whole configuration with everything that it includes.

    Raise ProgramError if nginx refuses it.
    """
    found = await verdict(configuration, timeout=timeout)
    if found.error:
        raise ProgramError(
            f"cannot read the nginx configuration: {found.error}", advice(found.error)
        )
    return found.dump


def _complaint(completed: Completed) -> str | None:
    if completed.code == 0:
        return None
    return first_emergency(completed.stderr.splitlines()) or completed.last_words


def _texts(configuration: Path) -> Iterator[tuple[str, str]]:
    """Give the path and text of each file of a configuration."""
    for directory, _, names in configuration.walk():
        for name in sorted(names):
            path = directory / name
            with suppress(OSError):
                if path.is_file() and path.stat().st_size <= _MOST_BYTES:
                    yield str(path), path.read_text(errors="replace")

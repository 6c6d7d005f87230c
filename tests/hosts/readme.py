"""The README's quick start as code: its blocks, in order."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

README: Final = Path(__file__).parents[2] / "README.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickStart:
    """The code blocks of the section `Quick start`, by its steps."""

    image: str
    """1. Builds the image and gives it to the other host."""
    compose: str
    """2. docker-compose.yml."""
    environment: str
    """2. Writes `.env`."""
    start: str
    """3. What to do on each host."""
    page: str
    """4. Shows who serves."""
    status: str
    """4. Shows both nodes."""
    kill: str
    """4. Kills the MASTER."""
    site: str
    """5. The first site."""


def quick_start() -> QuickStart:
    """Read it from README.md; raise ValueError if it has other blocks."""
    section = README.read_text(encoding="utf-8").partition("\n## Quick start\n")[2]
    section = section.partition("\n## ")[0]
    blocks = re.findall(r"^```(sh|yaml)\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    image, compose, environment, start, look, site = (text for _, text in blocks)
    page, status, kill = (line.partition(" #")[0].strip() for line in look.splitlines())
    return QuickStart(
        image=image,
        compose=compose,
        environment=environment,
        start=start,
        page=page,
        status=status,
        kill=kill,
        site=site,
    )

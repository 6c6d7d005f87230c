"""The files that a user copies."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cluster.node import REPOSITORY

COMPOSE_FILES = [
    path
    for path in REPOSITORY.rglob("*compose*.y*ml")
    if not any(part.startswith(".") for part in path.relative_to(REPOSITORY).parts)
]


@pytest.mark.parametrize("file", COMPOSE_FILES, ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_compose_finds_nothing_wrong(file: Path, tmp_path: Path) -> None:
    shutil.copy(file, tmp_path)
    shutil.copy(REPOSITORY / ".env.example", tmp_path / ".env")
    checked = subprocess.run(
        ["docker", "compose", "--file", file.name, "config", "--quiet"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")

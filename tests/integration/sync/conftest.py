import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def directory() -> Iterator[Path]:
    # Short, since the path of a unix socket has at most 107 characters.
    path = Path(tempfile.mkdtemp(prefix="sync-", dir="/run"))
    yield path
    shutil.rmtree(path)

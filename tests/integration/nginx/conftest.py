import shutil
from collections.abc import Iterator

import pytest

from tests.integration.nginx.server import PATHS


@pytest.fixture(autouse=True)
def empty_place() -> Iterator[None]:
    """Each test starts with an empty /etc/nginx, and the run directory as the daemon makes it."""
    PATHS.run.mkdir(mode=0o700, exist_ok=True)
    yield
    for path in PATHS.nginx.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    shutil.rmtree(PATHS.run / "nginx", ignore_errors=True)

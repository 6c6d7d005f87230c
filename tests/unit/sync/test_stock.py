"""The stock files of every release are known, so that they yield to what a person wrote."""

import hashlib
from pathlib import Path

from sidecar.sync.service import stock_digests

CONFIG = Path(__file__).parents[3] / "config"


def test_the_list_has_the_stock_files_of_this_release() -> None:
    known = stock_digests(CONFIG / "stock.sha256")
    files = [path for path in (CONFIG / "nginx").rglob("*") if path.is_file()]
    assert files
    lacking = [
        f"{digest}  {path.relative_to(CONFIG / 'nginx')}"
        for path in files
        if (digest := hashlib.sha256(path.read_bytes()).hexdigest()) not in known
    ]
    assert not lacking, "append these lines to config/stock.sha256, and keep the old ones"

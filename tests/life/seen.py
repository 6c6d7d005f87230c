"""Tells what a node has in its history; runs inside its container, beside the daemon.

Prints a JSON object: `past`, the ids of the head and of all that it comes from; `newest`, the ids
of all snapshots; `objects`, the hashes of all contents that are kept; `tree`, what the head has, as
`tests.cluster.tree` shows a folder; `sites`, what the files in conf.d say that is served.
"""

import json
import re
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path("/etc/nginx")
SITE = re.compile(r'server_name (\S+); return 200 "(\S+)";')


def sites() -> dict[str, str]:
    """Return the answer for each host: where two files have the same, nginx takes the first."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "conf.d").glob("*.conf")):
        for host, answer in SITE.findall(path.read_text()):
            found.setdefault(host, answer)
    return found


def main() -> None:
    """Print it."""
    # As the daemon has it; those who read this file on the host have an older Python.
    history = import_module("sidecar.sync.store").History(Path("/var/lib/ha/history"))
    head = history.head()
    assert head is not None
    below = f"{ROOT}/"
    tree = {
        path.removeprefix(below): (str(entry.kind), entry.mode, entry.digest or entry.target)
        for path, entry in history.get(head).tree.items()
    }
    found = {
        "past": sorted({head, *history.graph().ancestors(head)}),
        "newest": import_module("sidecar.core.history.retention").newest_first(history.headers()),
        "objects": sorted(path.name for path in (history.directory / "objects").iterdir()),
        "tree": tree,
        "sites": sites(),
    }
    sys.stdout.write(json.dumps(found))


main()

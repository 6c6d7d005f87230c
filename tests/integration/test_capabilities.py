"""Every capability of the compose file is needed: without it something of the product fails.

Each row is what the product does; `setpriv` takes one capability away.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.host.capabilities import NEEDED, missing

NGINX = """
user www-data;
events {}
http { server { listen unix:/run/capability.sock; } }
"""

FOREIGN = Path("/run/foreign")
"""A directory of another user, closed to everyone else, with a file."""

ACTIONS: dict[str, list[str]] = {
    "CHOWN": ["nginx", "-e", "stderr", "-t", "-c", "/run/capability.conf"],
    "DAC_OVERRIDE": ["cat", str(FOREIGN / "privkey.pem")],
    "FOWNER": ["chmod", "700", str(FOREIGN)],
    "KILL": ["sh", "-c", "kill -TERM {victim}"],
    "NET_ADMIN": ["ip", "address", "replace", "192.0.2.10/32", "dev", "lo"],
    "NET_BIND_SERVICE": [sys.executable, "-c", "import socket; socket.create_server(('', 80))"],
    "NET_RAW": [sys.executable, "-c", "import socket; socket.socket(2, socket.SOCK_RAW, 112)"],
    "SETGID": ["setpriv", "--regid=www-data", "--keep-groups", "true"],
    "SETUID": ["setpriv", "--reuid=www-data", "true"],
    "SYS_CHROOT": [sys.executable, "-c", "import os; os.chroot('/run')"],
}


@pytest.fixture(autouse=True)
def foreign_files() -> Iterator[None]:
    """Files and a process of other users, as the rows need them."""
    Path("/run/capability.conf").write_text(NGINX)
    FOREIGN.mkdir(exist_ok=True)
    (FOREIGN / "privkey.pem").write_text("a key\n")
    subprocess.run(["chmod", "-R", "go=", FOREIGN], check=True)
    subprocess.run(["chown", "-R", "1000:1000", FOREIGN], check=True)
    yield
    subprocess.run(["find", "/var/lib/nginx", "-mindepth", "1", "-delete"], check=True)


@pytest.fixture
def victim() -> Iterator[int]:
    """A process of nginx's user."""
    command = ["setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups", "sleep", "60"]
    with subprocess.Popen(command) as process:
        while Path(f"/proc/{process.pid}").stat().st_uid == 0:  # setpriv has not yet done it
            time.sleep(0.01)
        yield process.pid
        process.kill()


def test_the_rows_are_the_list() -> None:
    assert set(ACTIONS) == set(NEEDED)


def test_the_container_has_what_the_list_says() -> None:
    assert not missing()


@pytest.mark.parametrize("capability", ACTIONS)
def test_a_capability_is_needed_and_enough(capability: str, victim: int) -> None:
    action = [word.format(victim=victim) for word in ACTIONS[capability]]
    without = f"-{capability.lower()}"
    refused = subprocess.run(
        ["setpriv", f"--bounding-set={without}", f"--inh-caps={without}", "--", *action],
        check=False,
        capture_output=True,
    )
    assert refused.returncode != 0
    subprocess.run(action, check=True, capture_output=True)

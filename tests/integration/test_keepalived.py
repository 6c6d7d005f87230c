"""A keepalived that cannot hear of its track files is no keepalived."""

import errno
import json
import platform
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

DAEMON = """
import asyncio, ipaddress, json
from contextlib import suppress
from pathlib import Path

from sidecar.core.settings import Identity
from sidecar.errors import ProgramError
from sidecar.host.broadcast import Broadcast
from sidecar.host.paths import Paths
from sidecar.programs import keepalived
from sidecar.vital.vrrp import Vrrp
from tests.unit.settings.example import load_with

PATHS = Paths(config=Path("/src/config"))
OWN, PEER = map(ipaddress.ip_address, ("192.168.1.11", "192.168.1.12"))
IDENTITY = Identity(node=OWN, index=0, interface="lo", peers=(PEER,))


async def rendered() -> str:
    return keepalived.render(load_with().settings, IDENTITY, PATHS, "lo")


async def main() -> None:
    roles = []
    vrrp = Vrrp(
        keepalived.Files.below(PATHS.run), Broadcast(), render=rendered, on_role=roles.append
    )
    vrrp.open()
    with suppress(TimeoutError, ProgramError):
        async with asyncio.timeout(6):
            await vrrp.supervisor.run()
    report = vrrp.supervisor.report()
    vrrp.close()
    print(json.dumps({"restarts": report.restarts, "error": report.error, "roles": roles}))


asyncio.run(main())
"""
"""Runs keepalived for as long as a MASTER takes to become one, as the daemon does."""

INOTIFY_INIT1 = {"x86_64": 294, "aarch64": 26}


def without_inotify() -> bytes:
    """Return a filter (seccomp(2)) by which the kernel has no inotify instance left."""
    load, jump_if_equal, answer = 0x20, 0x15, 0x06
    program = (
        (load, 0, 0, 0),
        (jump_if_equal, 0, 1, INOTIFY_INIT1[platform.machine()]),
        (answer, 0, 0, 0x00050000 | errno.EMFILE),
        (answer, 0, 0, 0x7FFF0000),
    )
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def lived(*before: str) -> dict[str, Any]:
    """Run keepalived in the daemon's hands; return what became of it."""
    command = (*before, sys.executable, "-c", DAEMON)
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_a_keepalived_without_track_files_has_failed_to_start_and_is_never_master(
    tmp_path: Path,
) -> None:
    filter_file = tmp_path / "filter"
    filter_file.write_bytes(without_inotify())
    deaf = lived("setpriv", f"--seccomp-filter={filter_file}", "--no-new-privs")
    assert "MASTER" not in deaf["roles"]
    assert deaf["error"].endswith("Unable to monitor track files")
    assert deaf["restarts"] > 0


def test_a_keepalived_with_them_stays() -> None:
    assert lived()["restarts"] == 0

"""What people have before: nginx, with keepalived or alone, on what stands for a host."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.cluster import images
from tests.cluster.host import Host

_START: Final = """
nginx
[ -e /etc/keepalived/keepalived.conf ] || exec sleep infinity
exec keepalived --dont-fork --log-console
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHand:
    """The programs of a host, with its /etc in `etc`."""

    name: str
    host: Host
    etc: Path

    def start(self) -> None:
        """Start nginx, and keepalived if it has a configuration."""
        places = (self.etc / "nginx", self.etc / "keepalived/keepalived.conf")
        mounts = [f"{path}:/etc/{path.relative_to(self.etc)}" for path in places if path.exists()]
        subprocess.run(
            [
                *("docker", "run", "--detach", "--name", self.name),
                *("--network", f"container:{self.host.container}"),
                *("--cap-add", "NET_ADMIN", "--no-healthcheck", "--entrypoint", "tini"),
                *(word for mount in mounts for word in ("--volume", mount)),
                *(images.LATEST, "-g", "--", "sh", "-c", _START),
            ],
            check=True,
            capture_output=True,
        )

    def remove(self) -> None:
        """Remove the container; fine where there is none."""
        command = ["docker", "rm", "--force", self.name]
        subprocess.run(command, check=False, capture_output=True)

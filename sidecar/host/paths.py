"""Where things lie. Nothing else of the file system is ours."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """The directories of DESIGN.md §2; tests move them."""

    nginx: Path = Path("/etc/nginx")
    """The user's configuration."""
    state: Path = Path("/var/lib/ha")
    """What survives a new container: drain flag, counters, history."""
    run: Path = Path("/run/ha")
    """Rendered configurations, sockets, keys; 0700 on a tmpfs."""
    config: Path = Path("/opt/kiss-ha/config")
    """What the image ships: templates, stock files, sidecar.yaml."""
    programs: Path = Path("/usr/lib/kiss-ha")
    """Scripts that keepalived and sshd start."""

    @property
    def control_socket(self) -> Path:
        """Where the command line talks to the daemon."""
        return self.run / "control.sock"

    @property
    def link_sockets(self) -> Path:
        """Where sshd's forced command brings the links: one socket per peer, named after it."""
        return self.run / "link"

    @property
    def relay_sockets(self) -> Path:
        """Where nginx's workers, who may not enter `run`, find the way to the peers' relays."""
        return self.run.with_name(f"{self.run.name}-relay")

    @property
    def nginx_status_socket(self) -> Path:
        """Where the stock nginx.conf answers probes and stub_status."""
        return self.run / "nginx" / "status.sock"

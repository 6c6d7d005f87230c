"""Containers with a site: what a user starts with `docker run -e VIRTUAL_HOST=…`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from docker.models.containers import Container
from docker.types import Healthcheck

from tests.cluster import images
from tests.cluster.node import Plan
from tests.cluster.world import World

LABEL: Final = "kiss-ha.test.host"
"""Says on which host a container is: one engine has them all."""

SECOND: Final = 1_000_000_000
"""In nanoseconds, as Docker wants them."""

HEALTHCHECK: Final = Healthcheck(test=["CMD", "test", "!", "-e", "/tmp/sick"], interval=SECOND // 2)

_SOCKET: Final = "/var/run/docker.sock:/var/run/docker.sock"
_PROXY: Final = "/opt/kiss-ha/config/compose/containers"
_HERE: Final = Path(__file__).parent


def plan(
    world: World,
    environment: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    *,
    proxied: bool = False,
) -> Plan:
    """Return two nodes that serve containers, each those of its own host.

    Each has Docker's socket; if `proxied`, the second asks the proxy of `Engine.proxied` instead.
    """
    own = {
        host.name: {"HA_CONTAINERS_FILTER": f"label={LABEL}={world.project}-{host.name}"}
        for host in world.hosts
    }
    if proxied:
        own["host-b"]["DOCKER_HOST"] = "tcp://127.0.0.1:2375"
    return Plan(
        environment={"HA_CONTAINERS": "on", "HA_SYNC_SOAK": "0s", **(environment or {})},
        own=own,
        files=files or {},
        service={"volumes": [_SOCKET]},
        own_service={"host-b": {"volumes": []}} if proxied else {},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The engine that all hosts share."""

    world: World

    def run(
        self,
        host: str,
        name: str,
        *,
        port: int = 80,
        command: list[str] | None = None,
        labels: Mapping[str, str] | None = None,
        healthcheck: Healthcheck | None = None,
        **environment: str,
    ) -> Container:
        """`docker run` on a host: an application that says its name."""
        return self.world.docker.containers.run(
            images.TEST,
            command or ["python3", "/tests/cluster/app.py", str(port)],
            name=f"{self.world.project}-{name}",
            hostname=name,
            detach=True,
            network=f"{self.world.project}_wire",
            volumes=[f"{_HERE}:/tests/cluster:ro"],
            labels={LABEL: f"{self.world.project}-{host}", **(labels or {})},
            environment=environment,
            healthcheck=healthcheck,
            init=True,
        )

    @contextmanager
    def proxied(self) -> Iterator[Container]:
        """Run the socket proxy that the project ships, on the second host."""
        proxy = self.world.docker.containers.run(
            images.LATEST,
            ["-c", f"{_PROXY}/socket-proxy.conf", "-g", "daemon off;"],
            entrypoint=["tini", "-g", "--", "nginx", "-e", "stderr"],
            name=f"{self.world.project}-socket-proxy",
            detach=True,
            network_mode=f"container:{self.world.node('host-b').host.container}",
            volumes=[_SOCKET],
            tmpfs={"/run": "", "/tmp": "", "/var/lib/nginx": ""},
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            healthcheck={"test": ["NONE"]},
        )
        try:
            yield proxy
        finally:
            proxy.remove(force=True)

    def address(self, name: str) -> str:
        """Return the address that a container has now."""
        container = self.world.docker.containers.get(f"{self.world.project}-{name}")
        (network,) = container.attrs["NetworkSettings"]["Networks"].values()
        return str(network["IPAddress"])

    def clear(self) -> None:
        """Remove every container that was run."""
        for container in self.world.docker.containers.list(all=True, filters={"label": LABEL}):
            if container.labels[LABEL].startswith(f"{self.world.project}-"):
                container.remove(force=True)

    @contextmanager
    def cleared(self) -> Iterator["Engine"]:
        """Do `clear` at the end of a `with` block, however it ends."""
        try:
            yield self
        finally:
            self.clear()

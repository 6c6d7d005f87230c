"""A machine on the network of the hosts from which people watch them: a container."""

from pathlib import Path
from typing import Final, Self

from tests.cluster import images
from tests.hosts.lan import Lan
from tests.hosts.shell import run

ADDRESS: Final = "192.168.1.101"

_CLUSTER: Final = Path(__file__).parents[1] / "cluster"


class Watcher:
    """A container of the test image with `ADDRESS`, from `with` to the end of its block."""

    def __init__(self, lan: Lan) -> None:
        self.container = f"{lan.name}-watcher"
        self._lan = lan

    def __enter__(self) -> Self:
        name = self.container
        volume = f"{_CLUSTER}:/tests/cluster:ro"
        start = ("docker", "run", "--detach", "--name", name, "--network=none", "--volume", volume)
        run(*start, images.TEST, "sleep", "infinity")
        pid = run("docker", "inspect", "--format", "{{.State.Pid}}", name).strip()
        run("ip", "netns", "attach", name, pid)
        self._lan.plug_in(name, "watcher")
        run("ip", "-n", name, "link", "set", "eth0", "up")
        run("ip", "-n", name, "address", "add", f"{ADDRESS}/24", "dev", "eth0")
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Leave nothing of it; fine where there is nothing."""
        self._lan.unplug_for_good("watcher")
        run("ip", "netns", "delete", self.container, check=False)
        run("docker", "rm", "--force", self.container, check=False)

    def run(self, *command: str) -> str:
        """Run a program there and return what it says."""
        return run("docker", "exec", self.container, *command)

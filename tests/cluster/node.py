"""A node: the sidecar on one host, started from the file that a user copies."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import starmap
from pathlib import Path
from typing import Any, Final

from docker import DockerClient
from docker.models.containers import Container

from tests.cluster import images
from tests.cluster.folder import Folder, Tree
from tests.cluster.host import Host, run
from tests.cluster.shell import SHELLS
from tests.cluster.wait import until

REPOSITORY: Final = Path(__file__).parents[2]

CAPABILITIES: Final = (
    *("NET_ADMIN", "NET_RAW", "NET_BIND_SERVICE", "SETUID", "SETGID"),
    *("SYS_CHROOT", "DAC_OVERRIDE", "KILL", "CHOWN", "FOWNER"),
)


@dataclass(frozen=True, slots=True)
class Process:
    """A process inside a node, with the ids it has there."""

    pid: int
    parent: int
    state: str
    """As in proc(5): `S` sleeps, `T` is stopped, `Z` is dead."""
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a user would set up; two equal plans need only one cluster."""

    count: int = 2
    """Number of nodes."""
    ipv6: bool = False
    """The nodes talk to each other over IPv6."""
    vips: tuple[str, ...] = ()
    """The virtual addresses; empty: a single IPv4 address."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables beyond the required ones and one site."""
    own: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Variables of single nodes, by the host's name."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files below `nginx/`."""
    service: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the compose service that are merged into it."""
    compose: Mapping[str, str] = field(default_factory=dict)
    """The variant of config/compose that single nodes use, by the host's name."""
    beside: Mapping[str, str] = field(default_factory=dict)
    """Files beside each docker-compose.yml."""
    service_beside: str = ""
    """The user's own service of that variant, which joins the host's network too."""
    own_service: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Keys of single nodes' services, by the host's name; instead of those of `service`."""
    without: str | None = None
    """A capability that the first node does not get."""


class Node:
    """The sidecar on `host`; its directory is what a user has on a host."""

    def __init__(self, *, docker: DockerClient, host: Host, project: str, directory: Path) -> None:
        self.host = host
        self.directory = directory
        self._docker = docker
        self._project = project

    def __repr__(self) -> str:
        return f"Node({self.host.name})"

    @property
    def address(self) -> str:
        """The node's own IPv4 address."""
        return self.host.address

    @property
    def name(self) -> str:
        """Name of the container."""
        return f"{self._project}-sidecar-1"

    @property
    def folder(self) -> Folder:
        """Its `nginx/` on the host, where user 1000 works."""
        path = f"/nodes/{self.directory.name}/nginx"
        return Folder(container=self.host.machine, path=path, user="1000:1000")

    @property
    def inside(self) -> Folder:
        """What the container has as /etc/nginx, as root sees it."""
        return Folder(container=self.name, path="/etc/nginx", user="0:0")

    def tree(self) -> Tree:
        """Return what lies in that."""
        path = f"{self._root()}/etc/nginx"
        return Folder(container=self.host.machine, path=path, user="0:0").tree()

    @property
    def container(self) -> Container:
        """The container as it is now."""
        return self._docker.containers.get(self.name)

    # What a user does

    def write(self, plan: Plan, environment: Mapping[str, str]) -> None:
        """Make the directory: the project's docker-compose.yml, `.env`, `nginx/`, an override."""
        nginx = self.directory / "nginx"
        shutil.rmtree(self.directory, ignore_errors=True)
        nginx.mkdir(parents=True)
        if variant := plan.compose.get(self.host.name):
            files = REPOSITORY / "config/compose" / variant
            shutil.copytree(files, self.directory, dirs_exist_ok=True)
        else:
            shutil.copy(REPOSITORY / "docker-compose.yml", self.directory)
        for path, text in plan.beside.items():
            (self.directory / path).parent.mkdir(parents=True, exist_ok=True)
            (self.directory / path).write_text(text)
        lines = [f"{name}={value}\n" for name, value in environment.items()]
        (self.directory / ".env").write_text("".join(lines))
        for path, text in plan.files.items():
            (nginx / path).parent.mkdir(parents=True, exist_ok=True)
            (nginx / path).write_text(text)
        (self.directory / "docker-compose.override.yml").write_text(self._override(plan))

    def change(self, environment: Mapping[str, str], plan: Plan | None = None) -> None:
        """Change settings in `.env`, or all that a plan says of the container; then `up`."""
        lines = (self.directory / ".env").read_text().splitlines()
        before = dict(line.split("=", 1) for line in lines)
        text = "".join(f"{name}={value}\n" for name, value in {**before, **environment}.items())
        (self.directory / ".env").write_text(text)
        if plan is not None:
            override = self.directory / "docker-compose.override.yml"
            override.write_text(self._override(plan))
        self.up()

    def own_files(self) -> None:
        """Give the files to user 1000, as a user's are: directories 0700, keys 0600."""
        below = f"/nodes/{self.directory.name}/nginx"
        script = (
            f"chown -R 1000:1000 {below}; find {below} -type d -exec chmod 700 {{}} +; "
            f"find {below} -name '*.pem' -exec chmod 600 {{}} +"
        )
        run(self.host.machine, "sh", "-c", script)

    def read(self, path: str) -> str:
        """Return a file below `nginx/`."""
        return self.inside.read(path)

    def put(self, path: str, text: str) -> None:
        """Write a file below `nginx/`, as its owner."""
        target = f"/nodes/{self.directory.name}/nginx/{path}"
        script = 'mkdir -p "$(dirname "$1")" && printf %s "$2" >"$1" && chown -R 1000:1000 "$1"'
        run(self.host.machine, "sh", "-c", script, "sh", target, text)

    def up(self) -> None:
        """`docker compose up -d`."""
        self._compose("up", "--detach", "--quiet-pull")

    def configure(self, name: str, value: str) -> None:
        """Change a setting in `.env`, and `docker compose up -d`."""
        with (self.directory / ".env").open("a") as settings:
            settings.write(f"{name}={value}\n")
        self.up()

    def down(self) -> None:
        """Remove the container at once, with the state volume and the files."""
        if not self.directory.exists():
            return
        # A paused container cannot be stopped, only killed.
        self._compose("kill", check=False)
        self._compose("down", "--volumes", "--timeout", "0", check=False)
        below = f"/nodes/{self.directory.name}"
        run(self.host.machine, "rm", "-rf", below, check=False)

    def wipe(self) -> None:
        """Remove the container with all that it knows and all that it served."""
        self._compose("down", "--volumes", "--timeout", "0")
        below = f"/nodes/{self.directory.name}/nginx"
        run(self.host.machine, "find", below, "-mindepth", "1", "-delete")

    def lose_state(self) -> None:
        """Remove the container with all that it knows; what it served stays."""
        self._compose("down", "--volumes", "--timeout", "0")

    def replace(self) -> None:
        """A new container with the same volumes."""
        self._compose("up", "--detach", "--force-recreate", "--timeout", "0")

    def ha(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run an `ha` command inside the container."""
        return run(self.name, "ha", *arguments, check=check)

    # What can be seen

    @property
    def started(self) -> str:
        """When the container was started last."""
        return str(self.container.attrs["State"]["StartedAt"])

    @property
    def running(self) -> bool:
        """The container runs and is not paused."""
        state = self.container.attrs["State"]
        return bool(state["Running"] and not state["Paused"] and not state["Restarting"])

    def get(self, path: str, *, port: int = 9165) -> str:
        """Return what the node's HTTP server answers on its loopback address."""
        return self._request(f"127.0.0.1:{port}", path)

    def status(self) -> dict[str, Any]:
        """Return the node's report as it is now; what `ha status --json` prints."""
        # The HTTP server may show what was true a second ago; the control socket never does.
        socket = f"{self._root()}/run/ha/control.sock"
        answer: str = SHELLS[self.host.machine].look("request", socket, "/api/v1/status")
        report: dict[str, Any] = json.loads(answer)
        return report

    def sync(self) -> dict[str, Any]:
        """Return what the node reports of sync."""
        report: dict[str, Any] = self.status()["sync"]
        return report

    def fetch(self, host: str, *, port: int = 80) -> str:
        """Return what the node's own nginx answers for a site."""
        return self._request(f"127.0.0.1:{port}", "/", host)

    def role(self) -> str:
        """Return the role that the node reports."""
        return str(self.status()["node"]["role"])

    def problems(self) -> set[str]:
        """Return the codes of what the node reports as problems."""
        return {problem["code"] for problem in self.status()["problems"]}

    def metrics(self) -> dict[str, float]:
        """Return the samples of /metrics by name with labels, as they stand there."""
        lines = self.get("/metrics").splitlines()
        samples = [line.rpartition(" ") for line in lines if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in samples}

    def logs(self, *, tail: int = 100) -> str:
        """Return the last lines of the container's log."""
        return str(self.container.logs(tail=tail).decode(errors="replace"))

    def processes(self, command: str = "") -> list[Process]:
        """Return the processes whose command line contains `command`, parents first."""
        found = starmap(Process, SHELLS[self.host.machine].look("processes", self._root()))
        return sorted((p for p in found if command in p.command), key=lambda p: p.pid)

    def python(self) -> list[Process]:
        """Return the daemon's own process."""
        return [p for p in self.processes("-m sidecar run") if "tini" not in p.command]

    # What can happen

    def signal(self, name: str, *processes: Process) -> None:
        """Send a signal to processes inside the container; to those that have not ended since."""
        assert processes, "there is no such process"
        pids = " ".join(str(process.pid) for process in processes)
        each = f"kill -{name} $pid 2>/dev/null && sent=0"
        run(self.name, "sh", "-c", f"sent=1; for pid in {pids}; do {each}; done; exit $sent")

    def kill(self) -> None:
        """End the container as a loss of power would."""
        self.container.kill()

    def kill_once(self, directory: str, name: str = "", *, times: int = 1) -> None:
        """End all processes when a file gets this name, or any, for that many times.

        The directory is one inside the container, which Docker starts again.
        """
        pid, after = str(self.container.attrs["State"]["Pid"]), str(times)
        run(self.host.machine, "python3", "/tests/cluster/kill.py", pid, directory, name, after)

    def stop(self) -> None:
        """`docker stop`, with the grace period of docker-compose.yml."""
        self.container.stop()

    def start(self) -> None:
        """`docker start`."""
        self.container.start()

    def pause(self) -> None:
        """Freeze every process; the engine cannot while one of them is being born."""

        def paused() -> bool:
            self.container.pause()
            return True

        until(f"{self} is frozen", paused)

    def unpause(self) -> None:
        """Thaw them."""
        self.container.unpause()

    def heal(self) -> None:
        """Undo all of the above, the host's troubles too."""
        self.host.heal()
        state = self.container.attrs["State"]
        if state["Paused"]:
            self.unpause()
        elif not state["Running"]:
            self.start()
        else:
            stopped = [process for process in self.processes() if process.state == "T"]
            if stopped:
                self.signal("CONT", *stopped)

    def _request(self, place: str, path: str, host: str | None = None) -> str:
        return str(SHELLS[self.host.container].look("request", place, path, host))

    def _root(self) -> str:
        """Return where the machine below sees the container's files, while it runs."""
        state = self.container.attrs["State"]
        assert state["Running"], f"{self} does not run"
        assert not state["Paused"], f"{self} is frozen"
        return f"/proc/{state['Pid']}/root"

    def wait_ready(self, *, within: float = 20) -> None:
        """Wait until the node could serve and has a role."""
        until(
            f"{self.host.name} is ready",
            lambda: self.status()["node"],
            lambda node: node["eligible"] and node["role"] in {"MASTER", "BACKUP"},
            within=within,
        )

    def _override(self, plan: Plan) -> str:
        own = plan.own_service.get(self.host.name, {})
        network = f"container:{self.host.container}"
        service = {
            "image": images.LATEST,
            "network_mode": network,
            # That of the image would take a twentieth of the processors where all tests run.
            "healthcheck": {"interval": "1m"},
            **plan.service,
            **own,
        }
        text = f"services:\n  sidecar:\n    <<: {json.dumps(service)}\n"
        if plan.without and self.host.name == "host-a":
            kept = [name for name in CAPABILITIES if name != plan.without]
            # Compose adds lists of two files together unless it is told otherwise.
            text += f"    cap_add: !override {json.dumps(kept)}\n"
        if plan.service_beside:
            text += f"  {plan.service_beside}:\n    network_mode: {network}\n"
        return text

    def _compose(self, *arguments: str, check: bool = True) -> None:
        done = subprocess.run(
            [*("docker", "compose", "--project-name", self._project), *arguments],
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"cannot {arguments[0]} {self}: {done.stderr}")

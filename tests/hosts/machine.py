"""A Debian host in namespaces of its own, with systemd as its first process."""

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.cluster.wait import until
from tests.hosts.lan import GATEWAY, Lan
from tests.hosts.shell import run

BOOT: Final = Path(__file__).with_name("boot")

_PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NETWORK: Final = """\
[Match]
Name=eth0
[Network]
Address={address}/24
Gateway={gateway}
"""
_SSH: Final = """\
Host *
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
"""
# A test restarts the engine more often than anybody else would.
_UNIT: Final = "[Unit]\nStartLimitIntervalSec=0\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the machines of one run share."""

    lan: Lan
    directory: Path
    """Where their disks are."""
    root: Path
    """What is on a disk at first; never written to."""
    cgroups: Path
    """A mounted cgroup2 hierarchy."""


class Machine:
    """The host `host-<letter>` with `address`; it is off until `boot`."""

    def __init__(self, place: Place, letter: str, address: str) -> None:
        self.name = f"host-{letter}"
        self.address = address
        self._place = place
        self._disk = place.directory / self.name
        self._namespace = f"{place.lan.name}-{letter}"
        self._cgroup = place.cgroups / self._namespace
        self.mac = f"02:00:00:00:01:{ord(letter):02x}"
        self._process: subprocess.Popen[bytes] | None = None
        self._init = 0

    def __repr__(self) -> str:
        return f"Machine({self.name})"

    # What an administrator does

    def install(self, key: Path) -> None:
        """Set it up: name, address, and `key` to come in and to go to the others."""
        for name in ("upper", "work", "docker", "mnt"):
            (self._disk / name).mkdir(parents=True)
        names = f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n"
        network = _NETWORK.format(address=self.address, gateway=GATEWAY)
        public = key.with_suffix(".pub").read_text()
        for path, text in (
            ("etc/hostname", f"{self.name}\n"),
            ("etc/hosts", names),
            ("etc/systemd/network/eth0.network", network),
            ("etc/systemd/system/docker.service.d/tests.conf", _UNIT),
            ("root/.ssh/id_ed25519", key.read_text()),
            ("root/.ssh/authorized_keys", public),
            ("root/.ssh/config", _SSH),
        ):
            self.write(path, text)
        for file in (self._disk / "upper/root/.ssh").iterdir():
            file.chmod(0o600)

    def write(self, path: str, text: str) -> None:
        """Write a file while the machine is off."""
        target = self._disk / "upper" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def run(self, command: str, *, within: float = 60, check: bool = True, text: str = "") -> str:
        """Run a line of bash as root and return what it prints; `text` is its standard input."""
        return run(*self.inside(command), text=text, within=within, check=check)

    def inside(self, command: str) -> list[str]:
        """Return what runs a line of bash on this host."""
        namespaces = ("-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w")
        enter = ("nsenter", f"--target={self._init}", *namespaces)
        return [*enter, "env", "-i", "HOME=/root", _PATH, "bash", "-c", f"cd; {command}"]

    def addresses(self) -> set[str]:
        """Return the IPv4 addresses of `eth0`; also of a machine that is frozen."""
        ask = ("ip", "-n", self._namespace, "-json", "-4", "address", "show", "eth0")
        links: list[dict[str, Any]] = json.loads(run(*ask) if self.on else "[]")
        return {info["local"] for link in links for info in link["addr_info"]}

    # What can happen to it

    @property
    def on(self) -> bool:
        """It has power."""
        return self._process is not None and self._process.poll() is None

    def boot(self) -> None:
        """Switch it on; it comes up by itself, see `wait_up`."""
        run("ip", "netns", "add", self._namespace)
        self._place.lan.plug_in(self._namespace, self.name, mac=self.mac)
        self._cgroup.mkdir(exist_ok=True)
        shutil.rmtree(self._disk / "work")
        (self._disk / "work").mkdir()
        enter = ("nsenter", f"--net=/run/netns/{self._namespace}")
        alone = ("unshare", "-m", "-u", "-i", "-p", "-C", "-f", "--propagation", "private")
        boot = (str(BOOT), str(self._place.root), str(self._disk), self.name)
        with (self._disk / "boot.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *("sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(self._cgroup)),
                    *(*enter, *alone, *boot),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._init = until(f"{self.name} starts", self._find_init, within=20)

    def wait_up(self, *, within: float = 40) -> None:
        """Wait until its Docker engine answers."""
        until(f"{self.name} is up", lambda: self.run("docker version"), within=within)

    def power_off(self) -> None:
        """Pull the plug; fine if it is off."""
        self._place.lan.unplug_for_good(self.name)
        if self._cgroup.exists():
            (self._cgroup / "cgroup.kill").write_text("1")
        if self._process:
            self._process.wait(timeout=20)
        run("ip", "netns", "delete", self._namespace, check=False)
        if self._cgroup.exists():
            until(f"{self.name} is off", self._events, lambda it: "populated 0" in it, within=20)
            # Deepest first: a cgroup with others in it cannot be removed.
            for directory, _, _ in os.walk(self._cgroup, topdown=False):
                Path(directory).rmdir()

    def reboot(self) -> float:
        """`systemctl reboot`; return when it was off (monotonic)."""
        assert self._process is not None
        self.run("systemctl reboot", check=False)
        self._process.wait(timeout=60)
        off = time.monotonic()
        self.power_off()
        self.boot()
        return off

    def heal(self) -> None:
        """Undo what happened to it; see `wait_up`."""
        if not self.on:
            self.power_off()
            self.boot()
        self.thaw()

    def freeze(self) -> None:
        """Stop every process at once, as of a paused virtual machine; packets get lost."""
        self.unplug()
        self._freezer("1")

    def thaw(self) -> None:
        """Let them go on."""
        self._freezer("0")
        self.plug()

    def unplug(self) -> None:
        """Pull the network cable."""
        self._place.lan.cable(self.name, "down")

    def plug(self) -> None:
        """Put it back."""
        self._place.lan.cable(self.name, "up")

    def _freezer(self, state: str) -> None:
        (self._cgroup / "cgroup.freeze").write_text(state)
        until(
            f"{self.name} has freeze state {state}",
            self._events,
            lambda events: f"frozen {state}" in events,
        )

    def _events(self) -> str:
        return (self._cgroup / "cgroup.events").read_text()

    def _find_init(self) -> int:
        """Return the id that the host's systemd has on this machine."""
        assert self._process is not None
        pid = self._process.pid
        (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(child) if Path(f"/proc/{child}/comm").read_text() == "systemd\n" else 0


def switch_on(*machines: Machine) -> None:
    """Boot machines side by side, and wait until all are up."""
    for machine in machines:
        machine.boot()
    for machine in machines:
        machine.wait_up()


def load_image(machine: Machine, name: str) -> None:
    """Give a machine an image of this one, by the name that the README uses."""
    receive = machine.inside(f"docker load --quiet && docker tag {name} kiss-ha:latest")
    with subprocess.Popen(["docker", "save", name], stdout=subprocess.PIPE) as save:
        subprocess.run(receive, stdin=save.stdout, check=True, capture_output=True, timeout=120)

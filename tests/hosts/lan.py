"""The network of the hosts, its gateway, an upstream and a client: network namespaces."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from tests.cluster.client import Load
from tests.hosts.shell import run, succeeds

GATEWAY: Final = "192.168.1.1"
UPSTREAM: Final = "192.168.1.20"
CLIENT: Final = "192.168.1.100"

_CLUSTER: Final = Path(__file__).parents[1] / "cluster"


class Lan:
    """The network `name`: a bridge, with a cable to the client and one to each machine."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._bridge = f"{name}-lan"
        self._client = f"{name}-client"
        self._upstream: subprocess.Popen[bytes] | None = None

    def up(self) -> None:
        """Make it."""
        for namespace in (self._bridge, self._client):
            run("ip", "netns", "add", namespace)
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        # An address of its own: otherwise it has that of a port, and changes as ports come and go.
        self._ip("link add br0 address 02:00:00:00:00:01 type bridge forward_delay 0 stp_state 0")
        self._ip("link set br0 up")
        for address in (GATEWAY, UPSTREAM):
            self._ip(f"address add {address}/24 dev br0")
        self.plug_in(self._client, "client")
        run("ip", "-n", self._client, "link", "set", "eth0", "up")
        run("ip", "-n", self._client, "address", "add", f"{CLIENT}/24", "dev", "eth0")
        self._upstream = subprocess.Popen(
            [*_inside(self._bridge), sys.executable, str(_CLUSTER / "app.py"), "8080"],
            stdin=subprocess.DEVNULL,
        )

    def down(self) -> None:
        """Remove it; fine where there is none."""
        if self._upstream:
            self._upstream.kill()
            self._upstream.wait()
        for namespace in (self._bridge, self._client):
            run("ip", "netns", "delete", namespace, check=False)

    def plug_in(self, namespace: str, port: str, *, mac: str | None = None) -> None:
        """Lay a cable from `eth0` of a namespace to the bridge; there it is named `port`."""
        address = ("address", mac) if mac else ()
        end = ("peer", "name", port, "netns", self._bridge)
        run("ip", "link", "add", "eth0", *address, "netns", namespace, "type", "veth", *end)
        self._ip(f"link set {port} master br0 up")

    def unplug_for_good(self, port: str) -> None:
        """Remove a cable; fine where there is none."""
        run("ip", "-n", self._bridge, "link", "delete", port, check=False)

    def answers_first(self, port: str) -> None:
        """Let a machine hear broadcasts before the others: a bridge begins with its last port."""
        self._ip(f"link set {port} nomaster")
        self._ip(f"link set {port} master br0")

    def cable(self, port: str, state: str) -> None:
        """Set a cable `up` or `down`."""
        self._ip(f"link set {port} {state}")

    def load(self, vip: str, host: str, *, rate: float) -> Load:
        """Return a client of `vip` that asks for the site `host`, `rate` times a second."""
        script = str(_CLUSTER / "load.py")
        command = [sys.executable, script, vip, "80", host, str(rate)]
        return Load([*_inside(self._client), *command])

    def run(self, command: str) -> str:
        """Run a line of a shell at the client, and return what it prints."""
        return run(*_inside(self._client), "sh", "-c", command)

    def mislead(self, address: str, mac: str, *, within: float) -> bool:
        """Let the client ask who has an address, until the machine with `mac` answers first.

        Return whether it did.
        """
        entry = (address, "dev", "eth0")
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            known = run("ip", "-n", self._client, "neighbour", "show", "to", *entry)
            if mac in known:
                return True
            run("ip", "-n", self._client, "neighbour", "delete", *entry, check=False)
            time.sleep(0.02)
        return False

    def _ip(self, command: str) -> None:
        run("ip", "-n", self._bridge, *command.split())


def why_not() -> str | None:
    """Return why this machine cannot have hosts in namespaces, or None."""
    if os.geteuid():
        return "they need root"
    programs = ("curl", "ip", "nsenter", "ssh-keygen", "unshare")
    missing = [name for name in programs if not shutil.which(name)]
    if missing:
        return f"they need {' and '.join(missing)}"
    if not succeeds("unshare", "-m", "-u", "-i", "-n", "-p", "-C", "-f", "true"):
        return "they need namespaces, and unshare is refused"
    return None


def _inside(namespace: str) -> tuple[str, ...]:
    return ("nsenter", f"--net=/run/netns/{namespace}")

"""A host: a container that only holds an address, and what can happen to a machine."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from tests.cluster.shell import SHELLS
from tests.cluster.wait import until

CUT: Final = ("tcp dport 8730", "tcp sport 8730")
"""Rules for `Host.drop`: what the nodes tell each other, but not VRRP."""

FOREVER: Final = 2**32 - 1
"""The lifetime that `ip` shows for an address without one."""


def run(
    container: str, *command: str, check: bool = True, user: str = "0", directory: str = "/"
) -> subprocess.CompletedProcess[str]:
    """Run a command inside a container, as root unless another `user` is given."""
    if shell := SHELLS.get(container):
        done = shell.run(*command, user=user, directory=directory, timeout=60)
    else:
        done = subprocess.run(
            ["docker", "exec", "--user", user, "--workdir", directory, container, *command],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    if check and done.returncode:
        raise AssertionError(
            f"cannot run {' '.join(command)} in {container}: "
            f"exit code {done.returncode}: {done.stderr or done.stdout}"
        )
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A host's own addresses and routes, without those of the virtual addresses."""

    addresses: frozenset[str]
    routes: frozenset[str]


@dataclass(slots=True, kw_only=True)
class Watch:
    """When which address came to or went from a host's NIC (monotonic clock, seconds)."""

    arrivals: dict[str, list[float]] = field(default_factory=dict)
    departures: dict[str, list[float]] = field(default_factory=dict)

    def came(self, address: str, *, after: float, within: float = 10) -> float:
        """Wait until `address` has come since the moment `after`; return the seconds it took."""
        return _first(f"{address} comes to the NIC", self.arrivals, address, after, within)

    def gone(self, address: str, *, after: float, within: float = 10) -> float:
        """Wait until `address` has left since the moment `after`; return the seconds it took."""
        return _first(f"{address} leaves the NIC", self.departures, address, after, within)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A place for a node, with fixed addresses on `eth0`."""

    name: str
    container: str
    machine: str
    """The container that reaches the other end of this host's cable."""
    address: str
    address6: str

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command in the host's network namespace and return its output."""
        return run(self.container, *command, check=check).stdout

    @property
    def mac(self) -> str:
        """The link address of the NIC."""
        return self.run("cat", "/sys/class/net/eth0/address").strip()

    def lifetimes(self) -> dict[str, int]:
        """Return the addresses on the NIC, each with its remaining lifetime in seconds."""
        seen: dict[str, int] = SHELLS[self.container].look("lifetimes", "eth0")
        return seen

    def holds(self, address: str) -> bool:
        """Tell whether the NIC has an address."""
        return address in self.lifetimes()

    def network(self, *, without: frozenset[str] = frozenset()) -> Network:
        """Return the host's own addresses and routes; `without` names the virtual addresses."""
        routes = [
            route
            for family in ("-4", "-6")
            for route in json.loads(self.run("ip", "-json", family, "route", "show"))
        ]
        return Network(
            addresses=frozenset(self.lifetimes()) - without,
            routes=frozenset(
                f"{route['dst']} via {route.get('gateway')} dev {route.get('dev')} "
                f"src {route.get('prefsrc')} metric {route.get('metric')} {route.get('flags')}"
                for route in routes
                if route["dst"].partition("/")[0] not in without
            ),
        )

    def unplug(self) -> None:
        """Pull the cable: the NIC loses its carrier and keeps its addresses."""
        self._cable("down")

    def plug(self) -> None:
        """Put the cable back."""
        self._cable("up")

    def drop(self, *rules: str) -> None:
        """Lose packets silently, in both directions: those that match a rule, or all of them."""
        chains = "".join(
            f"chain {name} {{ type filter hook {hook} device eth0 priority 0; "
            + "; ".join(f"{rule} drop" for rule in rules or ("",))
            + "; }\n"
            for name, hook in (("in", "ingress"), ("out", "egress"))
        )
        self.run("nft", f"table netdev chaos {{ {chains} }}")

    def heal(self) -> None:
        """Undo `unplug` and `drop`."""
        if not SHELLS[self.container].look("carrier", "eth0"):
            self.plug()
        self.run("nft", "delete", "table", "netdev", "chaos", check=False)

    @contextmanager
    def watch(self) -> Iterator[Watch]:
        """Record when addresses come and go, to the millisecond."""
        watch = Watch()
        process = subprocess.Popen(
            [
                *("docker", "exec", "--interactive", "--workdir", "/", self.container),
                *("python3", "-u", "-m", "tests.cluster.nic"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        reader = threading.Thread(target=_record, args=(process, watch), daemon=True)
        reader.start()
        try:
            yield watch
        finally:
            process.stdin.close()
            process.wait(timeout=10)
            reader.join(timeout=10)
            process.stdout.close()

    def _cable(self, state: str) -> None:
        index = self.run("cat", "/sys/class/net/eth0/iflink").strip()
        find = f"grep -lx {index} /sys/class/net/*/ifindex"
        # Links of others may go while it looks.
        link = run(self.machine, "sh", "-c", find, check=False).stdout.split("/")[4]
        run(self.machine, "ip", "link", "set", link, state)


def _first(
    what: str, events: dict[str, list[float]], address: str, after: float, within: float
) -> float:
    times = until(
        what,
        lambda: [at for at in list(events.get(address, [])) if at >= after],
        within=within,
    )
    return times[0] - after


def _record(process: subprocess.Popen[str], watch: Watch) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        at, what, address = line.split()
        times = watch.arrivals if what == "+" else watch.departures
        times.setdefault(address, []).append(float(at))


def now() -> float:
    """Return the clock that `Watch` and the client use."""
    return time.monotonic()

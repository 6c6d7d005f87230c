"""The client that opens a new connection per request and counts."""

import json
import subprocess
import threading
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self

from tests.cluster.host import Host, run
from tests.cluster.wait import until

# Waits for the new node's word, then has the dead one's: ADDRESS DEAD-MAC LIVING-MAC.
_MISLEAD: Final = """
until ip neighbour show "$1" | grep -q "$3"; do sleep 0.02; done
ip neighbour replace "$1" lladdr "$2" nud reachable dev eth0
"""

RATE: Final = 125
"""Requests per second."""

MOMENT: Final = 0.9
"""Seconds of a gap in which nothing was lost but what was under way: a SYN that is lost is sent
again after 1 s. How short the moment is, a busy machine cannot tell: `make bench` measures it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; `node` is the address of the node that answered, or None with the error."""

    start: float
    end: float
    node: str | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What a client has seen, in the order in which the requests ended."""

    requests: tuple[Request, ...]

    @property
    def failures(self) -> list[Request]:
        """The requests without an answer; each was made once."""
        return [request for request in self.requests if request.node is None]

    def since(self, moment: float) -> "Served":
        """Return what became of the requests made from a moment (monotonic) on."""
        return Served(requests=tuple(r for r in self.requests if r.start >= moment))

    @property
    def gap(self) -> float:
        """Seconds from a success (or the first start) to the next one (or the last start), at most.

        After the last start nobody asks any more: what ends later says nothing of a gap. Nor does
        the time in which nobody asked, as a busy machine held the client up.
        """
        if not self.requests:
            return float("inf")
        starts = sorted(request.start for request in self.requests)
        times = [request.end for request in self.requests if request.node is not None]
        edges = [starts[0], *(time for time in times if time < starts[-1]), starts[-1]]

        def gap(earlier: float, later: float) -> float:
            asked = starts[bisect_left(starts, earlier) : bisect_right(starts, later)]
            held_up = max(after - before for before, after in pairwise([earlier, *asked, later]))
            return later - earlier - max(held_up - 1 / RATE, 0)

        return max(gap(earlier, later) for earlier, later in pairwise(edges))

    @property
    def nodes(self) -> list[str]:
        """Which nodes answered, in turn, by when they were asked: some answers come late."""
        turns: list[str] = []
        for request in sorted(self.requests, key=lambda one: one.start):
            if request.node is not None and turns[-1:] != [request.node]:
                turns.append(request.node)
        return turns

    def __str__(self) -> str:
        kinds = Counter(request.error for request in self.failures)
        failures = "".join(f"\n  {count} times {error}" for error, count in kinds.items())
        if self.failures:
            start = self.requests[0].start
            times = [request.start - start for request in self.failures]
            failures += f"\n  begun {min(times):.2f} to {max(times):.2f} s after the start"
        return (
            f"{len(self.requests)} requests, {len(self.failures)} failed, "
            f"longest gap {self.gap * 1000:.0f} ms, served by {' then '.join(self.nodes)}{failures}"
        )


class Load:
    """A client at work, from `with` to the end of its block; then `served` is complete."""

    def __init__(self, command: Sequence[str]) -> None:
        """`command` runs load.py at the place of the client."""
        self._command = command
        self._requests: list[Request] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, name="load", daemon=True)
        self._reader.start()
        until("the client makes requests", lambda: self._requests)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)
        self._reader.join(timeout=10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def served(self) -> Served:
        """What has been seen until now."""
        return Served(requests=tuple(self._requests))

    def wait_for(self, nodes: Sequence[str] | str, *, within: float = 10) -> float:
        """Wait until one of `nodes` answers a request made from now on; return when (monotonic)."""
        wanted = {nodes} if isinstance(nodes, str) else set(nodes)
        now = time.monotonic()

        def answers() -> list[Request]:
            return [r for r in list(self._requests) if r.start >= now and r.node in wanted]

        return until(f"the client is served by {wanted}", answers, within=within)[0].end

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            start, end, node, error = json.loads(line)
            self._requests.append(Request(start=start, end=end, node=node, error=error))


class Flood:
    """A crowd of connections from one container, from `with` to the end of its block."""

    def __init__(self, container: str, kind: str, count: int, address: str, port: int) -> None:
        self._command = [
            *("docker", "exec", "--interactive", container),
            *("python3", "/tests/cluster/flood.py", kind, str(count), address, str(port)),
        ]
        self.opened = 0
        """Connections that came about until now."""
        self.answered = 0
        """Answers, to a flood that asks."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, name="flood", daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._reader.join(timeout=10)
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.opened, self.answered = json.loads(line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A container beside the hosts."""

    container: str

    def load(
        self, address: str, *, port: int = 80, host: str = "site.test", rate: float = RATE
    ) -> Load:
        """Return a client of `address` that works as long as its `with` block."""
        container = ("docker", "exec", "--interactive", self.container)
        script = ("python3", "/tests/cluster/load.py", address, str(port), host, str(rate))
        return Load([*container, *script])

    @contextmanager
    def misled(self, address: str, *, dead: Host, living: Host) -> Iterator[None]:
        """Within it, let a takeover meet a client without an ARP entry, and the worst of luck.

        For as long as a dead node's host has the address both hosts answer, and here it is the
        dead one's answer that arrives last.
        """
        command = [_MISLEAD, "sh", address, dead.mac, living.mac]
        process = subprocess.Popen(["docker", "exec", self.container, "sh", "-euc", *command])
        try:
            yield
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()
            process.wait()

    def mislead(self, address: str, mac: str) -> None:
        """Let the client believe that an address is at `mac`, as a gratuitous ARP would."""
        entry = (address, "lladdr", mac, "nud", "reachable", "dev", "eth0")
        run(self.container, "ip", "neighbour", "replace", *entry)

    def believes(self, address: str) -> str:
        """Return the MAC at which the client believes an address to be."""
        seen = json.loads(run(self.container, "ip", "-json", "neighbour", "show", address).stdout)
        return str(seen[0]["lladdr"])

    def flood(self, kind: str, count: int, address: str, port: int = 9165) -> Flood:
        """Return a crowd of `count` connections, of a kind of flood.py."""
        return Flood(self.container, kind, count, address, port)

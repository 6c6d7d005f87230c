"""One world per process of pytest; a cluster is kept as long as the next test wants the same."""

import os
import subprocess
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.cluster.client import Client
from tests.cluster.cluster import Cluster
from tests.cluster.node import Node, Plan
from tests.cluster.world import COMPOSE_FILE, World
from tests.e2e import sites
from tests.e2e.fixtures import Have, Start


class Stage:
    """Holds the one cluster that is up."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.plan: Plan | None = None
        self.cluster: Cluster | None = None
        self.blocked: list[str] = []
        """What nodes say of turns of their event loops that took too long."""
        self._known: dict[tuple[str, float], int] = {}

    def start(self, plan: Plan) -> Cluster:
        """Return a new cluster that has been told to start, and may not be ready yet."""
        self.clear()
        self.plan, self.cluster = plan, self.world.cluster(plan)
        self.cluster.up()
        return self.cluster

    def have(self, plan: Plan) -> Cluster:
        """Return a cluster that is well: the one that is up if it has the same plan."""
        if self.cluster and self.plan == plan:
            try:
                self.cluster.heal()
                self.cluster.wait_well(within=15)
                return self.cluster
            except AssertionError:
                pass
        cluster = self.start(plan)
        cluster.wait_well(within=30)
        return cluster

    def look_at_loops(self) -> None:
        """Ask the nodes that are up for what kept their event loops waiting since the last look."""
        for node in self.cluster.nodes if self.cluster else ():
            with suppress(AssertionError, OSError, ValueError, subprocess.TimeoutExpired):
                report = node.status()
                life, loop = (node.name, report["started"]), report["loop"]
                if loop["long"] > self._known.get(life, 0):
                    self._known[life] = loop["long"]
                    longest = f"longest {loop['longest']:.3f} s: {loop['where']}"
                    self.blocked.append(f"{node.host.name}: {loop['long']} turns, {longest}")

    def clear(self) -> None:
        """Remove the cluster that is up."""
        self.look_at_loops()
        self.world.clear()
        self.plan = self.cluster = None


LANE: Final = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""Which of several processes side by side this one is."""

LANES: Final = 16
"""Wires that each process may look through: no two choose the same at the same time."""

STAGE: Final = Stage(
    World(
        f"kiss-ha-e2e-{os.getpid()}",
        first_wire=zlib.crc32(os.environ.get("PYTEST_XDIST_TESTRUNUID", "").encode())
        + LANES * LANE,
    )
)


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    return str(COMPOSE_FILE)


@pytest.fixture(scope="session")
def docker_compose_project_name() -> str:
    STAGE.world.directory.mkdir()
    os.environ.update(STAGE.world.environment)
    return STAGE.world.project


@pytest.fixture(scope="session")
def docker_setup() -> str:
    return "up --detach --wait"


@pytest.fixture(scope="session")
def docker_cleanup() -> str:
    return "down --volumes --timeout 0"


@pytest.fixture(scope="session")
def stage(docker_services: object) -> Iterator[Stage]:
    assert docker_services
    STAGE.world.prepare()
    yield STAGE
    STAGE.clear()
    STAGE.world.directory.rmdir()
    STAGE.world.leave()


@pytest.fixture
def world(stage: Stage) -> World:
    """The network that everything is on."""
    return stage.world


@pytest.fixture
def client(world: World) -> Client:
    """Who uses the virtual address."""
    return world.client


@pytest.fixture(autouse=True)
def unblocked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Nothing keeps a node's event loop waiting, except where a test stops Python on purpose."""
    yield
    STAGE.look_at_loops()
    blocked, STAGE.blocked = STAGE.blocked, []
    if request.node.get_closest_marker("stops_python") is None:
        assert not blocked


@pytest.fixture
def have(stage: Stage) -> Iterator[Have]:
    """A function that returns a cluster as planned and well; checked at the end of the test."""
    yield stage.have
    stage.world.gateway.heal()
    if stage.cluster:
        stage.cluster.wait_settled()


@pytest.fixture
def start(stage: Stage) -> Iterator[Start]:
    """A function that starts a new cluster, one that may have troubles; removed after the test."""
    yield stage.start
    stage.clear()


@pytest.fixture
def pair(have: Have) -> Cluster:
    """Two nodes with the usual settings, both well."""
    return have(Plan())


@pytest.fixture
def synced(stage: Stage, have: Have) -> Cluster:
    """Two nodes that accept changes at once, both well and in sync."""
    plan = sites.plan(stage.world)
    pair = have(plan)
    try:
        pair.wait_in_sync()
    except AssertionError:  # a test that failed may have left a difference
        pair = stage.start(plan)
        pair.wait_well(within=30)
        pair.wait_in_sync()
    return pair


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test time for starting a pair, which is what most of it goes to."""
    for item in items:
        if item.path.parent == Path(__file__).parent and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(180))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,  # noqa: ARG001 # pytest looks at the name
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the nodes say about a test that failed."""
    report = yield
    if report.failed and STAGE.cluster:
        for node in STAGE.cluster.nodes:
            report.sections.append((f"log of {node.host.name}", _try(node.logs)))
            status = _try(partial(_status, node))
            report.sections.append((f"ha status on {node.host.name}", status))
            report.sections.append((f"NIC of {node.host.name}", _try(node.host.lifetimes)))
    return report


def _status(node: Node) -> str:
    return node.ha("status", check=False).stdout


def _try(action: Callable[[], object]) -> str:
    try:
        return str(action())
    except Exception as error:  # noqa: BLE001 # a report must not hide the test's own failure
        return f"({error})"

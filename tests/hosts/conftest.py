"""One pair of hosts for the whole session, set up by the README's quick start."""

import os
import shutil
import subprocess
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from _pytest.capture import CaptureManager
from _pytest.terminal import TerminalReporter

from tests.cluster import images
from tests.hosts import lan as networks
from tests.hosts.lan import Lan
from tests.hosts.machine import Machine, Place, load_image, switch_on
from tests.hosts.pair import ADDRESSES, Pair
from tests.hosts.readme import QuickStart, quick_start
from tests.hosts.shell import run
from tests.hosts.watcher import Watcher

HOST_ROOT: Final = Path(__file__).parents[2] / "scripts/host-root"
SEEN: Final = "seen"
"""The property of a test that says what its client saw."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounds", type=int, default=1, help="how often to run each test of a host")


@pytest.fixture
def round_of_test() -> None:
    """Be there for `pytest_generate_tests`."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """With `--rounds 5` run every test five times, for figures."""
    rounds = metafunc.config.getoption("rounds")
    if rounds > 1:
        metafunc.fixturenames.append("round_of_test")
        metafunc.parametrize("round_of_test", range(1, rounds + 1), indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Limit each test, but not the start of the hosts, where each step has its own limit."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(180, func_only=True))


@pytest.fixture(scope="session")
def root(pytestconfig: pytest.Config) -> Path:
    """The root of a host, built where it is missing; skips where there can be no hosts."""
    reason = networks.why_not()
    if not reason:
        capture = pytestconfig.pluginmanager.getplugin("capturemanager")
        assert isinstance(capture, CaptureManager)
        with capture.global_and_fixture_disabled():
            done = subprocess.run([HOST_ROOT], stdout=subprocess.PIPE, text=True, check=False)
        if not done.returncode:
            return Path(done.stdout.strip())
        reason = "scripts/host-root cannot build their root"
    reason = f"no hosts in namespaces here: {reason}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def mounted_cgroups(directory: Path) -> Iterator[Path]:
    """Give a cgroup2 hierarchy: the machine's, or else one mounted for now."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    found = [Path(where) for _, where, kind, *_ in mounts if kind == "cgroup2"]
    if found:
        yield found[0]
        return
    here = directory / "cgroup"
    here.mkdir(exist_ok=True)
    run("mount", "-t", "cgroup2", "cgroup2", str(here))
    try:
        yield here
    finally:
        run("umount", str(here))


def make_machines(root: Path, cgroups: Path, pid: str) -> tuple[Place, list[Machine]]:
    """Return the machines of the run that is, or was, the process `pid`; all are off."""
    lan = Lan(f"kiss-ha-hosts-{pid}")
    place = Place(lan=lan, directory=root.parent / "runs" / pid, root=root, cgroups=cgroups)
    return place, [Machine(place, letter, address) for letter, address in ADDRESSES.items()]


def remove(place: Place, machines: Iterable[Machine]) -> None:
    """Leave nothing of a run; fine where there is nothing."""
    for machine in machines:
        machine.power_off()
    Watcher(place.lan).remove()
    place.lan.down()
    shutil.rmtree(place.directory)


@pytest.fixture(scope="session")
def fresh(root: Path) -> Iterator[Pair]:
    """Two hosts that are on, with Docker and with the image on the first one; nothing else."""
    with mounted_cgroups(root.parent) as cgroups:
        for directory in (root.parent / "runs").glob("*"):
            if not Path("/proc", directory.name).exists():
                remove(*make_machines(root, cgroups, directory.name))
        place, machines = make_machines(root, cgroups, str(os.getpid()))
        place.directory.mkdir(parents=True)
        try:
            place.lan.up()
            key = place.directory / "key"
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
            for machine in machines:
                machine.install(key)
            switch_on(*machines)
            load_image(machines[0], images.LATEST)
            yield Pair(place.lan, *machines)
        finally:
            remove(place, machines)


@pytest.fixture(scope="session")
def guide() -> QuickStart:
    """The README's quick start."""
    return quick_start()


@pytest.fixture(scope="session")
def started(fresh: Pair, guide: QuickStart) -> Pair:
    """The pair after the first three steps."""
    fresh.set_up(guide)
    fresh.wait_well()
    return fresh


@pytest.fixture(scope="session")
def with_site(started: Pair, guide: QuickStart) -> Pair:
    """The pair after the last step."""
    started.add_site(guide)
    return started


@pytest.fixture
def pair(with_site: Pair) -> Pair:
    """The pair, well, with the site of the quick start."""
    with_site.heal()
    return with_site


Tell = Callable[[object], None]
"""Fixture `tell`: adds a line to the table at the end of the run."""


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """A function for what the client saw."""
    return partial(record_property, SEEN)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
    call: pytest.CallInfo[None],  # noqa: ARG001 # pytest looks at the name
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the hosts say about a test that failed."""
    report = yield
    pair = getattr(item, "funcargs", {}).get("with_site")
    if report.failed and isinstance(pair, Pair):
        for machine in pair.both:
            told = pair.tell(machine)
            report.sections += [(f"{name} of {machine.name}", text) for name, text in told]
    return report


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print what the client saw."""
    terminalreporter.section("what the client saw")
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, seen in report.user_properties:
                if name == SEEN:
                    terminalreporter.line(f"{report.nodeid.partition('::')[2]}: {seen}")

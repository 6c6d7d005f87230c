"""Whole hosts that fail; the client opens a connection every 7 ms and never retries."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.cluster.client import Load
from tests.cluster.wait import until
from tests.hosts.conftest import Tell
from tests.hosts.machine import Machine, switch_on
from tests.hosts.pair import SITE, VIP, Pair
from tests.hosts.readme import QuickStart

GAP = 1.0
"""Seconds after which the other node serves: three adverts, and much room for a busy machine."""
COLD = 1.2
"""The same for a client that asks who has the VIP while a dead container's address still answers:
the new MASTER announces it five times a second."""


@contextmanager
def loaded(pair: Pair, tell: Tell, *, gap: float = GAP) -> Iterator[Load]:
    """A client at work, until all is well again; it is never without an answer for long."""
    with pair.load() as load:
        yield load
        pair.wait_well()
    tell(load.served)
    assert load.served.gap <= gap, str(load.served)


def wait_for_other(pair: Pair, load: Load, machine: Machine) -> None:
    """Wait until the client is served by the other machine."""
    load.wait_for(pair.other(machine).address, within=20)


class TestTheQuickStart:
    def test_shows_the_page_and_the_status_and_survives_its_kill(
        self, started: Pair, guide: QuickStart
    ) -> None:
        master = started.master
        other = started.other(master)
        assert f"{master.name} serves" in started.lan.run(guide.page)
        until(
            "the status shows a MASTER and no problems",
            lambda: started.type(started.a, guide.status),
            lambda told: "MASTER" in told and "No problems." in told,
        )
        started.type(master, guide.kill)
        until(
            f"the page comes from {other}",
            lambda: started.lan.run(guide.page),
            lambda page: f"{other.name} serves" in page,
        )
        started.type(master, guide.start)
        started.wait_well()

    def test_ends_with_a_site_that_is_live_on_both(self, with_site: Pair) -> None:
        for machine in with_site.both:
            answer = machine.run(f"curl --silent --header 'Host: {SITE}' http://127.0.0.1/")
            assert json.loads(answer)["node"] == machine.address

    def test_its_page_still_says_which_host_serves(
        self, with_site: Pair, guide: QuickStart
    ) -> None:
        assert f"{with_site.master.name} serves" in with_site.lan.run(guide.page)


class TestTheContainer:
    def test_is_killed(self, pair: Pair, tell: Tell) -> None:
        master = pair.master
        with loaded(pair, tell) as load:
            master.run("docker kill kiss-ha-sidecar-1")
            wait_for_other(pair, load, master)
            pair.compose(master, "up --detach")

    def test_is_killed_and_a_client_asks_who_has_the_vip(self, pair: Pair, tell: Tell) -> None:
        master = pair.master
        pair.lan.answers_first(master.name)
        pair.wait_held_by(master)
        with loaded(pair, tell, gap=COLD) as load:
            master.run("docker kill kiss-ha-sidecar-1")
            wait_for_other(pair, load, master)
            misled = pair.lan.mislead(VIP, master.mac, within=3)
            tell(f"the dead container's address {'answered' if misled else 'did not answer'}")
            wait_for_other(pair, load, master)
            pair.compose(master, "up --detach")

    def test_is_stopped(self, pair: Pair, tell: Tell) -> None:
        master = pair.master
        with loaded(pair, tell) as load:
            pair.compose(master, "stop")
            wait_for_other(pair, load, master)
            pair.compose(master, "up --detach")

    def test_gives_the_vip_away(self, pair: Pair, tell: Tell) -> None:
        master = pair.master
        with loaded(pair, tell) as load:
            pair.ha(master, "failover")
            wait_for_other(pair, load, master)

    def test_is_replaced_on_one_node_after_the_other(self, pair: Pair, tell: Tell) -> None:
        master = pair.master
        with loaded(pair, tell):
            for machine in (pair.other(master), master):
                pair.compose(machine, "up --detach --force-recreate")
                pair.wait_well()

    def test_finds_its_port_taken(self, pair: Pair, tell: Tell) -> None:
        machine = pair.master
        with loaded(pair, tell):
            pair.compose(machine, "stop")
            machine.run("systemctl start nginx")
            try:
                pair.compose(machine, "up --detach")
                until(
                    "the status says that nginx fails",
                    lambda: pair.status(machine),
                    lambda status: "nginx" in status["node"]["hard"] and status["problems"],
                    within=30,
                )
            finally:
                machine.run("systemctl stop nginx")

    def test_says_a_lot_and_fills_no_disk(self, pair: Pair) -> None:
        machine = pair.other(pair.master)
        line = "0123456789abcdef" * 8
        pair.compose(machine, f"exec -T sidecar sh -c 'yes {line} | head -c 150M >/proc/1/fd/1'")
        size = int(machine.run("du --summarize --bytes /var/lib/docker/containers").split()[0])
        assert size < 110 * 2**20
        assert line in pair.compose(machine, "logs --tail 20")


class TestTheHost:
    def test_loses_its_power(self, pair: Pair, tell: Tell) -> None:
        master = pair.master
        with loaded(pair, tell) as load:
            master.power_off()
            wait_for_other(pair, load, master)
            switch_on(master)
        pair.compose(master, "logs --tail 5")

    def test_reboots(self, pair: Pair, tell: Tell) -> None:
        master = pair.master
        with loaded(pair, tell) as load:
            master.reboot()
            wait_for_other(pair, load, master)
            master.wait_up()

    @pytest.mark.parametrize("which", [0, 1], ids=["first", "second"])
    def test_freezes_and_thaws(self, pair: Pair, tell: Tell, which: int) -> None:
        master = pair.both[which]
        pair.make_master(master)
        with loaded(pair, tell) as load:
            master.freeze()
            wait_for_other(pair, load, master)
            time.sleep(3)  # the others have forgotten it
            with pair.load() as at_the_thaw:
                master.thaw()
                pair.wait_held_by(pair.other(master))
                pair.wait_well()
            tell(f"at the thaw: {at_the_thaw.served}")

    def test_loses_its_cable(self, pair: Pair, tell: Tell) -> None:
        master = pair.master
        with loaded(pair, tell) as load:
            master.unplug()
            wait_for_other(pair, load, master)
            until("the VIP has left", lambda: VIP not in master.addresses())
            master.plug()

    def test_configures_its_network_anew(self, pair: Pair, tell: Tell) -> None:
        master = pair.master
        with loaded(pair, tell):
            master.run("systemctl restart systemd-networkd")
            master.run("networkctl reconfigure eth0")

    def test_loses_its_power_as_the_other_one_does(self, pair: Pair, tell: Tell) -> None:
        for machine in pair.both:
            machine.power_off()
        start = time.monotonic()
        for machine in pair.both:
            machine.boot()
        with pair.load() as load:
            load.wait_for([machine.address for machine in pair.both], within=60)
            tell(f"served {time.monotonic() - start:.1f} s after the power came back")
        pair.wait_well()


class TestTheEngine:
    def test_is_killed(self, pair: Pair, tell: Tell) -> None:
        master = pair.master
        with loaded(pair, tell):
            kill_engine(master)

    def test_is_killed_on_both(self, pair: Pair, tell: Tell) -> None:
        start = time.monotonic()
        with ThreadPoolExecutor() as pool:
            list(pool.map(kill_engine, pair.both))
        pair.wait_well()
        tell(f"well {time.monotonic() - start:.1f} s after both engines were killed")

    def test_starts_again_and_containers_are_followed(self, pair: Pair, tell: Tell) -> None:
        """With live-restore all containers outlive it, and the sidecar loses its connection."""
        for machine in pair.both:
            machine.run("cat >/etc/docker/daemon.json", text='{"live-restore": true}')
            machine.run("systemctl reload docker")
        with pair.with_containers():
            for machine in pair.both:
                pair.application(machine, machine.name, f"{machine.name}.test,both.test")
            for machine in pair.both:
                pair.wait_application(machine.name, f"{machine.name}.test")
            pair.wait_well()
            with pair.load("both.test") as load:
                for machine in pair.both:
                    started = machine.run("pidof dockerd")
                    machine.run("systemctl restart docker")
                    assert machine.run("pidof dockerd") != started
                    pair.application(machine, "late", f"late-{machine.name}.test")
                    pair.wait_application("late", f"late-{machine.name}.test")
                    machine.run("docker rm --force app-late")
            assert not load.served.failures, str(load.served)
            tell(load.served)
            pair.wait_well()

    def test_is_killed_on_both_with_live_restore(self, pair: Pair, tell: Tell) -> None:
        for machine in pair.both:
            machine.run("cat >/etc/docker/daemon.json", text='{"live-restore": true}')
            machine.run("systemctl reload docker")
        with ThreadPoolExecutor() as pool, loaded(pair, tell) as load:
            list(pool.map(kill_engine, pair.both))
        assert not load.served.failures, str(load.served)


def kill_engine(machine: Machine) -> None:
    """`kill -9` the engine, and wait until systemd has started another one."""
    old = machine.run("pidof dockerd")
    machine.run("kill -9 $(pidof dockerd)")
    until(
        f"another engine runs on {machine}",
        lambda: machine.run("docker version >/dev/null && pidof dockerd"),
        lambda new: new != old,
        within=30,
    )

"""A failover at night, as people see it: the alert, the message, the status page."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.cluster.monitoring import Monitoring, delivered
from tests.cluster.receiver import Receiver
from tests.cluster.tab import Tab
from tests.cluster.wait import until
from tests.hosts.machine import Machine
from tests.hosts.pair import VIP, Pair
from tests.hosts.watcher import ADDRESS, Watcher

PORT = 8001
ALERT = "KissHaNodeDown"


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Those who are told."""

    watcher: Watcher
    pager: Receiver
    """Gets what Alertmanager sends."""
    phone: Receiver
    """Gets what the nodes send."""
    monitoring: Monitoring

    def messages(self, words: str) -> list[dict[str, Any]]:
        """Return the messages on the phone that say something."""
        return [one for one in self.phone.accepted if words in one["message"]]


@pytest.fixture
def people(pair: Pair) -> Iterator[People]:
    """Prometheus at work, and HA_NOTIFY set as docs/notifications.md says; it stays so."""

    def configure(machine: Machine) -> None:
        line = f"HA_NOTIFY=json://{ADDRESS}:{PORT}/hook"
        pair.run(machine, f"grep -q HA_NOTIFY .env || echo {line} >>.env; docker compose up -d")

    nodes = [f"{machine.address}:9165" for machine in pair.both]
    with ThreadPoolExecutor() as pool:
        configured = [pool.submit(configure, machine) for machine in pair.both]
        with (
            Watcher(pair.lan) as watcher,
            Receiver(watcher.container) as pager,
            Receiver(watcher.container, PORT) as phone,
            Monitoring(watcher.container, nodes) as monitoring,
        ):
            for one in configured:
                one.result()
            pair.wait_well()
            until("both are scraped", lambda: len(monitoring.query("up == 1")) == 2)
            until("nothing fires", lambda: not monitoring.firing())
            yield People(watcher=watcher, pager=pager, phone=phone, monitoring=monitoring)


def test_the_master_loses_its_power_and_people_are_told(pair: Pair, people: People) -> None:
    master = pair.master
    survivor = pair.other(master)
    assert pair.ha(survivor, "notify test") == "sent: json://…\n"

    url = f"http://{survivor.address}:9165/"
    titles = [f"{machine.address} holds the VIP" for machine in (master, survivor)]
    with Tab(people.watcher.container, url, *titles) as tab:
        begun = time.time()
        master.power_off()
        said = tab.read()
    since = datetime.strptime(said[:25], "Since %Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert begun - 1 <= since.timestamp() <= begun + 5
    took_over, cause = f"{survivor.address} took over", "no more VRRP adverts from it"
    assert f"{took_over} from {master.address}: {cause}" in said
    until(
        "the page says that nobody is left, and what to do",
        lambda: people.watcher.run("curl", "--silent", url),
        lambda page: (
            f"No node is ready to take over: {master.address} does not answer." in page
            and "if that host is up, see its log" in page
        ),
    )

    alerts = until("the alert arrives", lambda: delivered(people.pager, ALERT, "firing"), within=20)
    assert alerts[0]["annotations"]["summary"] == f"{master.address}:9165 does not answer"
    told = until("the message arrives", lambda: people.messages(took_over))
    assert told[0]["title"] == f"{survivor.address} is MASTER"
    body = told[0]["message"]
    assert body.startswith(f"{took_over} {VIP} from {master.address}. There was no MASTER for at")
    assert body.endswith(f" Cause: {cause}.")
    assert {alert for alert, _ in people.monitoring.firing()} <= {ALERT, "KissHaPeerUnlinked"}

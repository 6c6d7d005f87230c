"""What happens to real nodes at the worst moment: each ends with one state, and with the same."""

from typing import Final

from tests.cluster.cluster import Cluster
from tests.e2e import sites

_EVENTS: Final = """
for number in range(300):
    for name in range(30):
        with open(f"events-{name}.txt", "a") as file:
            file.write(f"{number}\\n")
"""


def test_9000_events_at_once_end_alike(synced: Cluster) -> None:
    synced.a.folder.python(_EVENTS)
    tree = synced.wait_in_sync(within=30)
    assert tree["events-0.txt"] == tree["events-29.txt"]
    assert synced.b.folder.read("events-0.txt").splitlines()[-1] == "299"


def test_a_link_that_leads_nowhere_is_refused_where_it_was_made_until_it_leads_somewhere(
    synced: Cluster,
) -> None:
    before = synced.b.inside.tree()
    synced.a.folder.link("conf.d/enabled.conf", "../available/site.conf")
    sites.wait_reason(synced.a, "enabled.conf", "No such file")
    assert synced.b.inside.tree() == before
    synced.a.folder.write("available/site.conf", sites.site("enabled.test", "yes"))
    sites.wait_served("enabled.test", "yes", *synced.nodes)
    synced.wait_in_sync()

"""People are told of a failover: once, by the node that took over, and sooner or later."""

from tests.cluster.node import Plan
from tests.cluster.receiver import Receiver
from tests.cluster.wait import until
from tests.cluster.world import World
from tests.e2e.fixtures import Have

PORT = 8001


def titles(receiver: Receiver, word: str, after: int = 0) -> list[str]:
    """Return the titles of what was taken, without the first ones, those with a word."""
    return [body["title"] for body in receiver.accepted[after:] if word in body["title"]]


def test_a_failover_is_told_once_also_to_who_did_not_listen_at_first(
    have: Have, world: World
) -> None:
    url = f"json://{world.address(100)}:{PORT}/hook"
    cluster = have(Plan(environment={"HA_NOTIFY": url}))
    master, backup = cluster.master, cluster.backup
    with Receiver(world.client.container, PORT) as receiver:
        receiver.refuse()
        refused = backup.ha("notify", "test", check=False)
        assert refused.returncode == 1
        assert "503" in refused.stderr
        receiver.refuse(refuse=False)
        assert backup.ha("notify", "test").stdout == "sent: json://…\n"
        tests = until("the test is taken", lambda: titles(receiver, "Test"))
        assert tests == [f"Test from {backup.address}"]
        before = len(receiver.refused)
        receiver.refuse()
        master.kill()
        until("a message is refused", lambda: receiver.refused[before:], within=20)
        # The one that was killed may have told of its own start as MASTER.
        known = len(receiver.accepted)
        assert f"{backup.address} is MASTER" not in titles(receiver, "MASTER")
        receiver.refuse(refuse=False)
        until("it is sent again", lambda: titles(receiver, "MASTER", known), within=20)
        until("a problem is told", lambda: titles(receiver, "peer-unlinked"), within=20)
        assert titles(receiver, "MASTER", known) == [f"{backup.address} is MASTER"]
        (body,) = [one for one in receiver.accepted[known:] if "MASTER" in one["title"]]
        assert body["type"] == "warning"
        said = f"{backup.address} took over {cluster.vip} from {master.address}. "
        said += "There was no MASTER for at most "
        assert body["message"].startswith(said)
        gap, why = body["message"].removeprefix(said).split(" s. Cause: ")
        assert float(gap) < 3
        assert why.startswith("no more VRRP adverts from it")

"""What the demo shows of those who are told of the crash: a message, and an alert."""

from contextlib import ExitStack
from textwrap import fill
from typing import Any, Final, Self

from tests.cluster.cluster import Cluster
from tests.cluster.monitoring import Monitoring, delivered
from tests.cluster.receiver import Receiver
from tests.cluster.wait import until
from tests.cluster.world import World
from tests.demo.say import say

ALERT: Final = "KissHaNodeDown"
PORT: Final = 8001


def settings(world: World) -> dict[str, str]:
    """Return the settings of nodes that send messages to the client."""
    return {"HA_NOTIFY": f"json://{world.address(100)}:{PORT}/"}


class People:
    """Those at the client, with Prometheus, from `with` to the end of its block."""

    def __init__(self, world: World, cluster: Cluster) -> None:
        container = world.client.container
        self._pager, self._phone = Receiver(container), Receiver(container, PORT)
        self._prometheus = Monitoring(container, [f"{node.address}:9165" for node in cluster.nodes])
        self._stack = ExitStack()
        self._alert: dict[str, Any] = {}

    def __enter__(self) -> Self:
        for one in (self._pager, self._phone, self._prometheus):
            self._stack.enter_context(one)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def wait_alert(self) -> None:
        """Wait until Alertmanager tells that a node is down."""
        (self._alert, *_) = until(
            "the alert arrives", lambda: delivered(self._pager, ALERT, "firing"), within=20
        )

    def wait_message(self) -> None:
        """Wait until a node tells of the failover."""
        until("the message arrives", self._messages, within=20)

    def _messages(self) -> list[dict[str, Any]]:
        return [one for one in self._phone.accepted if "took over" in one["message"]]

    def show(self) -> None:
        """Print what they were told."""
        message, notes = self._messages()[0], self._alert["annotations"]
        say("10. People were told of the crash. The message from HA_NOTIFY, 6 s later:\n")
        _quote(message["title"], message["message"])
        say("    The alert, by Prometheus and Alertmanager (the shipped rule waits a minute):\n")
        _quote(
            f"{ALERT} ({self._alert['labels']['severity']})",
            f"{notes['summary']}. {notes['description']}",
        )


def _quote(title: str, text: str) -> None:
    indent = " " * 7
    say(f"{indent}{title}")
    say(f"{fill(text, 96, initial_indent=indent, subsequent_indent=indent)}\n")

"""Debian's Prometheus and Alertmanager in a container, with the rules that we ship."""

import json
import re
import subprocess
import urllib.parse
from collections.abc import Sequence
from typing import Any, Final, Self

from tests.cluster.host import run
from tests.cluster.node import REPOSITORY
from tests.cluster.receiver import Receiver
from tests.cluster.wait import until

RULES: Final = REPOSITORY / "config/prometheus/rules.yaml"
FILES: Final = REPOSITORY / "config/compose/monitoring"

# Both end when standard input does.
_START: Final = """
mkdir -p /tmp/monitoring && cd /tmp/monitoring
prometheus --config.file=prometheus.yaml --storage.tsdb.path=/tmp/monitoring/prometheus \
    --web.listen-address=127.0.0.1:9090 --log.level=error &
prometheus=$!
prometheus-alertmanager --config.file=alertmanager.yaml --storage.path=/tmp/monitoring/alerts \
    --web.listen-address=127.0.0.1:9093 --cluster.listen-address= --log.level=error &
cat >/dev/null
kill $prometheus $!; wait; rm -rf /tmp/monitoring
"""


def impatient(text: str) -> str:
    """Return a configuration with every interval cut to 1 s, and every `for:` to 4 s."""
    names = "scrape_interval|evaluation_interval|group_wait|group_interval"
    text = re.sub(rf"(?m)^( *(?:{names}):) \w+$", r"\1 1s", text)
    return re.sub(r"(?m)^( *for:) \w+$", r"\1 4s", text)


def _here(text: str, targets: Sequence[str]) -> str:
    """Return a configuration with this network's addresses; all run in the same container."""
    text = re.sub(r'\["192.168.1.11:9165".*\]', json.dumps(targets), text)
    return text.replace("alertmanager:9093", "127.0.0.1:9093").replace("192.168.1.100", "127.0.0.1")


def delivered(receiver: Receiver, name: str, status: str) -> list[dict[str, Any]]:
    """Return what Alertmanager has told of an alert that is `firing` or `resolved`."""
    alerts = (alert for message in receiver.accepted for alert in message["alerts"])
    return [one for one in alerts if one["labels"]["alertname"] == name and one["status"] == status]


class Monitoring:
    """Prometheus and Alertmanager, from `with` to the end of its block.

    Alerts go to port 8000 of the same container.
    """

    def __init__(self, container: str, targets: Sequence[str]) -> None:
        self._container = container
        self._files = {
            path.name: _here(impatient(path.read_text()), targets)
            for path in (RULES, FILES / "prometheus.yaml", FILES / "alertmanager.yaml")
        }

    def __enter__(self) -> Self:
        for name, text in self._files.items():
            script = 'mkdir -p /tmp/monitoring; printf %s "$2" >"/tmp/monitoring/$1"'
            run(self._container, "sh", "-euc", script, "sh", name, text)
        self._process = subprocess.Popen(
            ["docker", "exec", "--interactive", self._container, "bash", "-c", _START],
            stdin=subprocess.PIPE,
        )
        until("Prometheus is ready", lambda: self.query("up"), within=20)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=20)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of an expression now; raise AssertionError if it is refused."""
        url = f"http://127.0.0.1:9090/api/v1/query?query={urllib.parse.quote(expression)}"
        done = run(self._container, "curl", "--silent", "--show-error", url)
        answer: dict[str, Any] = json.loads(done.stdout)
        assert answer["status"] == "success", (expression, answer)
        samples: list[dict[str, Any]] = answer["data"]["result"]
        return samples

    def firing(self) -> set[tuple[str, str]]:
        """Return the alerts that fire now, each with its instance."""
        found = self.query('ALERTS{alertstate="firing"}')
        return {(one["metric"]["alertname"], one["metric"].get("instance", "")) for one in found}

"""What a web server on the network is told."""

import json
import subprocess
import threading
from typing import Any, Self

from tests.cluster.wait import until


class Receiver:
    """A web server in a container, from `with` to the end of its block."""

    def __init__(self, container: str, port: int = 8000) -> None:
        self._command = ["docker", "exec", "--interactive", container]
        self._command += ["python3", "/tests/cluster/receive.py", str(port)]
        self._lines: list[dict[str, Any]] = []
        self._ready = False

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, name="receiver", daemon=True)
        self._reader.start()
        until("the receiver is ready", lambda: self._ready)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)
        self._reader.join(timeout=10)
        self._process.stdout.close()

    @property
    def accepted(self) -> list[Any]:
        """The bodies that were taken, oldest first."""
        return [line["body"] for line in list(self._lines) if line["status"] == 200]

    @property
    def refused(self) -> list[Any]:
        """The bodies that were answered with 503."""
        return [line["body"] for line in list(self._lines) if line["status"] != 200]

    def refuse(self, *, refuse: bool = True) -> None:
        """Answer with 503 from now on, or take everything again."""
        assert self._process.stdin is not None
        self._process.stdin.write("refuse\n" if refuse else "accept\n")
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip() == "ready":
                self._ready = True
            else:
                self._lines.append(json.loads(line))

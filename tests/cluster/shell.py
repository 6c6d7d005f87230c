"""A shell that stays open in a container: `docker exec` costs 0.1 s of a processor each time."""

import json
import subprocess
import threading
from itertools import count
from queue import Queue
from typing import Any, Final

Answer = dict[str, Any]
Waiting = dict[int, Queue[Answer | None]]
"""Who waits for which answer."""


class Shell:
    """Runs commands in a container that has `agent.py` and outlives what is asked of it."""

    def __init__(self, container: str) -> None:
        self._container = container
        self._numbers = count()
        self._waiting: Waiting = {}
        """Those of the agent that is open."""
        self._guard = threading.Lock()
        self._agent: subprocess.Popen[str] | None = None

    def run(
        self, *command: str, user: str, directory: str, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; raise queue.Empty if it takes longer than `timeout` seconds."""
        uid, _, gid = user.partition(":")
        who = {"user": int(uid), "group": int(gid or uid)}
        answer = self._ask({"command": command, "directory": directory, **who}, timeout)
        return subprocess.CompletedProcess(command, answer["code"], answer["out"], answer["err"])

    def look(self, what: str, *arguments: str | None, timeout: float = 60) -> Any:  # noqa: ANN401 # JSON
        """Return what a function of look.py sees; raise AssertionError if it cannot."""
        answer = self._ask({"look": what, "arguments": arguments}, timeout)
        if answer["code"]:
            raise AssertionError(f"{what} of {arguments} in {self._container}: {answer['err']}")
        return answer["seen"]

    def close(self) -> None:
        """End it; the next command opens another one."""
        with self._guard:
            if self._agent is not None and self._agent.stdin is not None:
                self._agent.stdin.close()
                self._agent.wait(timeout=10)
            self._agent = None

    def _ask(self, request: dict[str, Any], timeout: float) -> Answer:
        answers: Queue[Answer | None] = Queue()
        with self._guard:
            agent, number = self._open(), next(self._numbers)
            waiting = self._waiting
            waiting[number] = answers
            assert agent.stdin is not None
            try:
                print(json.dumps({"number": number, **request}), file=agent.stdin, flush=True)
            except BrokenPipeError:
                answers.put(None)
        try:
            answer = answers.get(timeout=timeout)
        finally:
            waiting.pop(number, None)
        if answer is None:
            raise AssertionError(f"{self._container} has ended")
        return answer

    def _open(self) -> subprocess.Popen[str]:
        if self._agent is None or self._agent.poll() is not None:
            self._agent = subprocess.Popen(
                [
                    *("docker", "exec", "--interactive", "--workdir", "/", self._container),
                    *("python3", "-u", "-m", "tests.cluster.agent"),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self._waiting = {}
            given = (self._agent, self._waiting)
            threading.Thread(target=_read, args=given, daemon=True).start()
        return self._agent


def _read(agent: subprocess.Popen[str], waiting: Waiting) -> None:
    assert agent.stdout is not None
    for line in agent.stdout:
        answer: Answer = json.loads(line)
        if answers := waiting.get(answer["number"]):
            answers.put(answer)
    agent.stdout.close()
    for answers in list(waiting.values()):
        answers.put(None)


SHELLS: Final[dict[str, Shell]] = {}
"""Those of the containers that have one, by their names."""

"""Every loop is measured: what keeps it waiting in a test would keep a node's heartbeat waiting."""

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, override

import pytest

from sidecar.host.loop import Turns, measured


class _Turns(Turns):
    """Turns, and what was said of those in which the product took long; a test may."""

    def __init__(self) -> None:
        super().__init__()
        self.blocked: list[str] = []

    @override
    def look(self, own: float, where: str) -> None:
        before = self.report().long
        super().look(own, where)
        innermost = re.search(r"/(sidecar|tests)/", where)
        if self.report().long > before and innermost and innermost[1] == "sidecar":
            self.blocked.append(f"{own:.3f} s: {where}")


TURNS: Final = _Turns()


def pytest_configure(config: pytest.Config) -> None:
    """Leave SIGALRM to the loop."""
    config.option.timeout_method = "thread"


def pytest_asyncio_loop_factories(
    config: pytest.Config,  # noqa: ARG001 # as pytest-asyncio names it
    item: pytest.Item,  # noqa: ARG001 # as above
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Let each test have a loop of the product's kind."""
    return {"measured": lambda: measured(TURNS)}


@pytest.fixture(autouse=True)
def unblocked() -> Iterator[None]:
    """Fail a test in which one turn of the loop took more than 0.1 s."""
    TURNS.blocked.clear()
    yield
    assert not TURNS.blocked

"""A minute of `make life`: whatever happens to three nodes, they end alike and nothing is lost."""

import secrets

import pytest

from tests.e2e.fixtures import Start
from tests.life.life import Life, plan


@pytest.mark.timeout(600)
@pytest.mark.stops_python  # it looks at the loops itself
def test_whatever_happens_three_nodes_end_alike_and_nothing_is_lost(start: Start) -> None:
    seed = secrets.randbelow(10**6)
    print(f"make life SEED={seed}")
    life = Life.begun(start(plan()), seed)
    try:
        for number in (1, 2):
            print(f"round {number}: {life.round(number)}")
    finally:
        print(*life.story, sep="\n")

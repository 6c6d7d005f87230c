import pytest

from sidecar.core.report import NodeState
from sidecar.core.rotation import shown

NEW, OLD = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    ("own", "peers", "index"),
    [
        ((NEW,), (), 0),
        ((NEW,), ((OLD,),), 0),
        ((NEW, OLD), ((OLD,),), 1),
        ((NEW, OLD), ((),), 1),
        ((NEW, OLD), ((NEW, OLD), (OLD,)), 1),
        ((NEW, OLD), ((NEW, OLD),), 0),
        ((NEW, OLD), ((NEW, OLD), (NEW,)), 0),
        ((NEW, OLD), ((NEW,),), 0),
        ((NEW, OLD), ((NEW,), (OLD,)), 0),
    ],
)
def test_the_key_that_is_shown_is_one_that_the_others_take(
    own: tuple[str, ...], peers: tuple[tuple[str, ...], ...], index: int
) -> None:
    states = [NodeState(node="192.0.2.12", version="0.1.0", keys=keys) for keys in peers]
    assert {shown(own, states, before) for before in (0, 1)} == {index}


@pytest.mark.parametrize("before", [0, 1])
def test_while_nobody_is_linked_the_choice_stands(before: int) -> None:
    assert shown((NEW, OLD), (), before) == before


@pytest.mark.parametrize("count", [2, 3])
def test_in_every_step_of_a_change_each_node_can_call_each_other(count: int) -> None:
    """All to the middle first, then all to the end; whoever was restarted last knows nobody yet."""
    knows: list[tuple[str, ...]] = [(OLD,)] * count
    shows = [0] * count
    for step in ((NEW, OLD), (NEW,)):
        for number in range(count):
            knows[number], shows[number] = step, len(step) - 1
            states = [
                NodeState(node=f"192.0.2.{n}", version="1", keys=k) for n, k in enumerate(knows)
            ]
            for node, own in enumerate(knows):
                others = [state for n, state in enumerate(states) if n != node]
                shows[node] = shown(own, others, shows[node])
                key = own[shows[node]]
                assert all(key in other.keys for other in others)

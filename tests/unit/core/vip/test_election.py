"""The election: nobody gives way to a node that is not better off; somebody always may serve."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.report import NodeState, Role
from sidecar.core.vip.election import (
    DRAIN_PENALTY,
    GRUDGE,
    PATIENCE,
    RETURN_WITHIN,
    SOFT_PENALTY,
    TAKEOVER_BONUS,
    Facts,
    Patience,
    Standing,
    Succession,
    Verdict,
    base_priority,
    elect,
)


def peer(
    name: str = "b",
    *,
    role: Role = Role.BACKUP,
    eligible: bool = True,
    soft: tuple[str, ...] = (),
    draining: bool = False,
) -> NodeState:
    return NodeState(
        node=name, version="1", role=role, eligible=eligible, soft=soft, draining=draining
    )


def test_a_node_with_nothing_against_it_stays() -> None:
    assert elect(Facts(role=Role.MASTER), [peer()]) == Verdict(health=0, preference=0)


def test_a_hard_failure_forbids_serving_even_alone() -> None:
    verdict = elect(Facts(role=Role.MASTER, hard=("nginx",)), [])
    assert (verdict.health, verdict.why) == (1, "failed: nginx")


def test_a_node_that_stepped_aside_does_not_serve() -> None:
    assert elect(Facts(role=Role.MASTER, aside=True), [peer()]).health == 1


@pytest.mark.parametrize(
    ("own", "peers", "gives_way"),
    [
        (Facts(role=Role.MASTER, soft=("url",)), [peer()], True),
        (Facts(role=Role.MASTER, soft=("url",)), [], False),
        (Facts(role=Role.MASTER, soft=("url",)), [peer(eligible=False)], False),
        (Facts(role=Role.MASTER, soft=("url",)), [peer(soft=("url",))], False),
        (Facts(role=Role.MASTER, soft=("url",)), [peer(soft=("other",))], False),
        (Facts(role=Role.MASTER, soft=("url", "gateway")), [peer(soft=("url",))], True),
        (Facts(role=Role.MASTER, soft=("url",)), [peer(draining=True)], False),
        (Facts(role=Role.MASTER, draining=True), [peer(soft=("url",))], True),
        (Facts(role=Role.MASTER, draining=True), [peer(draining=True)], False),
        (Facts(role=Role.MASTER, draining=True, spurned=True), [peer()], False),
        (Facts(role=Role.BACKUP, draining=True), [peer(role=Role.MASTER)], False),
        (Facts(role=Role.BACKUP, draining=True), [peer()], False),
        (Facts(role=Role.INIT, draining=True), [peer()], False),
        (Facts(role=Role.FAULT, draining=True), [peer()], True),
        (Facts(role=Role.FAULT, draining=True), [peer(role=Role.MASTER)], False),
    ],
)
def test_giving_way(own: Facts, peers: list[NodeState], gives_way: bool) -> None:
    verdict = elect(own, peers)
    assert verdict.yielding is gives_way
    assert verdict.health == int(gives_way)


def test_preference_ranks_well_above_soft_above_draining() -> None:
    well = elect(Facts(role=Role.BACKUP), []).preference
    soft = elect(Facts(role=Role.BACKUP, soft=("url",)), []).preference
    draining = elect(Facts(role=Role.BACKUP, soft=("url",), draining=True), []).preference
    assert (well, soft, draining) == (0, -SOFT_PENALTY, -DRAIN_PENALTY)


def test_every_priority_is_one_that_vrrp_allows_and_preference_outweighs_the_order() -> None:
    priorities = [base_priority(index) for index in range(200)]
    assert min(priorities) - DRAIN_PENALTY >= 1
    assert max(priorities) <= 254
    assert base_priority(0) - SOFT_PENALTY < base_priority(50)


_STANDINGS = st.tuples(
    st.booleans(),  # hard failure
    st.integers(min_value=0, max_value=3),  # soft failures
    st.booleans(),  # draining
)


@given(st.lists(_STANDINGS, min_size=2, max_size=4), st.data())
def test_nodes_that_see_each_other_never_all_give_way(
    standings: list[tuple[bool, int, bool]], data: st.DataObject
) -> None:
    roles = [data.draw(st.sampled_from(Role)) for _ in standings]
    nodes = [
        peer(
            str(index),
            role=role,
            eligible=not hard,
            soft=tuple(map(str, range(soft))),
            draining=draining,
        )
        for index, ((hard, soft, draining), role) in enumerate(zip(standings, roles, strict=True))
    ]
    verdicts = [
        elect(
            Facts(role=own.role, soft=own.soft, draining=own.draining),
            [node for node in nodes if node is not own],
        )
        for own in nodes
        if own.eligible
    ]
    if verdicts:
        assert any(verdict.health == 0 for verdict in verdicts)


def test_two_nodes_settle_whatever_fails_where() -> None:
    burdens = list(product([(), ("url",), ("url", "gateway")], [False, True]))
    for (soft_a, drain_a), (soft_b, drain_b) in product(burdens, repeat=2):
        a = Facts(role=Role.MASTER, soft=soft_a, draining=drain_a)
        b = peer(soft=soft_b, draining=drain_b)
        if elect(a, [b]).yielding:
            after = Facts(role=Role.MASTER, soft=soft_b, draining=drain_b)
            assert not elect(after, [peer("a", soft=soft_a, draining=drain_a)]).yielding


def test_a_node_that_nobody_relieves_takes_the_vip_back_and_does_not_ask_again_soon() -> None:
    patience = Patience().after(10.0, yielding=True)
    assert not patience.spurned(10.0 + PATIENCE - 0.1)
    patience = patience.after(10.0 + PATIENCE, yielding=True)
    assert patience.spurned(10.0 + PATIENCE)
    assert patience.after(14.0, yielding=False).spurned(14.0)
    assert not patience.spurned(10.0 + PATIENCE + GRUDGE)


def test_patience_starts_anew_after_a_handover_that_worked() -> None:
    patience = Patience().after(0.0, yielding=True).after(1.0, yielding=False)
    assert patience == Patience()


YIELDS = Verdict(health=1, preference=0, yielding=True)
SERVES = Verdict(health=0, preference=0)
FAILED = Verdict(health=1, preference=0, why="failed: nginx")


@pytest.mark.parametrize(
    ("verdicts", "later", "shown"),
    [
        ([FAILED], 0.0, Role.FAULT),
        ([YIELDS], 0.0, Role.BACKUP),
        ([YIELDS, SERVES], 0.1, Role.BACKUP),
        ([YIELDS, SERVES], RETURN_WITHIN, Role.FAULT),
        ([YIELDS, FAILED], 0.0, Role.FAULT),
        ([FAILED, SERVES], 0.0, Role.FAULT),
    ],
)
def test_a_handover_is_no_fault_and_a_fault_is_no_handover(
    verdicts: list[Verdict], later: float, shown: Role
) -> None:
    standing = Standing()
    for verdict in verdicts:
        standing = standing.after(10.0, verdict)
    assert standing.role(10.0 + later, Role.FAULT) is shown
    assert standing.role(10.0 + later, Role.MASTER) is Role.MASTER


@pytest.mark.parametrize("own", [{}, {"soft": ("url",)}, {"draining": True}])
def test_a_node_that_took_over_outranks_every_other_until_they_know(own: dict[str, object]) -> None:
    facts = Facts(role=Role.MASTER, succeeds=True, **own)  # type: ignore[arg-type]
    assert elect(facts, []).preference == TAKEOVER_BONUS
    assert all(base_priority(index) + TAKEOVER_BONUS >= 254 for index in range(200))


def test_a_takeover_lasts_until_the_old_master_has_said_that_it_is_none() -> None:
    backup = Succession().after(Role.BACKUP, ["a"])
    assert not backup.unaware
    taken = backup.after(Role.MASTER, ["a"])
    assert taken.unaware == {"a"}
    assert taken.after(Role.MASTER, ["a"]).unaware == {"a"}
    known = taken.after(Role.MASTER, [])
    assert not known.unaware
    assert taken.after(Role.BACKUP, ["a"]) == Succession()
    # Of two that serve at once, only the younger one has taken over.
    assert not known.after(Role.MASTER, ["a"]).unaware

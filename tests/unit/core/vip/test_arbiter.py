"""Split brain: exactly one of two MASTERs steps aside, and comes back only when that is safe."""

from sidecar.core.report import Role
from sidecar.core.vip.arbiter import TOLERANCE, Arbiter


def seen(
    arbiter: Arbiter,
    now: float,
    *,
    index: int = 1,
    role: Role = Role.MASTER,
    masters: tuple[int, ...] = (0,),
    heard: bool = False,
) -> Arbiter:
    return arbiter.after(now, index=index, role=role, masters=masters, adverts_heard=heard)


def test_two_masters_for_a_moment_are_a_handover() -> None:
    arbiter = seen(seen(Arbiter(), 0.0), TOLERANCE - 0.1)
    assert not arbiter.split(TOLERANCE - 0.1)
    assert not arbiter.aside


def test_the_less_preferred_node_steps_aside_and_the_other_stays() -> None:
    loser = seen(seen(Arbiter(), 0.0), TOLERANCE)
    winner = seen(seen(Arbiter(), 0.0, index=0, masters=(1,)), TOLERANCE, index=0, masters=(1,))
    assert loser.aside
    assert not winner.aside
    assert loser.split(TOLERANCE)
    assert winner.split(TOLERANCE)


def test_it_stays_aside_while_a_master_is_linked_and_no_advert_arrives() -> None:
    aside = Arbiter(since=0.0, aside=True)
    assert seen(aside, 100.0, role=Role.FAULT).aside


def test_it_comes_back_when_adverts_arrive_or_the_link_is_silent_or_the_master_is_gone() -> None:
    aside = Arbiter(since=0.0, aside=True)
    assert seen(aside, 100.0, role=Role.FAULT, heard=True) == Arbiter()
    assert seen(aside, 100.0, role=Role.FAULT, masters=()) == Arbiter()


def test_a_backup_beside_a_master_is_no_split_brain() -> None:
    assert seen(Arbiter(since=0.0), 9.0, role=Role.BACKUP) == Arbiter()


def test_of_three_masters_one_stays() -> None:
    states = {0: (1, 2), 1: (0, 2), 2: (0, 1)}
    aside = [
        seen(
            seen(Arbiter(), 0.0, index=index, masters=others),
            TOLERANCE,
            index=index,
            masters=others,
        ).aside
        for index, others in states.items()
    ]
    assert aside == [False, True, True]

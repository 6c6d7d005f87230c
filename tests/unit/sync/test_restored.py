"""A backup of the folders alone, older than the history, restored while a node was down."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from sidecar.sync.workspace import BusyError
from tests.unit.sync.applying import CrashError
from tests.unit.sync.node import Node

STATES: list[Mapping[str, str]] = [
    {"site.conf": "old"},
    {"site.conf": "old", "a": "1", "b": "1"},
    {"site.conf": "old", "a": "2", "b": "1", "c": "1", "d": "1"},
    {"site.conf": "new", "a": "2", "b": "2", "c": "1", "d": "1"},
]


def write(directory: Path, state: Mapping[str, str]) -> None:
    """Make the folder be like that."""
    tree = directory / "tree"
    for path in tree.iterdir():
        path.unlink()
    for name, content in state.items():
        (tree / name).write_text(content)


def told(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (directory / "tree").iterdir()}


@pytest.fixture
async def directory(tmp_path: Path) -> Path:
    """A node that had all those states, and does not run."""
    node = Node(tmp_path)
    for state in STATES:
        write(tmp_path, state)
        assert await node.make_pass() is None
    assert len(node.history.ids()) == len(STATES)
    return tmp_path


@pytest.mark.parametrize(
    "state",
    [
        STATES[2],
        STATES[1],
        {**STATES[3], **STATES[1]},  # unpacked over what was there
        {**STATES[1], "e": "written after the backup"},
        {**STATES[3], "site.conf": "old", "b": "1"},
        {name: STATES[3][name] for name in ("site.conf", "a", "b")} | {"a": "1"},
    ],
)
async def test_it_is_put_aside_before_nginx_starts_and_can_be_had(
    directory: Path, state: Mapping[str, str]
) -> None:
    write(directory, state)
    node = Node(directory)
    assert await node.passes.put_back(None)
    assert told(directory) == STATES[3]
    assert await node.make_pass() is None
    (hold,) = node.report().holds
    assert hold.reason == "restored"
    assert "`ha sync release`" in hold.hint
    assert node.report().draft == ()
    await node.desk.release()
    assert told(directory) == state
    assert node.report().holds == ()


async def test_without_nginx_it_waits_for_a_word(directory: Path) -> None:
    head = Node(directory).head
    write(directory, STATES[1])
    node = Node(directory)
    await node.make_pass()
    again = Node(directory)
    await again.make_pass()
    (hold,) = again.report().holds
    assert (hold.reason, again.head) == ("restored", head)
    (directory / "tree" / "e").write_text("edited while it is held")
    await again.make_pass()
    assert again.head == head
    assert (await again.desk.release()).startswith("released (restored)")
    assert await again.make_pass() is None
    assert again.head != head
    assert again.report().holds == ()


async def test_what_cannot_be_synced_beside_it_does_not_let_it_pass(directory: Path) -> None:
    write(directory, STATES[1])
    pipe = directory / "tree" / "pipe"
    os.mkfifo(pipe)
    node = Node(directory)
    await node.make_pass()
    pipe.unlink()
    await node.make_pass()
    (hold,) = node.report().holds
    assert hold.reason == "restored"


@pytest.mark.parametrize(
    "state",
    [
        {**STATES[3], "site.conf": "old"},
        {**STATES[3], "a": "3", "b": "3"},
        {**STATES[3], "a": "1", "b": "3"},
        {name: STATES[3][name] for name in ("site.conf", "a", "b")},
    ],
)
async def test_what_a_person_may_well_have_done_meanwhile_is_an_edit(
    directory: Path, state: Mapping[str, str]
) -> None:
    write(directory, state)
    node = Node(directory)
    assert not await node.passes.put_back(None)
    assert await node.make_pass() is None
    assert node.report().holds == ()
    assert node.report().draft == ()
    assert told(directory) == state


async def test_what_is_put_back_while_the_node_runs_is_an_edit(directory: Path) -> None:
    node = Node(directory)
    await node.make_pass()
    write(directory, STATES[1])
    assert await node.make_pass() is None
    assert node.report().holds == ()
    assert node.report().draft == ()


async def test_what_cannot_be_put_back_is_not_said_to_be(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(directory, STATES[1])
    node = Node(directory)

    def fail(*_: object) -> None:
        raise BusyError("site.conf")

    with monkeypatch.context() as patch:
        patch.setattr(node.workspace, "apply", fail)
        with pytest.raises(BusyError):
            await node.passes.put_back(None)
    assert node.engine.aside == ()
    assert await node.passes.put_back(None)
    assert len(node.engine.aside) == 1


async def test_what_a_crash_kept_from_going_is_set_aside_once(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(directory, STATES[1])
    node = Node(directory)

    def fail(*_: object) -> None:
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(node.workspace, "apply", fail)
        with pytest.raises(CrashError):
            await node.passes.put_back(None)
    again = Node(directory)
    assert len(again.engine.aside) == 1
    assert await again.passes.put_back(None)
    assert len(again.engine.aside) == 1
    assert told(directory) == STATES[3]

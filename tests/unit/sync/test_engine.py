"""What the engine does about failures: it says them, and tries again at a pace."""

import asyncio
import os
import shutil
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from sidecar.core.backoff import Retry
from sidecar.core.history.manifest import without_tree
from sidecar.core.sync_report import PATHS_SHOWN
from sidecar.errors import MachineError, RefusedError
from sidecar.sync import drafts, passes, stuck
from sidecar.sync.apply import Apply
from sidecar.sync.engine import RETRY
from sidecar.sync.passes import BUSY_TRIES
from sidecar.sync.store import History
from sidecar.sync.workspace import BusyError, Look
from tests.unit.sync.node import FAILURE, PEER, Node


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


async def test_a_peers_edit_is_taken_over_and_nothing_is_left_to_do(node: Node) -> None:
    name = await node.hear_of_an_edit()
    assert await node.make_passes() is None
    assert node.site.read_text() == "new"
    assert node.engine.head == name


async def test_a_failed_pull_is_told_with_its_way_out_and_tried_again_later(node: Node) -> None:
    name = await node.hear_of_an_edit()
    node.transfer.failure = FAILURE
    pause = await node.make_passes()
    assert pause == pytest.approx(RETRY.first, abs=1)
    (peer,) = node.report().peers
    assert (peer.error, peer.hint) == (FAILURE.message, FAILURE.hint)
    node.transfer.failure = None
    node.pulls.forgive()
    assert await node.make_passes() is None
    (peer,) = node.report().peers
    assert (peer.error, peer.hint, peer.in_sync) == ("", "", True)
    assert node.engine.head == name


async def test_a_failed_apply_is_told_and_not_tried_again_at_once(node: Node) -> None:
    name = await node.hear_of_an_edit()
    node.served.failure = FAILURE
    assert await node.make_passes() == pytest.approx(RETRY.first, abs=1)
    assert node.site.read_text() == "old"
    said = "cannot do it: no room; make room"
    assert node.report().rejected == {name: said}
    node.served.failure = None
    assert await node.make_passes() == pytest.approx(RETRY.first, abs=1)
    assert node.site.read_text() == "old"


async def test_a_failure_of_this_machine_is_no_refusal_and_is_tried_again_at_a_pace(
    node: Node,
) -> None:
    name = await node.hear_of_an_edit()
    node.served.failure = MachineError("cannot load it: no space left", "make room")
    for times in (1, 2):
        pause = await node.make_passes()
        assert pause == pytest.approx(RETRY.delay(times), abs=1)
        assert node.report().rejected == {}
        (hold,) = node.report().holds
        assert (hold.reason, hold.hint) == ("failed", "make room")
        assert node.site.read_text() == "old"
        await node.make_passes()
        assert node.report().holds == (hold,)
        follower = node.engine._follower
        due = replace(follower._failures[name], retry=Retry(failures=times))
        follower._failures = {name: due}
    node.served.failure = None
    await node.passes.once()
    assert node.head == name
    assert node.report().holds == ()


async def test_what_was_refused_and_is_nobodys_head_any_more_wakes_nobody(node: Node) -> None:
    name = await node.hear_of_an_edit()
    node.served.failure = FAILURE
    await node.make_passes()
    decisions = node.engine._decisions
    due = replace(decisions.state.rejected[name], retry=time.time() - 60)
    decisions.state = replace(decisions.state, rejected={name: due})
    node.passes.see({PEER: node.engine.head})
    assert await node.make_passes() is None


async def test_what_cannot_be_kept_is_told_and_tried_again_at_a_pace(node: Node) -> None:
    objects = node.history.directory / "objects"
    shutil.rmtree(objects)
    assert await node.make_pass() == pytest.approx(RETRY.first, abs=1)
    assert node.report().draft_error.startswith("cannot keep history")
    assert await node.make_pass() == pytest.approx(RETRY.first, abs=1)
    assert node.served.tried == 1
    objects.mkdir()
    await node.passes.once()
    assert node.report().draft_error == ""
    assert node.engine.head is not None


async def test_a_pass_that_fails_is_told_until_one_works(node: Node) -> None:
    (node.history.directory / "head").write_text("\0")
    pipe = node.site.with_name("pipe")
    os.mkfifo(pipe)
    assert await node.make_pass() == RETRY.first
    (hold,) = node.report().holds
    assert hold.reason == "failed"
    assert str(pipe) in hold.message
    assert hold.hint
    pipe.unlink()
    assert await node.make_pass() is None
    assert node.report().holds == ()


async def test_a_release_is_over_when_what_was_released_is_gone(tmp_path: Path) -> None:
    node = Node(tmp_path)
    await node.make_pass()
    node.site.unlink()
    await node.make_pass()
    held = await node.worker.do(node.engine.release)
    assert held is not None
    assert held.reason == "emptied"
    node.site.write_text("old")
    await node.make_pass()
    node.site.unlink()
    await node.make_pass()
    assert node.report().holds == (held,)


async def test_a_draft_that_does_not_serve_is_tried_again_at_a_pace_or_when_it_changes(
    node: Node,
) -> None:
    node.served.complaint = "[emerg] no"
    assert await node.make_pass() == pytest.approx(RETRY.first, abs=1)
    assert node.report().draft_error == "[emerg] no"
    assert await node.make_pass() == pytest.approx(RETRY.first, abs=1)
    assert node.served.tried == 1
    await node.passes.once()
    assert node.served.tried == 2
    assert await node.make_pass() == pytest.approx(2 * RETRY.first, abs=1)
    node.site.write_text("other")
    assert await node.make_pass() == pytest.approx(RETRY.first, abs=1)
    assert node.served.tried == 3
    node.served.complaint = None
    await node.passes.once()
    assert node.report().draft == ()
    assert node.engine.head is not None


async def test_of_a_large_draft_some_paths_are_named_and_all_are_counted(node: Node) -> None:
    node.served.complaint = "[emerg] no"
    for number in range(PATHS_SHOWN):
        (node.site.parent / f"{number}.conf").touch()
    await node.make_pass()
    report = node.report()
    assert (len(report.draft), report.draft_count) == (PATHS_SHOWN, PATHS_SHOWN + 1)
    assert "and 1 more: [emerg] no" in await node.desk.sync(dry_run=False)


@pytest.mark.parametrize("full", ["commit", "set_head"])
async def test_an_apply_that_a_full_disk_stops_at_its_end_has_one_of_its_ends(
    node: Node, full: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await node.hear_of_an_edit()
    place = Apply if full == "commit" else History
    with monkeypatch.context() as patch:

        def fail(*_: object) -> None:
            raise FAILURE

        patch.setattr(place, full, fail)
        await node.make_passes()
    assert node.site.read_text() == ("old" if full == "commit" else "new")
    assert name in node.report().rejected
    await node.passes.once()
    assert node.site.read_text() == "new"
    assert node.engine.head == name
    assert node.report().rejected == {}


async def test_who_asks_for_a_check_gets_one_or_hears_that_the_folders_change(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "BUSY_PAUSE", 0.0)
    looks = iter([BusyError("/x")] * BUSY_TRIES)
    look = node.workspace.look

    def look_busy(*, full: bool = False) -> Look:
        if error := next(looks, None):
            raise error
        return look(full=full)

    monkeypatch.setattr(node.workspace, "look", look_busy)
    with pytest.raises(RefusedError, match="the folders are being changed"):
        await node.passes.once()
    looks = iter([BusyError("/x")])
    await node.passes.once()
    assert node.engine.head is not None


async def test_a_pause_of_what_changes_all_the_time_is_no_rest(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stuck, "BUSY_SHOWN", 0.05)
    await node.make_pass()
    node.site.write_text("busy")
    node.served.rest = 60.0
    for _ in range(2):
        await node.worker.do(partial(node.engine.endure, str(node.site)))
        await node.make_pass()
        await asyncio.sleep(0.06)
    assert [hold.reason for hold in node.report().holds] == ["busy"]
    await node.passes.once()
    assert node.report().holds == ()


async def test_what_is_loaded_seldom_since_it_keeps_changing_is_named_until_it_rests(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stuck, "BUSY_SHOWN", 0.2)
    await node.make_pass()
    log = node.site.with_name("z.log")
    node.site.write_text("edited")
    log.write_text("line")
    node.served.rest = 1.0
    await node.make_pass()
    assert node.report().holds == ()
    node.served.rest = drafts.LATE
    for lines in (2, 3):
        log.write_text("line" * lines)
        assert await node.make_pass() == pytest.approx(0.2, abs=0.1)
        (hold,) = node.report().holds
        assert (hold.reason, "z.log keeps changing" in hold.message) == ("busy", True)
    assert not node.engine.stuck
    node.served.rest = 0.0
    node.site.write_text("line\nline")
    wait = await node.make_pass()
    assert wait is not None
    assert [hold.reason for hold in node.report().holds] == ["busy"], "it may go on"
    await asyncio.sleep(wait + 0.1)
    await node.make_pass()
    assert node.report().holds == ()


async def test_what_was_not_accepted_stays_in_the_history_after_a_rollback(node: Node) -> None:
    await node.make_pass()
    first = node.engine.head
    assert first is not None
    node.served.complaint = "[emerg] no"
    node.site.write_text("draft")
    await node.make_pass()
    await node.desk.rollback(first)
    assert node.site.read_text() == "old"
    assert node.engine.head is not None
    (kept,) = node.history.get(node.engine.head).parents
    assert node.history.get(kept).parents == (first,)
    assert node.history.read(node.history.get(kept).tree[str(node.site)].digest) == b"draft"


async def test_a_rollback_that_is_refused_leaves_nothing_behind(node: Node) -> None:
    await node.make_pass()
    first = str(node.head)
    node.site.write_text("newer")
    await node.make_pass()
    node.site.write_text("draft")
    before = node.history.ids()
    node.served.refusal = "[emerg] no"
    for _ in range(2):
        with pytest.raises(RefusedError, match="cannot serve that state"):
            await node.desk.rollback(first)
    assert node.history.ids() == before
    assert node.site.read_text() == "draft"
    node.served.refusal = None
    await node.desk.rollback(first)
    assert node.site.read_text() == "old"
    assert len(node.history.ids() - before) == 2


async def test_a_merge_that_lacks_its_base_is_made_once_that_is_here(node: Node) -> None:
    await node.hear_of_an_edit()
    base = str(node.head)
    peers = replace(node.transfer.offer, parents=(base,))
    node.site.with_name("own").write_text("own")
    await node.make_pass()
    manifest = node.history.directory / "snapshots" / base
    whole = manifest.read_bytes()
    manifest.write_bytes(without_tree(whole))
    assert await node.make_passes() == pytest.approx(RETRY.first, abs=1)
    (hold,) = node.report().holds
    assert hold.reason == "diverged"
    manifest.write_bytes(whole)
    await node.passes.once()
    assert node.report().holds == ()
    assert node.site.read_text() == "new"
    assert node.site.with_name("own").exists()
    assert peers.tree.items() <= node.history.get(str(node.head)).tree.items()


async def test_a_pull_that_takes_its_time_holds_no_edit_and_no_command(node: Node) -> None:
    name = await node.hear_of_an_edit()
    first = node.engine.head
    assert first is not None
    node.transfer.flowing.clear()
    assert await node.make_pass() is None
    assert not node.passes.settled.is_set()
    node.site.write_text("mine")
    await node.make_pass()
    assert node.report().draft == ()
    assert node.engine.head not in {first, name}
    await node.desk.rollback(first)
    assert node.site.read_text() == "old"
    assert "nothing to do" in await node.desk.sync(dry_run=True)
    node.transfer.flowing.set()
    await node.make_passes()
    assert node.report().holds == ()
    assert node.site.read_text() == "new"  # edited there, and here as it was before


async def test_a_stop_amid_a_take_over_leaves_the_folders_as_they_were(node: Node) -> None:
    await node.hear_of_an_edit()
    before = node.head
    node.served.answering.clear()
    passes = asyncio.create_task(node.make_passes())
    await node.served.asked.wait()
    assert node.site.read_text() == "new"
    passes.cancel()
    with pytest.raises(asyncio.CancelledError):
        await passes
    assert node.site.read_text() == "old"
    assert node.history.head() == before
    assert not node.workspace.recover()
    node.served.answering.set()
    await node.passes.once()
    assert node.site.read_text() == "new"


async def test_a_start_of_nginx_waits_for_no_pass_unless_files_are_gone(node: Node) -> None:
    await node.hear_of_an_edit()
    node.served.answering.clear()
    passes = asyncio.create_task(node.make_passes())
    await node.served.asked.wait()
    assert not await node.passes.put_back(None)
    node.served.answering.set()
    await passes
    node.site.unlink()
    assert await node.passes.put_back(None)
    assert node.site.read_text() == "new"


async def test_one_peers_bug_counts_against_that_peer_alone(node: Node) -> None:
    await node.hear_of_an_edit()
    node.transfer.failure = ValueError("not an id")  # type: ignore[assignment] # no error of ours
    assert await node.make_passes() == pytest.approx(RETRY.first, abs=1)
    (peer,) = node.report().peers
    assert "not an id" in peer.error
    node.site.write_text("mine")
    await node.make_passes()
    assert node.report().draft == ()

"""What the engine does about failures: it says them, and tries again at a pace."""

import asyncio
import os
import shutil
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.core.backoff import Retry
from sidecar.core.guard import Rules
from sidecar.core.manifest import encode, identify
from sidecar.core.settings import Address
from sidecar.core.snapshot import Snapshot, Tree
from sidecar.core.sync import SyncReport
from sidecar.errors import MachineError, RefusedError, SidecarError
from sidecar.host.worker import Worker
from sidecar.sync import passes
from sidecar.sync.apply import Apply
from sidecar.sync.desk import Desk
from sidecar.sync.engine import RETRY, Engine
from sidecar.sync.orders import Orders
from sidecar.sync.passes import BUSY_TRIES, Passes
from sidecar.sync.ports import Ports
from sidecar.sync.pulls import Pulls
from sidecar.sync.store import History
from sidecar.sync.workspace import BusyError, Look, Workspace
from tests.unit.trees import file

PEER = "192.0.2.12"
FAILURE = SidecarError("cannot do it: no room", "make room")


class Served:
    """A service that likes everything, until it is told to fail."""

    def __init__(self) -> None:
        self.failure: SidecarError | None = None
        self.complaint = ""
        self.ill = ""
        self.tried = 0
        self.ensured: list[Tree | None] = []
        self.rest = 0.0
        self.asked, self.answering = asyncio.Event(), asyncio.Event()
        self.answering.set()

    async def try_own(self, _tree: Tree) -> str:
        self.tried += 1
        return self.complaint

    async def try_peers(self, _tree: Tree | None) -> str:
        self.tried += 1
        self.asked.set()
        await self.answering.wait()
        if self.failure:
            raise self.failure
        return ""

    async def ensure(self, tree: Tree | None) -> None:
        self.ensured.append(tree)

    async def cooldown(self, _tree: Tree) -> float:
        return self.rest

    def hurry(self) -> None:
        self.rest = 0.0

    def well(self) -> str:
        return self.ill


class Transfer:
    """Brings the one snapshot that the peer offers, until it is told to fail."""

    def __init__(self, history: History) -> None:
        self._history = history
        self.failure: SidecarError | None = None
        self.offer: Snapshot
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.has = b"new"
        """The one content that the peer has."""
        self.asked = 0

    async def fetch_manifests(
        self, _peer: Address, _ids: Collection[str] | None = None
    ) -> frozenset[str]:
        await self.flowing.wait()
        if self.failure:
            raise self.failure
        self._history.put(b"new")
        return frozenset({self._history.add(self.offer)})

    async def fetch_objects(self, _peer: Address, sizes: Mapping[str, int]) -> frozenset[str]:
        self.asked += 1
        if sizes:
            self._history.put(self.has)
        return frozenset(sizes)

    async def close(self) -> None:
        """Nothing is open."""


class Node:
    """A node with a site, and a peer with an edit of it."""

    def __init__(
        self, directory: Path, *, soak: float = 0.0, exclude: tuple[str, ...] = ()
    ) -> None:
        root = directory / "tree"
        self.site = root / "site.conf"
        if not root.exists():
            root.mkdir()
            self.site.write_text("old")
        workspace = Workspace((str(root),), exclude, directory / "state")
        self.workspace, self.history = workspace, workspace.history
        self.served = Served()
        self.transfer = Transfer(self.history)
        self.worker = Worker("sync")
        # all that pulls ask for
        self.pulls = Pulls(self.transfer, self.history, RETRY)  # type: ignore[arg-type]
        ports = Ports(self.worker, self.served, self.pulls, lambda: None)
        rules, address = Rules(roots=workspace.roots), "192.0.2.11"
        self.engine = Engine(workspace, rules, ports, node=address, soak=soak, keep=50)
        self.passes = Passes(self.engine, self.worker, self.pulls, self.served.well)
        orders = Orders(self.engine, workspace, ports, address)
        self.desk = Desk(orders, self.worker, self.passes, self.pulls)

    @property
    def head(self) -> str | None:
        return self.engine.head

    def report(self) -> SyncReport:
        return self.engine.report(0.0)

    async def make_pass(self) -> float | None:
        """Make one pass; return what it says."""
        return await self.passes._pass()

    async def make_passes(self) -> float | None:
        """Make passes until no pull is under way; return what the last one says."""
        while True:
            await self.pulls.wait()
            before = self.pulls.begun
            pause = await self.make_pass()
            if self.pulls.begun == before:
                return pause

    async def fill(self) -> None:
        """Bring what is missing of the past."""
        await self.pulls.fill(await self.worker.do(self.engine.kept))

    def tree(self) -> set[str]:
        """The names in the head."""
        head = self.history.head()
        assert head is not None
        return {Path(path).name for path in self.history.get(head).tree}

    async def hear_of_an_edit(self) -> str:
        """Accept what lies here, let the peer have a successor; return that."""
        assert await self.make_pass() is None
        head = self.history.head()
        assert head is not None
        tree = {str(self.site): file("new", mode=self.site.stat().st_mode & 0o777)}
        mine = self.history.get(head)
        self.transfer.offer = replace(mine, tree=tree, parents=(head,), node=PEER)
        name = identify(encode(self.transfer.offer))
        self.passes.see({PEER: name})
        return name


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
    node.served.complaint = ""
    await node.passes.once()
    assert node.report().draft == ()
    assert node.engine.head is not None


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
    with pytest.raises(RefusedError, match="the folders are changing"):
        await node.passes.once()
    looks = iter([BusyError("/x")])
    await node.passes.once()
    assert node.engine.head is not None


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
    (hold,) = node.report().holds
    assert hold.reason == "diverged"


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
    assert not await node.passes.put_back("")
    node.served.answering.set()
    await passes
    node.site.unlink()
    assert await node.passes.put_back("")
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


class TestTrial:
    """What has to serve well for a while."""

    @pytest.fixture
    async def node(self, tmp_path: Path) -> Node:
        node = Node(tmp_path, soak=60.0)
        assert await node.make_pass() == pytest.approx(60, abs=5)
        assert node.engine.head is None
        return node

    async def accept(self, node: Node) -> str:
        """Let the trial be over."""
        drafts = node.engine._drafts
        drafts._draft = replace(drafts._draft, until=time.monotonic())
        assert await node.make_pass() is None
        assert node.engine.head is not None
        return node.engine.head

    async def test_it_is_kept_when_it_served_well_all_the_time(self, node: Node) -> None:
        assert not node.passes.settled.is_set()
        await node.make_pass()
        assert node.report().draft == (str(node.site),)
        await self.accept(node)
        assert node.served.tried == 1
        assert node.passes.settled.is_set()

    async def test_it_has_failed_when_it_once_did_not_serve_well(self, node: Node) -> None:
        node.served.ill = "nginx does not answer"
        await node.passes._rest(60.0)
        node.served.ill = ""
        assert await node.make_pass() == pytest.approx(RETRY.first, abs=1)
        assert node.report().draft_error == "nginx does not answer"
        assert node.engine.head is None

    async def test_a_further_edit_has_a_trial_of_its_own(self, node: Node) -> None:
        node.site.write_text("again")
        assert await node.make_pass() == pytest.approx(60, abs=5)
        assert node.served.tried == 2
        assert node.report().draft_error == ""
        head = await self.accept(node)
        assert node.history.get(head).parents == ()

    async def test_no_command_waits_for_it_and_a_rollback_ends_it(self, node: Node) -> None:
        first = await self.accept(node)
        node.site.write_text("bad")
        await node.make_pass()
        assert "serve well" in await node.desk.sync(dry_run=False)
        assert "would accept" in await node.desk.sync(dry_run=True)
        with pytest.raises(RefusedError, match="nothing is held"):
            await node.desk.release()
        assert node.engine.head == first
        await node.desk.rollback(first)
        assert await node.make_pass() is None
        assert node.site.read_text() == "old"
        assert node.report().draft == ()
        assert node.engine.head is not None
        (kept,) = node.history.get(node.engine.head).parents
        assert node.history.get(kept).parents == (first,)

    async def test_a_peers_edit_is_pulled_meanwhile_and_waits(self, node: Node) -> None:
        await self.accept(node)
        await node.make_pass()
        name = await node.hear_of_an_edit()
        node.site.write_text("mine")
        await node.make_passes()
        assert node.history.complete(name) is not None
        assert node.site.read_text() == "mine"
        assert node.report().holds == ()


async def test_a_copy_of_what_is_left_out_now_is_no_rename_that_deletes_it_elsewhere(
    tmp_path: Path,
) -> None:
    before = Node(tmp_path)
    backup = before.site.with_name("a.bak")
    backup.write_text("server {}")
    await before.make_pass()
    node = Node(tmp_path, exclude=("*.bak",))
    backup.with_name("a.conf").write_text("server {}")
    await node.make_pass()
    (hold,) = node.report().holds
    assert hold.reason == "excluded"
    assert str(backup) in hold.message
    assert node.tree() == {"a.bak", "site.conf"}


@pytest.mark.parametrize("released", [True, False])
async def test_a_rollback_never_touches_what_is_left_out_now(
    tmp_path: Path, released: bool
) -> None:
    before = Node(tmp_path)
    backup = before.site.with_name("a.bak")
    backup.write_text("kept")
    await before.make_pass()
    old = before.engine.head
    assert old is not None
    node = Node(tmp_path, exclude=("*.bak",))
    await node.make_pass()
    if released:
        await node.worker.do(node.engine.release)
        await node.make_pass()
    node.site.write_text("new")
    await node.make_pass()
    await node.desk.rollback(old)
    assert node.site.read_text() == "old"
    assert backup.read_text() == "kept"
    assert node.tree() == ({"site.conf"} if released else {"site.conf", "a.bak"})
    with pytest.raises(RefusedError, match="it is left out on this node"):
        await node.desk.restore(old, "a.bak")
    backup.write_text("edited")
    await node.desk.rollback("head")
    assert backup.read_text() == "edited"


def test_two_nodes_without_a_snapshot_are_not_in_sync(node: Node) -> None:
    stands = [(None, None, None), (None, "a", False), ("a", None, False), ("a", "a", True)]
    for mine, theirs, in_sync in stands:
        node.passes.see({PEER: theirs})
        (peer,) = node.pulls.peers.report(mine)
        assert peer.in_sync is in_sync
    node.passes.see({})
    (peer,) = node.pulls.peers.report(None)
    assert peer.in_sync is None


class TestPast:
    """What is missing of the snapshots that are kept."""

    @pytest.fixture
    async def lost(self, node: Node) -> str:
        """An earlier snapshot whose one file is not here, while a peer is linked."""
        await node.make_pass()
        first = node.engine.head
        assert first is not None
        node.site.write_text("later")
        await node.make_pass()
        node.passes.see({PEER: node.engine.head})
        (entry,) = node.history.get(first).tree.values()
        (node.history.directory / "objects" / entry.digest).unlink()
        return first

    async def test_it_is_brought_when_there_is_nothing_else_to_do(
        self, node: Node, lost: str
    ) -> None:
        node.transfer.has = b"old"
        await node.fill()
        assert node.history.complete(lost) is not None

    async def test_a_peer_that_has_it_not_is_not_asked_at_once_again(
        self, node: Node, lost: str
    ) -> None:
        for _ in range(2):
            await node.fill()
        assert node.transfer.asked == 1
        assert node.history.complete(lost) is None

    async def test_a_command_brings_it_first_or_is_refused(self, node: Node, lost: str) -> None:
        with pytest.raises(RefusedError, match="no linked node has them"):
            await node.desk.rollback(lost)
        assert node.site.read_text() == "later"
        node.transfer.has = b"old"
        await node.desk.rollback(lost)
        assert node.site.read_text() == "old"

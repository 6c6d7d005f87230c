"""What is written here has to serve well for a while."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.errors import RefusedError
from sidecar.sync.engine import RETRY
from tests.unit.sync.node import Node


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

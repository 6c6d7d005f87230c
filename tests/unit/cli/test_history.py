import json
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.core.history.merge import merge
from sidecar.host.paths import Paths
from sidecar.sync.past import Past
from sidecar.sync.store import History
from tests.unit.cli.conftest import Daemon, Ha
from tests.unit.cli.orders import OBEYING
from tests.unit.reports import FULL
from tests.unit.settings.example import REQUIRED
from tests.unit.trees import snapshot


async def test_the_history_is_shown_also_without_a_daemon(
    ha: Ha, daemon: Daemon, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    assert (await ha("history")).out == "No snapshot yet.\n"
    history = History(paths.state / "history")
    one = history.add(snapshot({}))
    history.set_head(one)
    assert f"{one[:12]}  1970-01-01 00:00:01  192.0.2.11  head\n" in (await ha("history")).out
    peer = FULL.peers[0]
    assert peer.state is not None
    linked = replace(peer, state=replace(peer.state, head=one))
    async with daemon(replace(FULL, peers=(linked,)), OBEYING):
        assert "  head, head of 192.0.2.12\n" in (await ha("history")).out


async def test_the_conflicts_are_shown_also_without_a_daemon(
    ha: Ha, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    assert (await ha("conflicts")).out == "No conflicts.\n"
    assert (await ha("conflicts", "--json")).out == "[]\n"
    history = History(paths.state / "history")
    root = history.add(snapshot({}))
    for content, time in ((b"1", 2.0), (b"2", 3.0)):
        history.put(content)
        history.add(snapshot({"a": content.decode()}, root, time=time))
    sides = history.ids() - {root}
    history.set_head(history.add(merge(sides, history.graph(), Past(history))))
    assert "ha restore OTHER PATH" in (await ha("conflicts")).out
    (one,) = json.loads((await ha("conflicts", "--json")).out)
    assert one["path"] == "/etc/nginx/a"
    assert {one["other"]["snapshot"], one["live"]["snapshot"]} == sides


async def test_snapshots_are_compared_and_exported(
    ha: Ha, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    history = History(paths.state / "history")
    history.put(b"x")
    one = history.add(snapshot({"a": "x"}))
    said = await ha("diff", one[:4])
    assert (said.code, said.out.splitlines()[0]) == (0, "added    a")
    target = tmp_path / "new"
    said = await ha("export", one, str(target))
    assert (said.code, said.out) == (0, f"wrote snapshot {one[:12]}, 1 file, to {target}\n")
    assert (target / "a").read_text() == "x"
    said = await ha("export", one, str(target))
    assert (said.code, said.error.splitlines()[0]) == (
        1,
        f"cannot export to {target}: something is there",
    )
    assert (await ha("diff", "head")).error == "cannot use head: there is no snapshot yet\n"


async def test_a_snapshot_that_is_not_whole_is_asked_for_and_refused(
    ha: Ha, daemon: Daemon, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    history = History(paths.state / "history")
    digest = history.put(b"x")
    one = history.add(snapshot({"a": "x"}))
    history.set_head(one)
    (history.directory / "objects" / digest).unlink()
    assert "  head, incomplete here\n" in (await ha("history")).out
    for order in (("diff", one), ("export", one, str(tmp_path / "new"))):
        said = await ha(*order)
        assert said.code == 1
        assert f"snapshot {one[:12]} is incomplete on this node: cannot reach" in said.error
        async with daemon(FULL, OBEYING):
            said = await ha(*order)
        assert (said.code, "no linked node has it" in said.error) == (1, True)


async def test_without_settings_the_history_is_not_shown(
    ha: Ha, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in REQUIRED:
        monkeypatch.delenv(name, raising=False)
    assert (await ha("history")).code == 78

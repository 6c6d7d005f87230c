"""What a peer sends that no node of ours would send, and what it asks for."""

import asyncio
import os
import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.core.history.manifest import MAX_TEXT
from sidecar.core.history.snapshot import MAX_BYTES
from sidecar.programs import rsync
from sidecar.programs.rsync import Module, Outcome, Source
from sidecar.sync import transfer as module
from sidecar.sync.transfer import Transfer, TransferError
from tests.integration.link.node import A
from tests.integration.sync.node import Node, noise, received
from tests.integration.sync.pulling import (
    BIG,
    PEER,
    client,
    everywhere,
    has,
    in_the_middle,
    keeper,
    names,
    room,
    run,
    running,
)


@pytest.mark.parametrize("module", Module)
async def test_other_content_under_a_name_is_refused(
    node: Node, transfer: Transfer, history: Path, module: Module
) -> None:
    (node.history / module.value / ("a" * 64)).write_bytes(b"something else")
    fetch = transfer.fetch_objects if module is Module.OBJECTS else transfer.fetch_manifests
    with pytest.raises(TransferError, match="something else") as caught:
        await fetch(PEER, {"a" * 64: 100})
    assert caught.value.outcome is Outcome.INCOMPLETE
    assert not everywhere(history, "a" * 64)


def _bind(path: Path) -> None:
    # A socket's path is short, a digest is not.
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path.parent / "s"))
    (path.parent / "s").rename(path)


def _too_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.symlink_to("/etc/passwd"),
        lambda path: path.symlink_to(path.parent / "one"),
        os.mkfifo,
        _bind,
        Path.mkdir,
        _too_large,
    ],
    ids=["link out", "link", "fifo", "socket", "directory", "too large"],
)
async def test_what_is_no_regular_file_of_a_sane_size_never_arrives(
    node: Node, transfer: Transfer, history: Path, make: Callable[[Path], None]
) -> None:
    one, odd = node.offer(b"one"), "e" * 64
    make(node.objects() / odd)
    with pytest.raises(TransferError):
        await transfer.fetch_objects(PEER, room({one, odd}))
    assert names(history / "objects") == {one}
    assert not everywhere(history, odd)


async def test_more_than_was_announced_is_cut_off(
    node: Node, transfer: Transfer, directory: Path
) -> None:
    await transfer.fetch_manifests(PEER)
    name = node.offer(noise(100_000))
    source = Source(peer=PEER, module=Module.OBJECTS, ssh=client(directory))
    command = rsync.pull_command(
        source, directory / "in", partial=directory / "partial", largest=50_000
    )
    # As if the file had grown after rsync had looked at its size.
    command.remove("--max-size=50000")
    (directory / "in").mkdir()
    assert await asyncio.to_thread(run, *command, stdin=name)
    assert not names(directory / "in")


async def test_no_object_has_more_bytes_than_its_manifest_says(
    node: Node, transfer: Transfer, history: Path
) -> None:
    one, big = node.offer(b"one"), node.offer(noise(100_000))
    with pytest.raises(TransferError):
        await transfer.fetch_objects(PEER, {one: 3, big: 1000})
    assert names(history / "objects") == {one}


async def test_a_manifest_that_is_too_large_is_not_brought(
    node: Node, transfer: Transfer, history: Path
) -> None:
    large = node.history / "snapshots" / ("a" * 64)
    with large.open("wb") as file:
        file.truncate(MAX_TEXT + 1)
    with pytest.raises(TransferError, match="too much") as caught:
        await transfer.fetch_manifests(PEER)
    assert caught.value.outcome is Outcome.REFUSED
    with pytest.raises(TransferError):
        await transfer.fetch_manifests(PEER, {large.name})
    assert not everywhere(history, large.name)


@pytest.mark.usefixtures("slow")
async def test_a_peer_that_trickles_is_given_up_and_the_next_pull_goes_on(
    node: Node, transfer: Transfer, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = node.offer(noise(BIG))
    pull = asyncio.create_task(transfer.fetch_objects(PEER, room({big})))
    await in_the_middle(history)
    with monkeypatch.context() as patch:
        patch.setattr(module, "LEAST_RATE", 1024 * 1024 * 1024)
        patch.setattr(module, "SLOW_FOR", 1.0)
        patch.setattr(module, "LOOK_EVERY", 0.1)
        with pytest.raises(TransferError, match="it sends less than") as caught:
            await pull
    assert caught.value.outcome is Outcome.LATER
    assert not running("rsync", "--files-from=-")
    before = received()
    assert await transfer.fetch_objects(PEER, room({big})) == {big}
    assert received() - before < BIG * 0.95
    assert has(history, Module.OBJECTS, node)


async def test_what_reads_from_a_peer_is_limited_by_the_kernel(
    node: Node, transfer: Transfer
) -> None:
    await transfer.fetch_manifests(PEER)
    for pid in (keeper(), *node.processes()):
        limits = await asyncio.to_thread(Path(f"/proc/{pid}/limits").read_text)
        assert re.search(r"Max file size +0 +0 ", limits), limits
        assert re.search(rf"Max address space +{512 * 1024 * 1024} ", limits), limits


async def test_nothing_can_be_written_to_a_node(
    node: Node, transfer: Transfer, directory: Path
) -> None:
    one = node.offer(b"one")
    await transfer.fetch_manifests(PEER)
    (directory / "evil").write_bytes(b"evil")
    (directory / "pulled").mkdir()
    push = ["rsync", "--rsh=" + " ".join(client(directory)), "--timeout=5"]
    module, pulled = f"{A}::objects/", f"{directory}/pulled/"
    for command in (
        [*push, f"{directory}/evil", module],
        [*push, "--recursive", "--delete", f"{directory}/b/", module],
        [*push, "--remove-source-files", f"{module}{one}", pulled],
        [*push, "--recursive", module, pulled],
        [*push, f"--remote-option=--log-file={directory}/log", module, pulled],
        [*push, "--copy-links", f"{module}../../run/ssh/host_key", pulled],
        [*push, f"{A}::history/", pulled],
    ):
        assert await asyncio.to_thread(run, *command)
    # Nothing lies above a module: this is the module itself.
    await asyncio.to_thread(run, *push, "--dirs", f"{module}../../run/", f"{module}../", pulled)
    assert names(node.objects()) == {one}
    assert names(directory / "pulled") <= {one}
    assert not everywhere(directory, "log")


async def test_the_modules_are_not_listed(node: Node, transfer: Transfer, directory: Path) -> None:
    node.offer(b"one")
    await transfer.fetch_manifests(PEER)
    command = ["rsync", "--rsh=" + " ".join(client(directory)), f"{A}::"]
    completed = await asyncio.to_thread(subprocess.check_output, command)
    assert not completed

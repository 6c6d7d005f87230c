"""Pulls between two real nodes on 127.0.0.x: sshd, ssh, rsync, and the store that adopts."""

import asyncio
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path

import pytest

from sidecar.core.history.manifest import MAX_TEXT
from sidecar.core.history.snapshot import MAX_BYTES, MAX_PATHS
from sidecar.core.sync_report import Progress
from sidecar.programs import rsync, ssh
from sidecar.programs.rsync import Module, Outcome, Source
from sidecar.programs.ssh_keys import keys
from sidecar.programs.ssh_words import Failure
from sidecar.sync import transfer as module
from sidecar.sync.store import History
from sidecar.sync.transfer import Transfer, TransferError
from tests.integration.link.node import PORT, SECRET, A, B, identity, places, until
from tests.integration.link.test_link import descendants
from tests.integration.sync.node import Node, noise, received, serving, signal_all

PEER = ip_address(A)
BIG = 64 * 1024 * 1024


@pytest.fixture
async def node(directory: Path) -> AsyncIterator[Node]:
    async with serving(directory / "a") as node:
        yield node


@pytest.fixture
def history(directory: Path) -> Path:
    return directory / "b" / "history"


@pytest.fixture
async def transfer(directory: Path, history: Path) -> AsyncIterator[Transfer]:
    async with pulling(directory / "b" / "run", history) as transfer:
        yield transfer


@pytest.fixture
def slow() -> Iterator[None]:
    """Limit the loopback interface so that there is a middle of a pull."""
    # 15 MB/s; a namespace of our own, so nobody else is slowed down.
    shape = "tbf rate 120mbit burst 256kb latency 200ms"
    subprocess.run(["tc", "qdisc", "add", "dev", "lo", "root", *shape.split()], check=True)
    yield
    subprocess.run(["tc", "qdisc", "del", "dev", "lo", "root"], check=True)


@asynccontextmanager
async def pulling(
    run: Path, history: Path, own: str = B, peer: str = A, *, secret: str = SECRET
) -> AsyncIterator[Transfer]:
    paths, who = places(run), identity(own, peer)
    ssh.install(paths, who, keys=[keys(secret)], port=PORT)
    transfer = Transfer(paths, who, port=PORT, history=History(history))
    try:
        yield transfer
    finally:
        await transfer.close()


def client(directory: Path) -> list[str]:
    """Return the ssh command of the pulling node, without host and command."""
    return ssh.sharing_command(
        places(directory / "b" / "run"), node=ip_address(B), peer=PEER, port=PORT
    )


def room(names: Collection[str]) -> dict[str, int]:
    """Return the bytes that each object may have, where a test does not care."""
    return dict.fromkeys(names, MAX_BYTES // max(4, len(names)))


def has(history: Path, module: Module, node: Node) -> bool:
    """Tell whether a history has the same files as that of `node`, in one of its directories."""
    mine, theirs = (
        {path.name: path.read_bytes() for path in (place / module.value).iterdir()}
        for place in (history, node.history)
    )
    return mine == theirs


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def everywhere(directory: Path, name: str) -> list[Path]:
    return [*directory.rglob(name)]


def running(program: str, argument: str) -> list[int]:
    """Return the process ids of our own runs of a program with that argument."""

    def command(pid: int) -> list[str]:
        try:
            return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            return [""]

    found = ((pid, command(pid)) for pid in descendants(os.getpid()))
    return [pid for pid, words in found if words[0] == program and argument in words]


def keeper() -> int:
    """Return the process id of the ssh that keeps the connection."""
    (pid,) = running("ssh", "ControlMaster=yes")
    return pid


async def in_the_middle(history: Path) -> None:
    """Wait until a part of the big file has arrived, in the temporary file that rsync makes."""

    def arrived() -> int:
        return sum(path.stat().st_size for path in (history / "incoming" / A).rglob(".*"))

    await until(lambda: arrived() > BIG // 4, within=10)


async def test_all_manifests_that_are_missing_are_brought(
    node: Node, transfer: Transfer, history: Path
) -> None:
    first = node.offer_manifest(summary="the first")
    second = node.offer_manifest(first, summary="the second")
    assert await transfer.fetch_manifests(PEER) == {first, second}
    third = node.offer_manifest(second, summary="the third")
    assert await transfer.fetch_manifests(PEER) == {third}
    assert await transfer.fetch_manifests(PEER) == frozenset()
    assert has(history, Module.SNAPSHOTS, node)


async def test_one_manifest_is_brought_by_its_id(node: Node, transfer: Transfer) -> None:
    first = node.offer_manifest(summary="the first")
    second = node.offer_manifest(first)
    assert await transfer.fetch_manifests(PEER, {second}) == {second}
    assert await transfer.fetch_manifests(PEER, ()) == frozenset()


async def test_objects_are_brought_and_nothing_else_is(
    node: Node, transfer: Transfer, history: Path
) -> None:
    wanted = {node.offer(noise(size)) for size in (0, 1, 1000, 1_000_000)}
    other = node.offer(b"not asked for")
    assert await transfer.fetch_objects(PEER, room(wanted)) == wanted
    objects = history / "objects"
    assert names(objects) == wanted
    assert {path.stat().st_mode & 0o777 for path in objects.iterdir()} == {0o600}
    await transfer.fetch_objects(PEER, room({other}))
    assert has(history, Module.OBJECTS, node)
    assert not names(history / "incoming")


@pytest.mark.usefixtures("slow")
async def test_a_connection_that_is_killed_in_the_middle_is_made_anew_in_the_same_pull(
    node: Node, transfer: Transfer, history: Path
) -> None:
    big = node.offer(noise(BIG))
    pull = asyncio.create_task(transfer.fetch_objects(PEER, room({big})))
    await in_the_middle(history)
    os.kill(keeper(), signal.SIGKILL)
    before = received()
    assert await pull == {big}
    assert received() - before < BIG * 0.85
    assert has(history, Module.OBJECTS, node)


@pytest.mark.usefixtures("slow")
async def test_a_pull_goes_on_where_an_earlier_one_was_cut(
    directory: Path, transfer: Transfer, history: Path
) -> None:
    async with serving(directory / "a") as node:
        big = node.offer(noise(BIG))
        # rsync sends them in the order of their names.
        contents = (str(number).encode() for number in itertools.count())
        small = node.offer(next(one for one in contents if sha256(one).hexdigest() < big))
        pull = asyncio.create_task(transfer.fetch_objects(PEER, room({small, big})))
        await in_the_middle(history)
        await until(lambda: transfer.fetching == {A: Progress(done=1, total=2)}, within=3)
        sessions = node.processes()[1:]
    signal_all(sessions, signal.SIGKILL)
    with pytest.raises(TransferError) as caught:
        await pull
    assert caught.value.outcome is Outcome.LATER
    assert transfer.fetching == {}
    assert names(history / "objects") <= {small}
    async with serving(directory / "a") as node:
        before = received()
        await transfer.fetch_objects(PEER, room({small, big}))
        assert received() - before < BIG * 0.85
        assert has(history, Module.OBJECTS, node)


@pytest.mark.usefixtures("slow")
async def test_a_frozen_peer_is_given_up_and_the_next_pull_goes_on(
    node: Node, transfer: Transfer, history: Path
) -> None:
    big = node.offer(noise(BIG))
    pull = asyncio.create_task(transfer.fetch_objects(PEER, room({big})))
    await in_the_middle(history)
    frozen = node.processes()
    signal_all(frozen, signal.SIGSTOP)
    try:
        async with asyncio.timeout(20):
            with pytest.raises(TransferError) as caught:
                await pull
    finally:
        signal_all(frozen, signal.SIGCONT)
    assert caught.value.outcome is Outcome.LATER
    assert not names(history / "objects")
    before = received()
    assert await transfer.fetch_objects(PEER, room({big})) == {big}
    assert received() - before < BIG * 0.85


@pytest.mark.usefixtures("slow")
async def test_a_pull_that_is_cancelled_leaves_no_process_and_harms_no_later_one(
    node: Node, transfer: Transfer, history: Path
) -> None:
    big = node.offer(noise(BIG))
    await transfer.fetch_manifests(PEER)
    pull = asyncio.create_task(transfer.fetch_objects(PEER, room({big})))
    await until(lambda: [*(history / "incoming" / A).rglob(".*")], within=5)
    pull.cancel()
    await asyncio.gather(pull, return_exceptions=True)
    assert not running("rsync", "--files-from=-")
    assert await transfer.fetch_objects(PEER, room({big})) == {big}


async def test_a_connection_that_died_meanwhile_is_made_anew(
    node: Node, transfer: Transfer
) -> None:
    await transfer.fetch_manifests(PEER)
    first = keeper()
    os.kill(first, signal.SIGKILL)
    await until(lambda: not running("ssh", "ControlMaster=yes"), within=1)
    await asyncio.sleep(0.1)
    one = node.offer(b"one")
    assert await transfer.fetch_objects(PEER, room({one})) == {one}
    assert keeper() != first


async def test_one_connection_is_kept_and_ends_with_us(
    node: Node, directory: Path, history: Path
) -> None:
    async with pulling(directory / "b" / "run", history) as transfer:
        await transfer.fetch_manifests(PEER)
        first = keeper()
        await transfer.fetch_objects(PEER, room({node.offer(b"one")}))
        assert keeper() == first
    assert not running("ssh", "ControlMaster=yes")
    await until(lambda: len(node.processes()) == 1, within=2)


async def test_a_frozen_peer_ends_the_connection_that_is_kept(
    node: Node, transfer: Transfer
) -> None:
    await transfer.fetch_manifests(PEER)
    frozen = node.processes()
    signal_all(frozen, signal.SIGSTOP)
    try:
        await until(lambda: not running("ssh", "ControlMaster=yes"), within=ssh.SHARED_SILENCE + 4)
        with pytest.raises(TransferError, match="no answer"):
            await transfer.fetch_manifests(PEER)
    finally:
        signal_all(frozen, signal.SIGCONT)
    one = node.offer_manifest()
    assert await transfer.fetch_manifests(PEER) == {one}


def test_a_connection_is_never_shared_with_another_secrets(directory: Path) -> None:
    paths, sockets = places(directory), set[Path]()
    for secret in (SECRET, "another" + SECRET):
        ssh.install(paths, identity(B, A), keys=[keys(secret)], port=PORT)
        sockets.add(ssh.control_socket(paths, PEER, PORT))
    assert len(sockets) == 2
    # ssh makes it under a name with 17 more characters, at most 107 in all.
    assert {len(f"/run/ha/ssh/{socket.name}") + 17 <= 107 for socket in sockets} == {True}


@pytest.mark.usefixtures("node")
async def test_a_wrong_secret_is_named(directory: Path, history: Path) -> None:
    async with pulling(directory / "b" / "run", history, secret="another" + SECRET) as transfer:
        with pytest.raises(TransferError, match=Failure.FOREIGN.value):
            await transfer.fetch_manifests(PEER)


async def test_a_peer_that_is_away_is_told_at_once(transfer: Transfer) -> None:
    with pytest.raises(TransferError, match="nothing listens there") as caught:
        await transfer.fetch_manifests(PEER)
    assert caught.value.outcome is Outcome.LATER


async def test_a_peer_that_does_not_sync_refuses(node: Node, transfer: Transfer) -> None:
    (node.run / "rsyncd.conf").unlink()
    with pytest.raises(TransferError, match="nothing to sync") as caught:
        await transfer.fetch_manifests(PEER)
    assert caught.value.outcome is Outcome.REFUSED


async def test_what_is_not_there_is_incomplete_and_the_rest_arrives(
    node: Node, transfer: Transfer, history: Path
) -> None:
    one, missing = node.offer(b"one"), "f" * 64
    with pytest.raises(TransferError, match=missing) as caught:
        await transfer.fetch_objects(PEER, room({one, missing}))
    assert caught.value.outcome is Outcome.INCOMPLETE
    assert has(history, Module.OBJECTS, node)


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


def run(*command: str, stdin: str = "") -> int:
    """Run a command and return its exit code."""
    return subprocess.run(command, input=stdin.encode(), check=False, timeout=20).returncode


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


async def test_a_full_disk_is_named_and_what_came_makes_room(directory: Path) -> None:
    # Docker's own small tmpfs: 64 MiB.
    history = Path("/dev/shm/history")
    try:
        async with (
            serving(directory / "a") as node,
            pulling(directory / "b" / "run", history) as transfer,
        ):
            small, big = node.offer(b"small"), node.offer(noise(2 * BIG))
            with pytest.raises(TransferError, match="No space left") as caught:
                await transfer.fetch_objects(PEER, room({small, big}))
            assert caught.value.outcome is Outcome.DISK
            assert not (history / "incoming" / A).exists()
            assert await transfer.fetch_objects(PEER, {small: len(b"small")}) == {small}
    finally:
        shutil.rmtree(history)


async def test_more_than_a_set_may_hold_is_not_asked_for(transfer: Transfer) -> None:
    names = [f"{number:064x}" for number in range(MAX_PATHS + 1)]
    with pytest.raises(TransferError) as caught:
        await transfer.fetch_objects(PEER, room(names))
    assert caught.value.outcome is Outcome.REFUSED
    with pytest.raises(ValueError, match="hex"):
        await transfer.fetch_objects(PEER, room({"../../etc/passwd"}))


@pytest.fixture
def ipv6() -> Iterator[tuple[str, str]]:
    addresses = "fd00:4b15:6::11", "fd00:4b15:6::12"
    for address in addresses:
        subprocess.run(["ip", "address", "add", f"{address}/128", "dev", "lo", "nodad"], check=True)
    yield addresses
    for address in addresses:
        subprocess.run(["ip", "address", "del", f"{address}/128", "dev", "lo"], check=True)


async def test_nodes_with_ipv6_addresses_pull(
    directory: Path, history: Path, ipv6: tuple[str, str]
) -> None:
    peer, own = ipv6
    async with (
        serving(directory / "a", peer, own) as node,
        pulling(directory / "b" / "run", history, own, peer) as transfer,
    ):
        one = node.offer(b"one")
        assert await transfer.fetch_objects(ip_address(peer), room({one})) == {one}

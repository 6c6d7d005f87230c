"""What a holder of the key, and everybody else, gets from a node's sshd: the link and no more."""

import asyncio
import logging
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest

from sidecar.programs import ssh
from sidecar.programs.ssh_keys import keys
from sidecar.programs.ssh_words import Failure, classify
from tests.integration.link.node import PORT, SECRET, A, B, Node, identity, places, running, until

MARK = Path("/run/written-by-a-stranger")


@pytest.fixture
async def node(directory: Path) -> AsyncIterator[Node]:
    async with running(directory / "a", A, B) as node:
        await until(lambda: any(A in line for line in node.sshd_lines), within=10)
        yield node


@pytest.fixture
def untouched() -> Iterator[None]:
    yield
    assert not MARK.exists()


@pytest.fixture
def foreign(directory: Path) -> list[str]:
    """The ssh command of a caller with our address and our host key, but a key of its own."""
    command = caller(directory / "b")
    key = directory / "b" / "ssh" / "client_key"
    key.unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    return command


def caller(run: Path, *, own: str = B) -> list[str]:
    """Return the ssh command of a peer, without what it asks for."""
    paths, who = places(run), identity(own, A)
    ssh.install(paths, who, keys=[keys(SECRET)], port=PORT)
    command = ssh.client_command(
        paths, node=who.node, peer=ip_address(A), port=PORT, command=ssh.LINK_COMMAND
    )
    return command[: command.index("--")]


async def call(command: Sequence[str]) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(10):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "id",
        f"link; touch {MARK}",
        f"link\ntouch {MARK}",
        f"$(touch {MARK})",
        f"`touch {MARK}`",
        " link",
        "link ",
        "LINK",
        "rsync --server --sender -logDtpre.iLsfxCIvu . /run/ha/ssh",
        "rsync --server -logDtpre.iLsfxCIvu . /run",
        "rsync --server --daemon --config=/dev/null .",
        "scp -t /run",
        "x" * 50_000,
    ],
)
@pytest.mark.usefixtures("node", "untouched")
async def test_a_command_that_is_not_ours_is_refused(
    directory: Path, asked: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    code, out, err = await call([*caller(directory / "b"), "--", A, *([asked] if asked else [])])
    assert (code, out) == (1, "")
    assert "kiss-ha: refused" in err
    await until(lambda: f"from {B}: refused" in caplog.text, within=10)


@pytest.mark.usefixtures("node")
async def test_rsync_waits_for_something_to_sync(directory: Path) -> None:
    code, out, err = await call([*caller(directory / "b"), "--", A, "rsync --server --daemon ."])
    assert (code, out) == (1, "")
    assert "nothing to sync" in err


@pytest.mark.usefixtures("node")
async def test_sftp_is_refused(directory: Path) -> None:
    code, out, _ = await call([*caller(directory / "b"), "-s", "--", A, "sftp"])
    assert code != 0
    assert not out


@pytest.mark.usefixtures("node")
async def test_there_is_no_terminal(directory: Path) -> None:
    code, out, err = await call([*caller(directory / "b"), "-tt", "--", A])
    assert code != 0
    assert "PTY allocation request failed" in err
    assert not out


@pytest.mark.usefixtures("node")
async def test_nothing_is_forwarded_from_here(directory: Path) -> None:
    # -W asks sshd for a connection of its own: here to itself, which it could reach.
    code, out, err = await call([*caller(directory / "b"), "-W", f"{A}:{PORT}", "--", A])
    assert code != 0
    assert "prohibited" in err
    assert not out


@pytest.mark.usefixtures("node", "untouched")
async def test_nothing_is_forwarded_to_here(directory: Path) -> None:
    for forward in ("18731:127.0.0.1:80", f"{MARK}:127.0.0.1:80"):
        code, _, err = await call(
            [
                *caller(directory / "b"),
                *("-o", "ExitOnForwardFailure=yes", "-N", "-R", forward),
                *("--", A),
            ]
        )
        assert code != 0
        assert "forwarding failed" in err


async def test_a_foreign_key_is_refused(node: Node, foreign: list[str]) -> None:
    code, out, err = await call([*foreign, "--", A, "link"])
    assert code == 255
    assert not out
    assert classify(err) is Failure.DENIED
    await until(lambda: any(B in line for line in node.sshd_lines), within=10)


@pytest.mark.usefixtures("node")
async def test_the_key_is_good_from_the_peers_addresses_only(directory: Path) -> None:
    code, out, err = await call([*caller(directory / "b", own="127.0.0.13"), "--", A, "link"])
    assert code == 255
    assert not out
    assert classify(err) is Failure.DENIED


@pytest.mark.usefixtures("node")
async def test_a_password_is_not_asked_for(directory: Path) -> None:
    command = [*caller(directory / "b"), "-o", "PubkeyAuthentication=no", "--", A, "link"]
    code, _, err = await call(command)
    assert code == 255
    assert "Permission denied (publickey)" in err


def test_files_with_keys_are_for_root_alone(directory: Path) -> None:
    caller(directory)
    keys = directory / "ssh"
    assert keys.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in keys.iterdir()} == {0o600}

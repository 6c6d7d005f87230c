"""nginx's processes and sockets, read from a /proc made of files."""

from pathlib import Path

import pytest

from sidecar.programs.nginx import workers
from sidecar.programs.nginx.listeners import Listener, listeners, sockets
from sidecar.programs.nginx.workers import Identity

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"


def process(proc: Path, pid: int, title: str, *, state: str = "S", started: int = 100) -> None:
    directory = proc / str(pid)
    directory.mkdir()
    (directory / "cmdline").write_bytes(title.encode() + b"\0  \0")
    fields = [state, *["0"] * 18, str(started), "0"]
    (directory / "stat").write_text(f"{pid} (nginx) odd) {' '.join(fields)}\n")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    process(tmp_path, 7, "nginx: master process nginx")
    process(tmp_path, 8, "nginx: worker process")
    process(tmp_path, 9, "nginx: worker process is shutting down")
    process(tmp_path, 10, "nginx: cache manager process")
    (tmp_path / "7/task/7").mkdir(parents=True)
    (tmp_path / "7/task/7/children").write_text("8 9 10 11 ")
    return tmp_path


def test_a_worker_serves_once_it_is_ready_and_until_it_retires(proc: Path) -> None:
    assert workers.serving(7, proc) == {Identity(8, 100)}
    assert workers.serving(8, proc) == frozenset()


@pytest.mark.parametrize(
    ("master", "worker", "alive"),
    [("S", "R", True), ("D", "S", True), ("T", "S", False), ("S", "T", False), ("S", "Z", False)],
)
def test_nginx_lives_while_the_master_and_a_worker_run(
    tmp_path: Path,
    master: str,
    worker: str,
    alive: bool,  # a table
) -> None:
    process(tmp_path, 7, "nginx: master process nginx", state=master)
    process(tmp_path, 8, "nginx: worker process", state=worker)
    (tmp_path / "7/task/7").mkdir(parents=True)
    (tmp_path / "7/task/7/children").write_text("8")
    assert workers.alive(7, tmp_path) is alive


def test_a_process_that_is_gone_does_not_live(tmp_path: Path) -> None:
    assert not workers.alive(7, tmp_path)


def line(address: str, state: str, inode: int) -> str:
    return f"   0: {address} 00000000:0000 {state} 0:0 00:0 0 0 0 {inode} 1 0 100 0 0 10 0\n"


def test_only_sockets_of_the_process_that_listen_count(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_text(
        HEAD
        + line("00000000:0050", "0A", 501)
        + line("0100007F:1F90", "0A", 502)
        + line("0A02000A:0051", "0A", 999)
        + line("0100007F:0050", "01", 503)
        + line("00000000:0052", "0A", 503)
    )
    (tmp_path / "net/tcp6").write_text(
        HEAD
        + line("0" * 32 + ":01BB", "0A", 504)
        + line("000000FD000000000000000005000000:01BB", "0A", 505)
    )
    found = listeners(frozenset({501, 502, 503, 504, 505}), tmp_path)
    assert found == (
        Listener(501, "127.0.0.1", 80),
        Listener(502, "127.0.0.1", 8080),
        Listener(504, "::1", 443),
        Listener(505, "fd00::5", 443),
    )
    assert [str(listener) for listener in found[::2]] == ["127.0.0.1:80", "[::1]:443"]
    assert [listener.target for listener in found[::2]] == ["TCP4:127.0.0.1:80", "TCP6:[::1]:443"]


def test_a_machine_without_ipv6_has_one_table_only(tmp_path: Path) -> None:
    assert listeners(frozenset({1}), tmp_path) == ()


def test_the_sockets_of_a_process_are_found_among_its_files(tmp_path: Path) -> None:
    directory = tmp_path / "7/fd"
    directory.mkdir(parents=True)
    for name, link in {"0": "/dev/null", "3": "socket:[501]", "4": "pipe:[9]"}.items():
        (directory / name).symlink_to(link)
    assert sockets(7, tmp_path) == {501}
    assert sockets(8, tmp_path) == frozenset()

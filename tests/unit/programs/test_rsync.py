from ipaddress import ip_address
from pathlib import Path

import pytest

from sidecar.programs import rsync
from sidecar.programs.rsync import Module, Outcome, Source
from sidecar.programs.ssh_words import Failure

CUT = (
    "Timeout, server 192.0.2.12 not responding.\n"
    "rsync: connection unexpectedly closed (40 bytes received so far) [receiver]\n"
    "rsync error: error in rsync protocol data stream (code 12) at io.c(285) [receiver=3.5.0]\n"
)


@pytest.mark.parametrize(
    ("code", "words", "outcome"),
    [
        (0, "", Outcome.DONE),
        (0, "rsync: [receiver] write failed: No space left on device (28)", Outcome.DONE),
        (5, "ssh: connect to host 192.0.2.12 port 8730: Connection refused", Outcome.LATER),
        (5, "@ERROR: Unknown module 'objects'", Outcome.REFUSED),
        (5, "@ERROR: max connections (32) reached -- try again later", Outcome.LATER),
        (12, CUT, Outcome.LATER),
        (12, "kiss-ha: refused: rsync: this node has nothing to sync", Outcome.REFUSED),
        (12, "rsync: The server is configured to refuse --verbose (-v)", Outcome.REFUSED),
        (10, "", Outcome.LATER),
        (30, "rsync error: timeout in data send/receive (code 30)", Outcome.LATER),
        (35, "", Outcome.LATER),
        (24, "file has vanished: objects/1", Outcome.AGAIN),
        (23, 'rsync: [sender] link_stat "/1" failed: No such file or directory (2)', "INCOMPLETE"),
        (23, 'rsync: [receiver] mkstemp "/1" failed: No space left on device (28)', Outcome.DISK),
        (11, 'rsync: [receiver] write failed on "/1": No space left (28)', Outcome.DISK),
        (12, 'rsync: [receiver] write failed on "/1": Disk quota exceeded (122)', Outcome.DISK),
        (12, "rsync: [sender] write failed: No space left on device (28)", Outcome.LATER),
        (255, "client_loop: send disconnect: Broken pipe", Outcome.LATER),
        (-15, "", Outcome.LATER),
        (1, "rsync: --wrong: unknown option", Outcome.REFUSED),
        (2, "protocol incompatibility", Outcome.REFUSED),
    ],
)
def test_an_end_of_rsync_says_what_to_do(code: int, words: str, outcome: Outcome | str) -> None:
    expected = Outcome[outcome] if isinstance(outcome, str) else outcome
    assert rsync.classify(code, words) is expected


@pytest.mark.parametrize(
    ("code", "words", "cause"),
    [
        (12, CUT, Failure.BROKEN.value),
        (5, "ssh: connect to host ::1 port 1: Connection refused", Failure.REFUSED.value),
        (5, "@ERROR: Unknown module 'x'\nrsync error: error starting", "@ERROR: Unknown module"),
        (
            23,
            "rsync: [receiver] mkstemp failed: No space left on device (28)\nrsync error: some",
            "No space left on device (28)",
        ),
        (30, "rsync error: timeout in data send/receive (code 30)", "timeout in data"),
        (12, "kiss-ha: refused: rsync: this node has nothing to sync", "nothing to sync"),
        (20, "", "code 20"),
    ],
)
def test_the_cause_is_in_the_words_of_who_knows_it(code: int, words: str, cause: str) -> None:
    assert cause in rsync.explain(code, words)


def test_a_list_holds_regular_files_alone() -> None:
    text = (
        "drwxr-xr-x         100 2026/11/23 13:24:43 .\n"
        "-rw-------           3 2026/11/23 13:24:43 abc\n"
        "-rw-------   536870913 2026/11/23 13:24:43 a name\n"
        "lrwxrwxrwx          11 2026/11/23 13:24:43 link -> /etc/passwd\n"
        "prw-r--r--           0 2026/11/23 13:24:43 fifo\n"
        "what is this\n"
    )
    assert rsync.parse_list(text) == {"abc": 3, "a name": 536870913}


@pytest.mark.parametrize(
    ("peer", "location"),
    [("192.0.2.12", "192.0.2.12::objects/"), ("2001:db8::12", "[2001:db8::12]::objects/")],
)
def test_a_daemon_is_asked_at_addresses_of_both_families(peer: str, location: str) -> None:
    source = Source(peer=ip_address(peer), module=Module.OBJECTS, ssh=["ssh", "-o", "A=b c"])
    assert source.location == location
    command = rsync.pull_command(source, Path("/in"), partial=Path("/partial"), largest=10)
    assert command[-2:] == [location, "/in/"]
    assert "--rsh=ssh -o 'A=b c'" in command

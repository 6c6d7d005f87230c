"""rsync (3.5.0 and newer): the read-only module of a node, the client that pulls, what it says.

Nothing listens: a peer's ssh session starts `rsync --server --daemon .` by sshd's forced command,
which serves the modules of `daemon_config` over that session.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from textwrap import dedent
from typing import Final

from sidecar.core.settings import Address
from sidecar.host import files
from sidecar.host.paths import Paths
from sidecar.programs import ssh_words
from sidecar.programs.limits import limited

SILENCE: Final = 10
"""Seconds without a byte after which either side gives up."""


class Module(Enum):
    """What a peer can read: directories of the history by their names."""

    OBJECTS = "objects"
    SNAPSHOTS = "snapshots"


class Outcome(Enum):
    """What an end of rsync means for whoever started it."""

    DONE = "all of it is here"
    AGAIN = "the peer removed files meanwhile: try again at once"
    LATER = "the connection failed or was cut: try again after a pause"
    INCOMPLETE = "the peer did not give all: never a success"
    DISK = "the disk here is full, or fails: tell a person"
    REFUSED = "the peer does not want to, or a bug: another try would not help"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A module of a peer, and the ssh command that leads there (without host and command)."""

    peer: Address
    module: Module
    ssh: Sequence[str]

    @property
    def location(self) -> str:
        """The module in rsync's words; the double colon is for a daemon."""
        host = f"[{self.peer}]" if self.peer.version == 6 else str(self.peer)
        return f"{host}::{self.module.value}/"


def install(paths: Paths, history: Path) -> None:
    """Let the peers read the objects and snapshots below `history`, which exist."""
    files.write(paths.run / "rsyncd.conf", daemon_config(history, paths.run), mode=0o600)


def daemon_config(history: Path, run: Path) -> str:
    """Return the configuration that `config/bin/peer` hands to rsync."""
    settings = dedent(f"""\
        uid = root
        gid = root
        numeric ids = yes
        use chroot = yes
        read only = yes
        list = no
        # All that a client of ours asks for; read-only alone would do.
        refuse options = * !dirs !files-from !from0 !list-only !relative !timeout
        # A file that is being written has such a name.
        exclude = .*
        max connections = 32
        lock file = {run}/rsyncd.lock
        timeout = {SILENCE * 3}
        reverse lookup = no
        """)
    modules = (f"[{module.value}]\npath = {history / module.value}\n" for module in Module)
    return "\n".join((settings, *modules))


def list_command(source: Source) -> list[str]:
    """Return the arguments that print what a module has; `parse_list` reads it."""
    options = ["--list-only", "--dirs", "--no-human-readable"]
    return limited([*_client(source), *options, source.location])


def pull_command(source: Source, destination: Path, *, partial: Path, largest: int) -> list[str]:
    """Return the arguments that bring the files named on standard input, one a line.

    None has more than `largest` bytes, and none is anything but a regular file of mode 0600. What
    is in `destination` is not brought again; a file that was cut is left in `partial` and continued
    from there.
    """
    command = [
        *_client(source),
        "--files-from=-",
        # With a list of names rsync takes directories too.
        "--exclude=*/",
        "--ignore-existing",
        f"--max-size={largest}",
        "--chmod=F600",
        f"--partial-dir={partial}",
        # Whole files could not be continued.
        "--no-whole-file",
        source.location,
        f"{destination}/",
    ]
    # A peer can send more than it has announced: the kernel ends that.
    return limited(command, largest=largest)


def _client(source: Source) -> list[str]:
    return ["rsync", f"--rsh={shlex.join(source.ssh)}", f"--timeout={SILENCE}", "--no-motd"]


_LISTED: Final = re.compile(r"-\S{9} +(?P<size>\d+) \S+ \S+ (?P<name>.+)")


def parse_list(text: str) -> Mapping[str, int]:
    """Return the sizes in bytes of the regular files that `list_command` has printed, by name."""
    lines = (_LISTED.fullmatch(line) for line in text.splitlines())
    return {line["name"]: int(line["size"]) for line in lines if line}


# Exit codes of rsync(1). Killed by a signal it has a negative one; 255 is ssh's.
_CODES: Final[Mapping[int, Outcome]] = {
    0: Outcome.DONE,
    5: Outcome.LATER,
    10: Outcome.LATER,
    11: Outcome.DISK,
    12: Outcome.LATER,
    23: Outcome.INCOMPLETE,
    24: Outcome.AGAIN,
    30: Outcome.LATER,
    35: Outcome.LATER,
    255: Outcome.LATER,
}
_NO_SPACE: Final = ("No space left on device", "Disk quota exceeded")
# Of the forced command; of rsync's daemon; of rsync's daemon about our arguments.
_REFUSALS: Final = ("kiss-ha: refused", "@ERROR: ", "The server is configured to refuse")
_BUSY: Final = "@ERROR: max connections"


def classify(code: int, words: str) -> Outcome:
    """Return what an end of rsync means, from its exit code and its standard error."""
    own = [line for line in words.splitlines() if "[sender" not in line]
    if code and any(text in line for text in _NO_SPACE for line in own):
        return Outcome.DISK
    if code and _BUSY not in words and any(text in words for text in _REFUSALS):
        return Outcome.REFUSED
    return _CODES.get(code, Outcome.LATER if code < 0 else Outcome.REFUSED)


def explain(code: int, words: str) -> str:
    """Return why rsync failed, for a person: ssh's reason where it was the connection."""
    lines = [line for line in words.splitlines() if line]
    # 5 stands for every failure of a connection, and ssh knows more of them than rsync does.
    told_by_ssh = [line for line in lines if not _is_of_rsync(line)]
    if ssh_words.classify("\n".join(told_by_ssh)) is not ssh_words.Failure.OTHER:
        return ssh_words.explain(told_by_ssh)
    told = [line for line in lines if not line.startswith("rsync error: ")]
    return (told or lines or [f"rsync ended with code {code}"])[0].strip()


def _is_of_rsync(line: str) -> bool:
    return line.startswith(("rsync:", "rsync error:", "@ERROR"))

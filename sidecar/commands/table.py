"""Every command: its name, what it is given, what it does, and who carries it out.

The parser, the routes of the control socket, the help and the documents come from here. What the
running node carries out is in `daemon`; all else is in a module of this package, called like the
command, with a function `run`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LONGEST: Final = 7200.0
"""Seconds to wait for what may have to be pulled first."""
_SHORT: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What a command is given."""

    name: str
    help: str
    kind: type = str
    """A bool is an option, `--name`; anything else stands behind the command."""
    option: bool = False
    """Not a bool, and an option all the same: `--name VALUE`."""
    shown: str = ""
    """How the help names a value."""
    optional: bool = False
    alternative: bool = False
    """An option that excludes the other alternatives."""
    bare: float | None = None
    """What an option without its value means; None: it must have one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A row of the table."""

    name: str
    """The words behind `ha`."""
    help: str
    parameters: tuple[Parameter, ...] = ()
    patience: float | None = None
    """Seconds to wait for the node, which carries it out; None for what this process runs."""
    shown: bool = True
    """A person may give it; all others are given by other commands."""

    @property
    def route(self) -> str:
        """Where the control socket takes it."""
        return "/" + self.name.replace(" ", "/")


def _snapshot(name: str = "snapshot", *, optional: bool = False) -> Parameter:
    words = "`head`, or the first digits of an id, at least 4"
    return Parameter(name=name, help=words, shown="SNAPSHOT", optional=optional)


_ROWS: Final = (
    Command(name="run", help="run this node (what the container does)"),
    Command(
        name="check",
        help="check the settings, the configuration and the host, without starting anything",
    ),
    Command(
        name="doctor",
        help="check this host, its network and the other nodes, and say how to fix what is wrong; "
        "exit 1 if there is a problem",
        parameters=(
            Parameter(name="json", kind=bool, help="print the findings as JSON"),
            Parameter(name="quiet", kind=bool, help="print only warnings and problems"),
            Parameter(
                name="bundle",
                option=True,
                shown="FILE",
                help="write an archive for a bug report, without secrets; `-` is standard output",
            ),
        ),
    ),
    Command(name="render", help="print the configuration files that `run` would write"),
    Command(
        name="status",
        help="show every node with its role, checks and problems",
        parameters=(
            Parameter(
                name="json", kind=bool, alternative=True, help="print what /api/v1/status answers"
            ),
            Parameter(
                name="watch", kind=bool, alternative=True, help="print it again every second"
            ),
            Parameter(
                name="wait",
                kind=float,
                option=True,
                alternative=True,
                shown="SECONDS",
                bare=300.0,
                help="wait until all is well, at most 300 s by default; exit 1 if it is not",
            ),
        ),
    ),
    Command(name="health", help="tell whether this node is healthy (the image's HEALTHCHECK)"),
    Command(name="failover", help="give the virtual address to another node now", patience=_SHORT),
    Command(
        name="drain",
        help="keep the virtual address away from this node until `resume`; survives restarts",
        patience=_SHORT,
    ),
    Command(name="resume", help="end `drain`", patience=_SHORT),
    Command(
        name="reload",
        help="test and load the nginx configuration now, and report the result",
        patience=_SHORT,
    ),
    Command(
        name="sync",
        help="compare and sync the folders now, and report how they stand",
        parameters=(Parameter(name="dry_run", kind=bool, help="only say what would be done"),),
        patience=_LONGEST,
    ),
    Command(
        name="sync hold",
        help="stop sync on this node until `sync release`: no change comes in or goes out; "
        "survives restarts",
        patience=_SHORT,
    ),
    Command(
        name="sync release",
        help="end `sync hold`, or approve a change that a safety check holds",
        patience=_SHORT,
    ),
    Command(
        name="sync adopt",
        help="choose one configuration for every node, if those of two nodes cannot be merged",
        parameters=(
            Parameter(
                name="whose",
                shown="mine|peer|NODE",
                help="`mine`, `peer`, or the address of a node if there are several",
            ),
        ),
        patience=_LONGEST,
    ),
    Command(
        name="history",
        help="list the snapshots of the folders, newest first",
        parameters=(
            Parameter(
                name="verify",
                kind=bool,
                help="check every stored file instead, and restore damaged ones from another node",
            ),
        ),
    ),
    Command(
        name="diff",
        help="show what differs between the folders and head, or what a snapshot changed",
        parameters=(_snapshot("first", optional=True), _snapshot("second", optional=True)),
    ),
    Command(
        name="conflicts",
        help="list files edited on two nodes independently, with the live and the other version",
        parameters=(
            Parameter(
                name="clear",
                option=True,
                alternative=True,
                shown="PATH",
                help="take a path off this node's list; the live version stays",
            ),
            Parameter(name="json", kind=bool, alternative=True, help="print the list as JSON"),
        ),
    ),
    Command(
        name="rollback",
        help="serve an earlier snapshot again, on every node",
        parameters=(_snapshot(),),
        patience=_LONGEST,
    ),
    Command(
        name="restore",
        help="bring back a file or directory of an earlier snapshot, on every node",
        parameters=(
            _snapshot(),
            Parameter(
                name="path", shown="PATH", help="absolute, or relative to one of HA_SYNC_PATHS"
            ),
        ),
        patience=_LONGEST,
    ),
    Command(
        name="export",
        help="write the files of a snapshot to a new directory",
        parameters=(
            _snapshot(),
            Parameter(
                name="directory",
                kind=Path,
                shown="DIR",
                help="a new or empty directory in the container",
            ),
        ),
    ),
    Command(
        name="bring",
        help="fetch what this node lacks of a snapshot from the other nodes",
        parameters=(_snapshot(),),
        patience=_LONGEST,
        shown=False,
    ),
    Command(
        name="verify",
        help="check the whole history, and restore what is damaged",
        patience=_LONGEST,
        shown=False,
    ),
    Command(
        name="clear",
        help="take a path off the list of conflicts",
        parameters=(Parameter(name="path", shown="PATH", help="one that is listed"),),
        patience=_SHORT,
        shown=False,
    ),
    Command(
        name="notify test",
        help="send a test message through every URL of HA_NOTIFY now",
        patience=_SHORT,
    ),
    Command(
        name="sites",
        help="list the sites with their origin, containers on each node and certificate",
    ),
    Command(name="secret", help="print a new HA_SECRET"),
    Command(
        name="completion",
        help="print a bash completion script for `ha` and `docker compose exec sidecar ha`",
    ),
    Command(name="version", help="print the version"),
)

COMMANDS: Final[Mapping[str, Command]] = {row.name: row for row in _ROWS}
"""By name, in the order of `ha --help`."""

ORDERS: Final = tuple(row for row in _ROWS if row.patience is not None)
"""What the running node carries out."""

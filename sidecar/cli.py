"""The command line: `ha COMMAND`.

A command imports what it needs when it runs, since `ha health` is started every few seconds.
"""
# ruff: noqa: PLC0415 - the imports inside of functions, as said above

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, override

from sidecar import __version__
from sidecar.errors import ExitCode, SidecarError
from sidecar.host.paths import Paths

if TYPE_CHECKING:
    from sidecar.settings.load import Loaded
    from sidecar.web.client import Control

COMMANDS: Final[Mapping[str, str]] = {
    "run": "run this node (what the container does)",
    "check": "check the settings, the configuration and the host, without starting anything",
    "render": "print the configuration files that `run` would write",
    "status": "show every node, its role, its checks and its problems",
    "health": "tell whether this node is healthy (the image's HEALTHCHECK)",
    "failover": "give the virtual address to another node now",
    "drain": "keep the virtual address away from this node until `resume`; survives restarts",
    "resume": "end `drain`",
    "reload": "test and load the configuration of nginx now, and say how that went",
    "sync": "compare and sync the folders now, and say how they stand",
    "history": "list the snapshots of the folders, newest first",
    "diff": "show what differs: the folders and head, a snapshot and its parent, or two snapshots",
    "rollback": "serve an earlier snapshot again, on every node",
    "restore": "bring a file or directory of an earlier snapshot back, on every node",
    "export": "write the files of a snapshot into a new directory",
    "secret": "print a new HA_SECRET",
    "version": "print the version",
}
"""Every command and what it does, in the order of `ha --help`."""

type Action = Callable[[argparse.Namespace], int]

_PATIENCE: Final = 2.0
"""Seconds to wait for an answer; HEALTHCHECK allows 10, since Python may start slowly."""
_LONGEST: Final = 7200.0
"""Seconds to wait for what may have to be pulled first."""
_ORDERS: Final[Mapping[str, tuple[float, Sequence[str]]]] = {
    "failover": (60.0, ()),
    "drain": (60.0, ()),
    "resume": (60.0, ()),
    "reload": (60.0, ()),
    "sync": (_LONGEST, ("dry_run",)),
    "release": (60.0, ()),
    "rollback": (_LONGEST, ("snapshot",)),
    "restore": (_LONGEST, ("snapshot", "path")),
}
"""What the daemon carries out: seconds to wait for its end, and the options that go along."""


def main(arguments: Sequence[str] | None = None, *, paths: Paths | None = None) -> int:
    """Run a command and return its exit code; `arguments` defaults to those of the process.

    `paths` tells where things lie, if not at their usual places.
    Raise SystemExit for `--help` and for wrong usage.
    """
    options = _parser().parse_args(arguments, argparse.Namespace(paths=paths or Paths()))
    try:
        code = _ACTIONS[options.command](options)
        sys.stdout.flush()
    except SidecarError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; what the daemon was told to do goes on", file=sys.stderr)
        return ExitCode.NO
    except BrokenPipeError:  # as in `ha status | head -1`; the exit flushes once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.NO
    except Exception as error:  # noqa: BLE001 - the top: whatever it is, the exit code is ours
        _report_bug(options.command, error)
        return ExitCode.INTERNAL
    return code


def _run(options: argparse.Namespace) -> int:
    from sidecar.daemon import run
    from sidecar.host import log

    loaded = _loaded(options)
    log.setup(loaded.settings)
    return run(loaded)


def _check(options: argparse.Namespace) -> int:
    from sidecar.check import check

    return check(_loaded(options))


def _render(options: argparse.Namespace) -> int:
    from sidecar.render import render

    for text in render(_loaded(options)):
        print(text)
    return ExitCode.DONE


def _status(options: argparse.Namespace) -> int:
    from sidecar import status

    form = status.watch if options.watch else status.show_json if options.json else status.show
    return form(_control(options))


def _health(options: argparse.Namespace) -> int:
    ready, words = _control(options).ready()
    print(f"healthy: {words}" if ready else f"unhealthy: {words}")
    return ExitCode.DONE if ready else ExitCode.NO


def _order(options: argparse.Namespace) -> int:
    order = options.order if options.command == "sync" and options.order else options.command
    patience, names = _ORDERS[order]
    given = {name: getattr(options, name) for name in names}
    print(_control(options, patience).order(order, **given))
    return ExitCode.DONE


def _history(options: argparse.Namespace) -> int:
    from sidecar import past, status

    try:
        peers = status.ask(_control(options)).peers
    except SidecarError:  # the history is here without a daemon too
        peers = ()
    heads = {peer.node: peer.state.head for peer in peers if peer.linked and peer.state}
    settings = _loaded(options).settings
    for line in past.show(settings, options.paths, heads, color=status.colored()):
        print(line)
    return ExitCode.DONE


def _diff(options: argparse.Namespace) -> int:
    from sidecar import past

    names = [name for name in (options.first, options.second) if name is not None]
    for line in past.diff(_loaded(options).settings, options.paths, names, _bringer(options)):
        print(line)
    return ExitCode.DONE


def _export(options: argparse.Namespace) -> int:
    from sidecar import past

    settings = _loaded(options).settings
    where = options.snapshot, options.directory
    print(past.write(settings, options.paths, *where, _bringer(options)))
    return ExitCode.DONE


def _bringer(options: argparse.Namespace) -> Callable[[str], None]:
    """Return what lets the daemon bring what is missing of a snapshot from the other nodes."""

    def bring(snapshot: str) -> None:
        _control(options, _LONGEST).order("bring", snapshot=snapshot)

    return bring


def _secret(_options: argparse.Namespace) -> int:
    import secrets

    print(secrets.token_hex(32))
    return ExitCode.DONE


def _version(_options: argparse.Namespace) -> int:
    print(f"kiss-ha {__version__}")
    return ExitCode.DONE


_ACTIONS: Final[Mapping[str, Action]] = {
    "run": _run,
    "check": _check,
    "render": _render,
    "status": _status,
    "health": _health,
    "failover": _order,
    "drain": _order,
    "resume": _order,
    "reload": _order,
    "sync": _order,
    "history": _history,
    "diff": _diff,
    "rollback": _order,
    "restore": _order,
    "export": _export,
    "secret": _secret,
    "version": _version,
}


class _Parser(argparse.ArgumentParser):
    """A parser whose exit code for wrong usage is ours."""

    @override
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(ExitCode.USAGE, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ha",
        description="High availability for plain Docker hosts.",
        epilog="Exit codes: 0 done, 1 the answer is no, 10 a program gave up, 64 wrong usage, "
        "70 a bug, 78 wrong settings.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", required=True
    )
    parsers = {
        name: commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        for name, text in COMMANDS.items()
    }
    forms = parsers["status"].add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print what /api/v1/status answers")
    forms.add_argument("--watch", action="store_true", help="print it again each second")
    _add_sync_arguments(parsers)
    return parser


def _add_sync_arguments(parsers: Mapping[str, argparse.ArgumentParser]) -> None:
    which = "`head`, or the first digits of an id, 4 at least"
    parsers["sync"].add_argument(
        "--dry-run", action="store_true", help="only say what would be done"
    )
    parsers["sync"].add_argument(
        "order", choices=["release"], nargs="?", help="let pass what is held as a likely accident"
    )
    for name in ("first", "second"):
        parsers["diff"].add_argument(name, metavar="SNAPSHOT", nargs="?", help=which)
    for name in ("rollback", "restore", "export"):
        parsers[name].add_argument("snapshot", metavar="SNAPSHOT", help=which)
    parsers["restore"].add_argument(
        "path", metavar="PATH", help="absolute, or below a path of HA_SYNC_PATHS"
    )
    parsers["export"].add_argument(
        "directory", metavar="DIR", type=Path, help="a new or empty directory in the container"
    )


def _control(options: argparse.Namespace, timeout: float = _PATIENCE) -> "Control":
    from sidecar.web.client import Control

    return Control(options.paths.control_socket, timeout=timeout)


def _loaded(options: argparse.Namespace) -> "Loaded":
    from sidecar.settings.load import from_process

    return from_process(options.paths)


def _report_bug(command: str, error: Exception) -> None:
    """Tell about an error that nobody foresaw: in a line, in full with LOG_LEVEL=debug."""
    import traceback

    from sidecar.settings.early import wants_debug

    print(f"cannot {command}: a bug of kiss-ha: {error!r}", file=sys.stderr)
    if wants_debug():
        traceback.print_exception(error)
    else:
        print("  run it with LOG_LEVEL=debug and report what it prints", file=sys.stderr)

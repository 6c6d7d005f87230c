"""The command line: `ha COMMAND`.

A command imports what it needs when it runs, since `ha health` is started every few seconds.
"""
# ruff: noqa: PLC0415 - the imports inside of functions, as said above

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, override

from sidecar import __version__
from sidecar.errors import ExitCode, SidecarError

if TYPE_CHECKING:
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
    "secret": "print a new HA_SECRET",
    "version": "print the version",
}
"""Every command and what it does, in the order of `ha --help`."""

type Action = Callable[[argparse.Namespace], int]

_PATIENCE: Final = 2.0
"""Seconds to wait for an answer; the image's HEALTHCHECK allows 3."""
_ORDER_PATIENCE: Final = 60.0
"""Seconds to wait for the end of a failover or a drain."""
_WATCH_INTERVAL: Final = 1.0

_TO_TOP: Final = "\x1b[H\x1b[J"
"""Moves a terminal's cursor to the top left and clears the rest of the screen (ECMA-48)."""


def main(arguments: Sequence[str] | None = None, *, socket: Path | None = None) -> int:
    """Run a command and return its exit code; `arguments` defaults to those of the process.

    `socket` is the daemon's control socket, where it is not at its usual place.
    Raise SystemExit for `--help` and for wrong usage.
    """
    options = _parser().parse_args(arguments, argparse.Namespace(socket=socket))
    try:
        code = _ACTIONS[options.command](options)
        sys.stdout.flush()
    except SidecarError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # as in `ha status | head -1`; the exit flushes once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.NO
    except Exception as error:  # noqa: BLE001 - the top: whatever it is, the exit code is ours
        _report_bug(options.command, error)
        return ExitCode.INTERNAL
    return code


def _run(_options: argparse.Namespace) -> int:
    from sidecar.daemon import run
    from sidecar.host import log
    from sidecar.settings.load import from_process

    loaded = from_process()
    log.setup(loaded.settings)
    return run(loaded)


def _check(_options: argparse.Namespace) -> int:
    from sidecar.check import check
    from sidecar.settings.load import from_process

    return check(from_process())


def _render(_options: argparse.Namespace) -> int:
    from sidecar.render import render
    from sidecar.settings.load import from_process

    for text in render(from_process()):
        print(text)
    return ExitCode.DONE


def _status(options: argparse.Namespace) -> int:
    control = _control(options)
    if options.watch:
        return _watch(control)
    text = control.status()
    print(text.rstrip() if options.json else _status_text(text))
    return ExitCode.DONE


def _watch(control: "Control") -> int:
    """Print the status each second, at the top of the screen if it is one, until interrupted."""
    top = _TO_TOP if sys.stdout.isatty() else "\n"
    try:
        while True:
            try:
                text = _status_text(control.status())
            except SidecarError as error:
                text = str(error)
            print(f"{top}{text}", flush=True)
            time.sleep(_WATCH_INTERVAL)
    except KeyboardInterrupt:
        return ExitCode.DONE


def _health(options: argparse.Namespace) -> int:
    ready, words = _control(options).ready()
    print(f"healthy: {words}" if ready else f"unhealthy: {words}")
    return ExitCode.DONE if ready else ExitCode.NO


def _order(options: argparse.Namespace) -> int:
    print(_control(options, _ORDER_PATIENCE).order(options.command))
    return ExitCode.DONE


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
    return parser


def _control(options: argparse.Namespace, timeout: float = _PATIENCE) -> "Control":
    from sidecar.host.paths import Paths
    from sidecar.web.client import Control

    return Control(options.socket or Paths().control_socket, timeout=timeout)


def _status_text(status: str) -> str:
    from sidecar.core.present import from_json, status_text
    from sidecar.settings.early import wants_color

    color = sys.stdout.isatty() and wants_color()
    return status_text(from_json(json.loads(status)), color=color)


def _report_bug(command: str, error: Exception) -> None:
    """Tell about an error that nobody foresaw: in a line, in full with LOG_LEVEL=debug."""
    import traceback

    from sidecar.settings.early import wants_debug

    print(f"cannot {command}: a bug of kiss-ha: {error!r}", file=sys.stderr)
    if wants_debug():
        traceback.print_exception(error)
    else:
        print("  run it with LOG_LEVEL=debug and report what it prints", file=sys.stderr)

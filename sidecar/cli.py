"""The command line: `ha COMMAND`, as the table of commands says."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final, NoReturn, override

from sidecar.commands.context import Context
from sidecar.commands.table import COMMANDS, Command, Parameter
from sidecar.errors import ExitCode, SidecarError
from sidecar.host.paths import Paths

_NAME: Final = "command name"
"""Where the parser leaves the command; no parameter can be called so."""


def main(arguments: Sequence[str] | None = None, *, paths: Paths | None = None) -> int:
    """Run a command and return its exit code; `arguments` defaults to those of the process.

    `paths` tells where things lie, if not at their usual places.
    Raise SystemExit for `--help` and for wrong usage.
    """
    options = vars(_parser().parse_args(arguments))
    command = COMMANDS[options[_NAME]]
    try:
        code = _run(command, Context(paths or Paths()), options)
        sys.stdout.flush()
    except SidecarError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; the daemon carries on with what it was told to do", file=sys.stderr)
        return ExitCode.NO
    except BrokenPipeError:  # as in `ha status | head -1`; the exit flushes once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.NO
    except Exception as error:  # noqa: BLE001 - the top: whatever it is, the exit code is ours
        _report_bug(command, error)
        return ExitCode.INTERNAL
    return code


def _run(command: Command, context: Context, options: dict[str, object]) -> int:
    """Run it here, or let the running node do so."""
    given = {parameter.name: options[parameter.name] for parameter in command.parameters}
    if command.patience is not None:
        print(context.order(command.name, given))
        return ExitCode.DONE
    module = import_module(f"sidecar.commands.{command.name}")
    return int(module.run(context, **given))


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
    parsers: dict[str, argparse.ArgumentParser] = {}
    groups = {"": _add_group(parser, required=True)}
    for command in COMMANDS.values():
        if not command.shown:
            continue
        above, _, word = command.name.rpartition(" ")
        if above not in groups:
            parent = parsers.get(above) or groups[""].add_parser(
                above, help=f"`{word}`: {command.help}", allow_abbrev=False
            )
            groups[above] = _add_group(parent, required=above not in parsers)
        parsers[command.name] = groups[above].add_parser(
            word, help=command.help, description=command.help, allow_abbrev=False
        )
        parsers[command.name].set_defaults(**{_NAME: command.name})
        _add_parameters(parsers[command.name], command.parameters)
    return parser


def _add_group(
    parser: argparse.ArgumentParser, *, required: bool
) -> "argparse._SubParsersAction[argparse.ArgumentParser]":
    return parser.add_subparsers(metavar="COMMAND", title="commands", required=required)


def _add_parameters(parser: argparse.ArgumentParser, parameters: Sequence[Parameter]) -> None:
    exclusive = any(parameter.alternative for parameter in parameters)
    options = parser.add_mutually_exclusive_group() if exclusive else parser
    for parameter in parameters:
        place = options if parameter.alternative else parser
        option = f"--{parameter.name.replace('_', '-')}"
        if parameter.kind is bool:
            place.add_argument(option, action="store_true", help=parameter.help)
        elif parameter.option:
            place.add_argument(
                option,
                metavar=parameter.shown,
                help=parameter.help,
                type=parameter.kind,
                nargs=None if parameter.bare is None else "?",
                const=parameter.bare,
            )
        else:
            parser.add_argument(
                parameter.name,
                metavar=parameter.shown,
                type=parameter.kind,
                nargs="?" if parameter.optional else None,
                help=parameter.help,
            )


def _report_bug(command: Command, error: Exception) -> None:
    """Tell about an error that nobody foresaw: in a line, in full with LOG_LEVEL=debug."""
    import traceback  # noqa: PLC0415 - for bugs only

    from sidecar.settings.early import wants_debug  # noqa: PLC0415 - as above

    print(f"cannot {command.name}: a bug in kiss-ha: {error!r}", file=sys.stderr)
    if wants_debug():
        traceback.print_exception(error)
    else:
        print("  run it again with LOG_LEVEL=debug and report what it prints", file=sys.stderr)

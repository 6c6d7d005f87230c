"""`ha status`: the daemon's report, once or again each second."""

import json as notation
import sys
import time
from typing import Final

from sidecar.commands.context import Context
from sidecar.core.present import from_json, status_text
from sidecar.core.report import Report
from sidecar.errors import ExitCode, SidecarError
from sidecar.settings.early import wants_color
from sidecar.web.client import Control

_WATCH_INTERVAL: Final = 1.0

_TO_TOP: Final = "\x1b[H\x1b[J"
"""Moves a terminal's cursor to the top left and clears the rest of the screen (ECMA-48)."""


def ask(control: Control) -> Report:
    """Return the daemon's report; raise RefusedError without a daemon."""
    return from_json(notation.loads(control.status()))


def colored() -> bool:
    """Tell whether what is printed may have colours."""
    return sys.stdout.isatty() and wants_color()


def run(context: Context, *, json: bool, watch: bool) -> int:
    """Print the status: for people, for programs, or for people again and again."""
    control = context.control()
    if watch:
        return _watch(control)
    print(control.status().rstrip() if json else status_text(ask(control), color=colored()))
    return ExitCode.DONE


def _watch(control: Control) -> int:
    """Print the status each second, at the top of the screen if it is one, until interrupted."""
    top = _TO_TOP if sys.stdout.isatty() else "\n"
    try:
        while True:
            try:
                text = status_text(ask(control), color=colored())
            except SidecarError as error:
                text = str(error)
            print(f"{top}{text}", flush=True)
            time.sleep(_WATCH_INTERVAL)
    except KeyboardInterrupt:
        return ExitCode.DONE

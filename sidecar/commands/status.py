"""`ha status`: the daemon's report, once, or again each second, or once all is well."""

import json as notation
import re
import shutil
import sys
import time
from typing import Final

from sidecar.commands.context import Context
from sidecar.core.report import Report
from sidecar.core.show.present import Style, from_json, status_text
from sidecar.core.show.wellness import unwell
from sidecar.errors import ExitCode, SidecarError
from sidecar.settings.early import wants_color
from sidecar.web.client import Control

_INTERVAL: Final = 1.0

_COUNT: Final = re.compile(r"[\d,]+ of [\d,]+ ")
_COUNT_EVERY: Final = 5.0
"""Seconds between two lines of which only the count differs."""

_TO_TOP: Final = "\x1b[H\x1b[J"
"""Moves a terminal's cursor to the top left and clears the rest of the screen (ECMA-48)."""


def ask(control: Control) -> Report:
    """Return the daemon's report; raise RefusedError without a daemon."""
    return from_json(notation.loads(control.status()))


def colored() -> bool:
    """Tell whether what is printed may have colours."""
    return sys.stdout.isatty() and wants_color()


def run(context: Context, *, json: bool, watch: bool, wait: float | None) -> int:
    """Print the status: for people, for programs, again and again, or when all is well."""
    control = context.control()
    if watch:
        return _watch(control)
    if wait is not None:
        return _wait(control, wait)
    print(control.status().rstrip() if json else status_text(ask(control), style()))
    return ExitCode.DONE


def style() -> Style:
    """Return how a terminal wants it; what is no terminal gets each line whole."""
    if not sys.stdout.isatty():
        return Style()
    return Style(color=colored(), width=shutil.get_terminal_size().columns)


def _watch(control: Control) -> int:
    """Print the status each second, at the top of the screen if it is one, until interrupted."""
    top = _TO_TOP if sys.stdout.isatty() else "\n"
    try:
        while True:
            try:
                text = status_text(ask(control), style())
            except SidecarError as error:
                text = str(error)
            print(f"{top}{text}", flush=True)
            time.sleep(_INTERVAL)
    except KeyboardInterrupt:
        return ExitCode.DONE


def _wait(control: Control, seconds: float) -> int:
    """Wait until all is well, and say what it is waited for each time that this changes."""
    deadline = time.monotonic() + seconds
    said, next_count = "", 0.0
    while True:
        try:
            lacking = unwell(ask(control))
        except SidecarError as error:
            lacking = error.message
        if not lacking:
            print("all is well")
            return ExitCode.DONE
        if time.monotonic() >= deadline:
            print(f"not well after {seconds:g} s: {lacking}", file=sys.stderr)
            return ExitCode.NO
        now = time.monotonic()
        if lacking != said and (
            now >= next_count or _COUNT.sub("", lacking) != _COUNT.sub("", said)
        ):
            print(f"waiting: {lacking}", file=sys.stderr, flush=True)
            said, next_count = lacking, now + _COUNT_EVERY
        time.sleep(min(_INTERVAL, max(0.0, deadline - time.monotonic())))

"""One run of the node, from its settings to its exit code."""

import asyncio
import logging
import os
import signal

from sidecar import __version__
from sidecar.core.settings import Settings
from sidecar.daemon.build import build
from sidecar.daemon.lifecycle import Lifecycle, cancel
from sidecar.daemon.startup import identify, prepare_host
from sidecar.errors import ExitCode, SidecarError
from sidecar.host.loop import Turns, measured
from sidecar.host.network import Network
from sidecar.host.paths import Paths
from sidecar.settings.describe import describe
from sidecar.settings.load import Loaded

log = logging.getLogger("daemon")


def run(loaded: Loaded, paths: Paths) -> int:
    """Run the node until it is told to stop; return the exit code."""
    log.info("kiss-ha %s", __version__)
    for line in describe(loaded):
        log.info("%s", line)
    try:
        prepare_host(paths)
        turns = Turns()
        return asyncio.run(
            _run(loaded.settings, paths, turns), loop_factory=lambda: measured(turns)
        )
    except SidecarError as error:
        log.critical("%s", error)
        return error.exit_code


async def _run(settings: Settings, paths: Paths, turns: Turns) -> int:
    stop = _stop_event()
    async with Network() as network:
        identifying = asyncio.create_task(identify(settings, network), name="identify")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait({identifying, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not identifying.done():
            await cancel(identifying)
            return ExitCode.DONE
        parts = build(settings, identifying.result(), paths, network, turns)
        return await Lifecycle(parts).run(stopping)


def _stop_event() -> asyncio.Event:
    """Return an event that TERM, INT or QUIT sets; a second signal ends the process at once.

    Then keepalived's parent-death signal takes the VIP off the NIC.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(ExitCode.DONE)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        loop.add_signal_handler(number, on_signal)
    return stop

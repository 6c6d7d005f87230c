"""`ha run`: the node itself."""

from sidecar.commands.context import Context
from sidecar.daemon.run import run as run_node
from sidecar.host import log


def run(context: Context) -> int:
    """Run until told to stop."""
    loaded = context.loaded()
    log.setup(loaded.settings)
    return run_node(loaded, context.paths)

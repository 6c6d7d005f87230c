"""`ha health`: the image's HEALTHCHECK."""

from sidecar.commands.context import Context
from sidecar.errors import ExitCode


def run(context: Context) -> int:
    """Say whether the node could serve."""
    ready, words = context.control().ready()
    print(f"healthy: {words}" if ready else f"unhealthy: {words}")
    return ExitCode.DONE if ready else ExitCode.NO

"""`ha version`."""

from sidecar import __version__
from sidecar.commands.context import Context
from sidecar.errors import ExitCode


def run(_context: Context) -> int:
    """Print the version."""
    print(f"kiss-ha {__version__}")
    return ExitCode.DONE

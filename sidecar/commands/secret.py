"""`ha secret`: a new HA_SECRET."""

import secrets

from sidecar.commands.context import Context
from sidecar.errors import ExitCode


def run(_context: Context) -> int:
    """Print 64 hex digits."""
    print(secrets.token_hex(32))
    return ExitCode.DONE

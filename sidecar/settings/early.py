"""What the command line asks of the environment before, or without, the settings."""

import os


def wants_color() -> bool:
    """Tell whether output for people may have colours (no-color.org)."""
    return not os.environ.get("NO_COLOR")


def wants_debug() -> bool:
    """Tell whether errors of our own are to be shown with their traceback."""
    return os.environ.get("LOG_LEVEL", "").lower() == "debug"

"""The images under test: `make` says which, so that two checkouts do not mix theirs."""

import os
from typing import Final

NAME: Final = os.environ.get("KISS_HA_NAME", "kiss-ha")

LATEST: Final = f"{NAME}:latest"
"""What a user runs."""

TEST: Final = f"{NAME}:test"
"""The same with the tools of the tests."""

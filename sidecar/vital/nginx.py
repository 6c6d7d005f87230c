"""nginx as the daemon sees it: kept running with a valid configuration, reloaded when its files change."""

import asyncio
import logging
import signal
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from sidecar.core.report import NginxReport, ServiceState, StubStatus
from sidecar.core.settings import Settings
from sidecar.host.paths import Paths
from sidecar.host.supervise import Program, Supervisor
from sidecar.host.watch import changes
from sidecar.programs import nginx

log = logging.getLogger("nginx")

GRACES: Final = ((signal.SIGQUIT, 10.0), (signal.SIGTERM, 3.0))

DOWN_AFTER: Final = 0.3
"""Seconds in backoff after which the VIP should move; the first restart takes less."""

RETRY_EVERY: Final = 2.0
"""Seconds between two looks at a configuration that was refused at the start."""


class Nginx:
    """Runs nginx.

    Given: the settings, where things lie, `on_change` for every change of what `down` says.
    """

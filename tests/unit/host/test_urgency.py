"""What the kernel grants is tried, and leaves no trace."""

import os

from sidecar.host.urgency import possible


def test_trying_changes_nothing() -> None:
    before = os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)
    granted = possible()
    assert (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)) == before
    assert possible() is granted

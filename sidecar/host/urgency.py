"""How far before others a process here may run, when there is not enough time for all."""

import os
from enum import StrEnum


class Urgency(StrEnum):
    """From the most to the least urgent."""

    REAL_TIME = "real time"
    """Before every ordinary process of the machine (sched(7))."""
    NICE = "nice"
    """Before the other processes of this container."""
    ORDINARY = "ordinary"


def possible() -> Urgency:
    """Return the most that the kernel grants; it is tried, on this process, for an instant.

    Each takes SYS_NICE. Real time may take a share of the control group's time as well
    (CONFIG_RT_GROUP_SCHED with control groups of version 1), which Docker gives nobody.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    except OSError:
        pass
    else:
        return Urgency.REAL_TIME
    before = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, before - 1)
        os.setpriority(os.PRIO_PROCESS, 0, before)
    except OSError:
        return Urgency.ORDINARY
    return Urgency.NICE

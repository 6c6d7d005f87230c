"""The life of a supervised program.

    stopped ──► starting ──► running ──► stopping ──► stopped
                 │  ▲          │
                 ▼  │          ▼
               backoff ◄───────┘
                 │
                 ▼
              gave-up

A transition that is not drawn is a bug and raises.
"""

from typing import Final

from sidecar.core.report import ServiceState

_S = ServiceState

TRANSITIONS: Final[frozenset[tuple[ServiceState, ServiceState]]] = frozenset(
    {
        (_S.STOPPED, _S.STARTING),
        (_S.STARTING, _S.RUNNING),
        (_S.STARTING, _S.BACKOFF),
        (_S.STARTING, _S.STOPPING),
        (_S.RUNNING, _S.BACKOFF),
        (_S.RUNNING, _S.STOPPING),
        (_S.BACKOFF, _S.STARTING),
        (_S.BACKOFF, _S.GAVE_UP),
        (_S.BACKOFF, _S.STOPPED),
        (_S.STOPPING, _S.STOPPED),
    }
)


class IllegalTransitionError(Exception):
    """A program was to go from one state to another that cannot follow it."""


def change(old: ServiceState, new: ServiceState) -> ServiceState:
    """Return `new`; raise IllegalTransitionError if it cannot follow `old`."""
    if (old, new) not in TRANSITIONS:
        raise IllegalTransitionError(f"a program cannot go from {old} to {new}")
    return new

"""What ssh and sshd say, and what that means."""

import logging
import re
import time
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final

REPEAT_AFTER: Final = 60.0
"""Seconds after which sshd's log says the same about the same caller again."""

# What every connection makes sshd say. The last is a caller that went away without a try to log in:
# that is a peer for whom our host key is wrong, and its own log tells more.
_ROUTINE: Final = re.compile(
    r"^(Accepted publickey for|Root login accepted for|Postponed publickey|Refused by key options"
    r"|Received disconnect from|Disconnected from|Connection closed by [0-9a-f.:]+ port)"
)
_PORT: Final = re.compile(r" port \d+")


class Failure(Enum):
    """Why there is no connection, each with what it means to a person."""

    FOREIGN = "HA_SECRET differs between the nodes"
    DENIED = "this node is not one of HA_NODES there, or its address is translated on the way"
    REFUSED = "nothing listens there: is kiss-ha running, with the same HA_SYNC_PORT?"
    TIMEOUT = "no answer: the host is down, or something between drops the packets"
    UNREACHABLE = "there is no route to that host"
    OWN_ADDRESS = "this node has lost its own address"
    NOT_READY = "kiss-ha is starting or stopping there"
    BROKEN = "the connection broke"
    OTHER = "ssh failed"


# Messages of OpenSSH 9 and 10, and of glibc's strerror(3); the first that occurs counts.
# The host's key is derived from the secret as well: where it is known, the secret is the same.
_MESSAGES: Final = (
    ("socat[", Failure.NOT_READY),
    ("Host key verification failed", Failure.FOREIGN),
    ("Permission denied", Failure.DENIED),
    ("Connection refused", Failure.REFUSED),
    ("timed out", Failure.TIMEOUT),
    ("No route to host", Failure.UNREACHABLE),
    ("Network is unreachable", Failure.UNREACHABLE),
    ("Cannot assign requested address", Failure.OWN_ADDRESS),
    ("Connection closed by", Failure.BROKEN),
    ("Connection reset by", Failure.BROKEN),
    ("kex_exchange_identification", Failure.BROKEN),
    ("Broken pipe", Failure.BROKEN),
    ("Timeout, server", Failure.BROKEN),
)


def classify(words: str) -> Failure:
    """Return what ssh's standard error means."""
    return next((failure for text, failure in _MESSAGES if text in words), Failure.OTHER)


def explain(lines: Sequence[str]) -> str:
    """Return why a connection failed, for a person, with the last thing that ssh said about it."""
    if not lines:
        return ""
    failure = classify("\n".join(lines))
    # What socat puts before its words is a time and a pid: another one for each try.
    return f"{failure.value} ({lines[-1].rpartition('] E ')[2].strip()})"


class SshdLog:
    """Logs what sshd says: routine at debug level, the same thing about a caller once a minute.

    A peer that is refused comes again every two seconds.
    """

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._seen: dict[str, float] = {}

    def __call__(self, line: str) -> None:
        """Log one line of sshd's."""
        now = self._clock()
        self._seen = {text: when for text, when in self._seen.items() if now - when < REPEAT_AFTER}
        text = _PORT.sub("", line)
        quiet = text in self._seen or _ROUTINE.search(line) is not None
        self._seen.setdefault(text, now)
        self._log.log(logging.DEBUG if quiet else logging.INFO, "%s", line)

"""Digests of settings: nodes see which ones differ without revealing their values."""

import hmac
from collections.abc import Mapping
from typing import Final

from sidecar.core.settings import Settings
from sidecar.settings.schema import SCHEMA

_OWN: Final = frozenset(
    {
        "HA_NODE",
        "HA_INTERFACE",
        "HA_HTTP_LISTEN",
        "HA_SECRET",
        "LOG_LEVEL",
        "LOG_FORMAT",
        "NO_COLOR",
    }
)
"""What may differ from node to node; and the secret, without which there is no link to tell by."""


def digests(settings: Settings) -> Mapping[str, str]:
    """Return a digest of each setting that should be the same on every node, by variable.

    The key is the secret that all share: who does not have it cannot try out values. While it is
    being changed there is no such secret, and no digest.
    """
    secret, *former = settings.secrets
    if former:
        return {}
    key = b"kiss-ha 1 settings " + secret.encode()
    return {
        row.variable: hmac.digest(
            key, f"{row.variable}={getattr(settings, row.field)!r}".encode(), "sha256"
        ).hex()[:12]
        for row in SCHEMA
        if row.variable not in _OWN
    }

"""The keys of the link, derived from HA_SECRET: the same everywhere, so there is nothing to pin.

Run as a program of its own: the library that derives keys is large, and the daemon is not.
"""

import json
import sys
from dataclasses import asdict, dataclass, field
from typing import Final

from sidecar.host.process import run_module

_WITHIN: Final = 30.0

CLIENT: Final = b"kiss-ha 1 ssh client key"
"""What the client's key is derived for; with another text it is another key."""

HOST: Final = b"kiss-ha 1 ssh host key"
"""What the host's key is derived for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """An ed25519 key pair in the formats of OpenSSH."""

    private: str = field(repr=False)
    public: str
    """`ssh-ed25519 AAAA…`, without a comment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """All keys of a node."""

    host: KeyPair
    client: KeyPair


def keys(secret: str) -> Keys:
    """Return the keys that `secret` gives."""
    return Keys(host=derive(secret, HOST), client=derive(secret, CLIENT))


async def keys_from_aside(secret: str) -> Keys:
    """Return the keys that `secret` gives; raise ProgramError if they cannot be derived."""
    answer = json.loads(await run_module(__name__, stdin=secret.encode(), timeout=_WITHIN))
    return Keys(host=KeyPair(**answer["host"]), client=KeyPair(**answer["client"]))


def derive(secret: str, purpose: bytes) -> KeyPair:
    """Return the key pair that `secret` gives for `purpose` (HKDF with SHA-256, RFC 5869)."""
    # Imported here, as said above.
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PrivateKey,
    )
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    seed = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose).derive(
        secret.encode()
    )
    key = Ed25519PrivateKey.from_private_bytes(seed)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return KeyPair(private=private.decode(), public=public.decode())


if __name__ == "__main__":
    print(json.dumps(asdict(keys(sys.stdin.read()))))

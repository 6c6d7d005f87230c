"""The keys of the link, derived from HA_SECRET: the same everywhere, so there is nothing to pin."""

from dataclasses import dataclass, field
from typing import Final

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


def derive(secret: str, purpose: bytes) -> KeyPair:
    """Return the key pair that `secret` gives for `purpose` (HKDF with SHA-256, RFC 5869)."""
    # Imported here: it is big, and most commands never derive a key.
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

"""The keys of the link, derived from HA_SECRET: the same everywhere, so there is nothing to pin.

Run as a program of its own: the library that derives keys is large, and the daemon is not.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

from msgspec import convert

from sidecar.host.process import run_module

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

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

    @property
    def digest(self) -> str:
        """What tells these keys from others, and nothing of the secret that sshd does not show."""
        return hashlib.sha256(self.host.public.encode()).hexdigest()


def keys(secret: str) -> Keys:
    """Return the keys that `secret` gives."""
    return Keys(host=derive(secret, HOST), client=derive(secret, CLIENT))


async def keys_from_aside(secrets: Sequence[str]) -> tuple[Keys, ...]:
    """Return the keys that each secret gives; raise ProgramError if they cannot be derived."""
    given = json.dumps(secrets).encode()
    return convert(json.loads(await run_module(__name__, stdin=given, timeout=_WITHIN)), _ALL)


def derive(secret: str, purpose: bytes) -> KeyPair:
    """Return the key pair that `secret` gives for `purpose` (HKDF with SHA-256, RFC 5869)."""
    # Imported here, as said above.
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    key = private_key(secret, purpose)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return KeyPair(private=private.decode(), public=public.decode())


def private_key(secret: str, purpose: bytes) -> "Ed25519PrivateKey":
    """Return the private key that `secret` gives for `purpose`."""
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 # as above
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 # as above
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415 # as above

    seed = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose).derive(
        secret.encode()
    )
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed)


_ALL: Final = tuple[Keys, ...]

if __name__ == "__main__":
    print(json.dumps([asdict(keys(secret)) for secret in json.load(sys.stdin)]))

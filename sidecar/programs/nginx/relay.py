"""The certificate by which the nodes' relays know each other, derived from HA_SECRET.

It is the same on every node, bit for bit, so that there is nothing to exchange: whoever has the
secret has it. Made by a program of its own, as the keys of ssh are.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from sidecar.host import files
from sidecar.host.paths import Paths
from sidecar.host.process import run_module
from sidecar.programs.ssh_keys import private_key

NAME: Final = "kiss-ha"
"""For whom a certificate is: every node."""

PURPOSE: Final = b"kiss-ha 1 relay key"
"""What the key is derived for; with another text it is another key."""

_WITHIN: Final = 30.0
_FROM: Final = datetime(2000, 1, 1, tzinfo=UTC)
_TO: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""As RFC 5280 writes it for what has no end: nodes whose clocks are wrong still talk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Where certificate and key of a secret lie, and for whom they are."""

    both: Path
    """A file that has the two: nginx never reads one without the other."""
    trusted: Path
    """The certificates that are taken from others: two while HA_SECRET is being changed."""
    name: str = NAME

    @classmethod
    def below(cls, paths: Paths, shown: int) -> "Pair":
        """Return the places for a secret, by its place in HA_SECRET; only root can enter them."""
        directory = paths.run / "nginx"
        return cls(both=directory / f"relay-{shown}.pem", trusted=directory / "relay-trusted.pem")


async def install(paths: Paths, secrets: Sequence[str]) -> None:
    """Write what the relay needs for each of the secrets; raise ProgramError if that fails."""
    given = json.dumps(secrets).encode()
    found = json.loads(await run_module(__name__, stdin=given, timeout=_WITHIN))
    for number, pair in enumerate(found):
        files.write(Pair.below(paths, number).both, "".join(pair), mode=0o600)
    trusted = "".join(certificate for certificate, _ in found)
    files.write(Pair.below(paths, 0).trusted, trusted)
    paths.relay_sockets.mkdir(exist_ok=True)
    paths.relay_sockets.chmod(0o711)


def derive(secret: str) -> tuple[str, str]:
    """Return the certificate and its key that `secret` gives, as PEM."""
    # Imported here, as said above.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    key = private_key(secret, PURPOSE)
    # OpenSSL looks only at one of several trusted certificates with the same subject.
    digest = sha256(key.public_key().public_bytes_raw()).hexdigest()[:16]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{NAME} {digest}")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(_FROM)
        .not_valid_after(_TO)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, algorithm=None)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


if __name__ == "__main__":
    print(json.dumps([derive(secret) for secret in json.load(sys.stdin)]))

"""An archive for a bug report: texts without secrets."""

import gzip
import io
import tarfile
from collections.abc import Collection, Mapping

from sidecar.core.secret import HIDDEN, mask


def pack(contents: Mapping[str, str], secrets: Collection[str]) -> bytes:
    """Return a tar archive (gzip) of texts by name.

    What looks like a secret is hidden in each line, and `secrets` wherever they are.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in contents.items():
            data = redacted(text, secrets).encode(errors="backslashreplace")
            entry = tarfile.TarInfo(f"kiss-ha/{name}")
            entry.size, entry.mode = len(data), 0o600
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0)


def redacted(text: str, secrets: Collection[str]) -> str:
    """Return a text in which nothing is left that must stay secret."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return "\n".join(mask(line) for line in text.splitlines())

"""The two words of a history: the version of its format, and the snapshot that is live here."""

import re
from pathlib import Path
from typing import Final

from sidecar.core.digest import is_id
from sidecar.errors import SidecarError
from sidecar.host import files
from sidecar.sync.objects import DAMAGE, MODE, keeping, reading, set_aside

FORMAT: Final = 1
"""Version of the directory; a newer one is refused."""

_LONGEST: Final = 256
"""Bytes of each file that are read."""


class LostHeadError(SidecarError):
    """Which snapshot is live here cannot be read."""


def check_version(directory: Path) -> None:
    """Write the version of a new history; raise SidecarError where it has another one."""
    path = directory / "version"
    try:
        text = files.read(path, _LONGEST).strip()
    except FileNotFoundError:
        text = b""
    except OSError as error:
        set_aside(path, error.strerror or str(error))
        text = b""
    if not re.fullmatch(rb"[1-9][0-9]*", text):  # new, or damaged: manifests have a version too
        files.write(path, f"{FORMAT}\n", mode=MODE, durable=True)
    elif int(text) != FORMAT:
        raise SidecarError(
            f"cannot use the history in {directory}: its version is not {FORMAT}",
            "start the image that made it, or move it away: this node then asks its peers",
        )


def read_head(directory: Path) -> str | None:
    """Return the id of the snapshot that is live here; None before the first.

    Raise LostHeadError where what says so is damaged.
    """
    path = directory / "head"
    try:
        name = files.read(path, _LONGEST).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        with reading():
            if error.errno not in DAMAGE:
                raise
        raise _lost_head(path, error.strerror or str(error)) from error
    if not is_id(name):
        raise _lost_head(path, "it holds no id of a snapshot")
    return name


def write_head(directory: Path, snapshot: str | None) -> None:
    """Remember, durably, which snapshot is live here."""
    path = directory / "head"
    with keeping():
        if snapshot is None:
            files.remove(path, durable=True)
        else:
            files.write(path, f"{snapshot}\n", mode=MODE, durable=True)


def _lost_head(path: Path, cause: str) -> LostHeadError:
    return LostHeadError(
        f"cannot read the history: {path}: {cause}",
        "it is found again from the folders; or remove that file: this node then takes "
        "the configuration of its peers",
    )

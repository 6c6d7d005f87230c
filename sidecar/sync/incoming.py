"""What a pull has brought so far: nothing of it is believed."""

import logging
import os
import shutil
from pathlib import Path

from sidecar.core.history.manifest import MAX_TEXT, decode, decode_header, has_tree, identify
from sidecar.core.history.snapshot import Header
from sidecar.host import files
from sidecar.sync.objects import make_ours

log = logging.getLogger("history")


def prove(text: bytes, snapshot: str) -> Header:
    """Return the header of a text that has this id; raise ValueError if it has another one."""
    if identify(text) != snapshot:
        raise ValueError("its content has another hash")
    return decode_header(text)


def fetched(path: Path) -> Header | None:
    """Return the header of a fetched manifest; remove it and return None if it cannot be used."""
    try:
        with files.open_regular(path) as file:
            text = file.read(MAX_TEXT + 1)
            header = prove(text, path.name)
            if has_tree(text):
                decode(text)
            make_ours(file.fileno())
        return header
    except (ValueError, OSError) as error:
        log.warning("cannot use %s from a peer: %s", path.name, error)
        path.unlink()
        return None


def listing(directory: Path) -> list[Path]:
    """Return the files of a directory that may be missing; directories in it are removed."""
    if not directory.is_dir():
        return []
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
    return sorted(directory.iterdir())


def clean(incoming: Path) -> None:
    """Remove what is no directory where pulls put theirs; what has arrived in them stays."""
    for place in (incoming, *incoming.glob("*"), *incoming.glob("*/*")):
        if os.path.lexists(place) and (place.is_symlink() or not place.is_dir()):
            place.unlink()

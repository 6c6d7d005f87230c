"""Finds the snapshot that a person names."""

from typing import Final

from sidecar.core.history.graph import resolve
from sidecar.errors import RefusedError
from sidecar.sync.store import History

HEAD: Final = "head"
"""Names the snapshot that is live here."""


def lookup(history: History, text: str) -> str:
    """Return the id for its first digits, or for `head`; raise RefusedError."""
    if text == HEAD:
        head = history.head()
        if head is None:
            raise RefusedError("cannot use head: there is no snapshot yet")
        return head
    try:
        return resolve(text, history.ids())
    except ValueError as error:
        raise RefusedError(
            f"cannot use {text!r}: {error}", "`ha history` lists those that are known"
        ) from error

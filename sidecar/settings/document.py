"""The settings on paper: the rows of docs/settings.md, and `.env.example`."""

import textwrap
from collections.abc import Iterator
from typing import Final

from sidecar.settings.row import Row
from sidecar.settings.schema import SCHEMA

_HEAD: Final = """\
The settings of a node. Copy this file to .env, fill in the first three, and use the same .env on
every host. The others are shown with their default, or with an example if they have none. An empty
value counts as unset. For every X, X_FILE=/path reads the value of X from that file."""

_REQUIRED: Final = {
    "HA_NODES": "<address of host A>,<address of host B>",
    "HA_VIP": "<a free address of the same network>",
    "HA_SECRET": "",
}
"""Texts that no node starts with."""


def settings_rows() -> Iterator[tuple[str, str, str]]:
    """Give the rows of the table in docs/settings.md: name, default, meaning."""
    return ((f"`{row.variable}`", _default(row), _sentences(row)) for row in SCHEMA)


def env_example() -> str:
    """Return the whole `.env.example`."""
    return "\n".join([_comment(_HEAD), *(_lines(row) for row in SCHEMA)])


def _default(row: Row) -> str:
    if row.required:
        return "required"
    return f"`{row.default}`" if row.default else row.computed


def _sentences(row: Row) -> str:
    return f"{row.meaning}. Allowed: {row.allowed}."


def _lines(row: Row) -> str:
    if row.required:
        return f"{_comment(_sentences(row))}{row.variable}={_REQUIRED[row.variable]}\n"
    default = "" if row.default else f" Default: {row.computed}."
    text = _comment(f"{_sentences(row)}{default}")
    return f"{text}#{row.variable}={row.default or row.example}\n"


def _comment(text: str) -> str:
    lines = textwrap.wrap(text.replace("`", ""), width=98, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines)

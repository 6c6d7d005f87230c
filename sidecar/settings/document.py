"""The settings on paper: the table of docs/settings.md and `.env.example`.

`python -m sidecar.settings.document docs/settings.md .env.example` rewrites both in place.
"""

import re
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sidecar.errors import RefusedError, SidecarError
from sidecar.settings.schema import SCHEMA, Row

BEGIN: Final = "<!-- settings -->"
END: Final = "<!-- /settings -->"

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


def settings_table() -> str:
    """Return the table of docs/settings.md, in Markdown."""
    rows = ((f"`{row.variable}`", _default(row), _sentences(row)) for row in SCHEMA)
    cells = [("name", "default", "meaning"), ("---", "---", "---"), *rows]
    return "".join(
        f"| {' | '.join(cell.replace('|', '\\|') for cell in line)} |\n" for line in cells
    )


def env_example() -> str:
    """Return the whole `.env.example`."""
    return "\n".join([_comment(_HEAD), *(_lines(row) for row in SCHEMA)])


def rewrite(text: str, name: str) -> str:
    """Return the file `name`, now holding `text`, with what this module has to say in it.

    Raise RefusedError if it is a Markdown file without the two markers.
    """
    if not name.endswith(".md"):
        return env_example()
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not pattern.search(text):
        raise RefusedError(
            f"cannot write the settings into {name}: no place for them",
            f"put {BEGIN} and {END} where the table belongs",
        )
    return pattern.sub(lambda _: f"{BEGIN}\n{settings_table()}{END}", text)


def main(names: Sequence[str]) -> int:
    """Rewrite the named files in place and return the exit code."""
    for name in names:
        path = Path(name)
        try:
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            path.write_text(rewrite(text, name), encoding="utf-8")
        except SidecarError as error:
            print(error, file=sys.stderr)
            return error.exit_code
    return 0


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

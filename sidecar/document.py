"""The tables of the documents, and `.env.example`, made from the tables of the code.

`python -m sidecar.document docs/settings.md docs/commands.md .env.example` rewrites them in place.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from sidecar.commands.table import COMMANDS, Command, Parameter
from sidecar.errors import RefusedError, SidecarError
from sidecar.settings.document import env_example, settings_rows


def settings_table() -> str:
    """Return the table of docs/settings.md, in Markdown."""
    return _table(("name", "default", "meaning"), settings_rows())


def commands_table() -> str:
    """Return the table of docs/commands.md, in Markdown."""
    shown = (command for command in COMMANDS.values() if command.shown)
    return _table(
        ("command", "what it does"), ((f"`{_usage(one)}`", _meaning(one)) for one in shown)
    )


_TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "settings": settings_table,
    "commands": commands_table,
}
"""By what the marks around them say: `<!-- settings -->` and `<!-- /settings -->`."""

_PLACE: Final = re.compile(rf"<!-- ({'|'.join(_TABLES)}) -->\n.*?<!-- /\1 -->", re.DOTALL)


def rewrite(text: str, name: str) -> str:
    """Return the file `name`, now holding `text`, with what this module has to say in it.

    Raise RefusedError if it is a Markdown file without a place for a table.
    """
    if not name.endswith(".md"):
        return env_example()
    if not _PLACE.search(text):
        raise RefusedError(
            f"cannot write a table into {name}: no place for it",
            "put <!-- settings --> and <!-- /settings --> where the table belongs",
        )
    return _PLACE.sub(lambda at: f"<!-- {at[1]} -->\n{_TABLES[at[1]]()}<!-- /{at[1]} -->", text)


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


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(
        f"| {' | '.join(cell.replace('|', '\\|') for cell in line)} |\n" for line in lines
    )


def _usage(command: Command) -> str:
    return " ".join(["ha", command.name, *map(_name, command.parameters)])


def _name(parameter: Parameter) -> str:
    if option := _option(parameter):
        return f"[{option}]"
    return f"[{parameter.shown}]" if parameter.optional else parameter.shown


def _option(parameter: Parameter) -> str:
    """Return an option as it is given; empty for what stands behind the command."""
    if not (parameter.kind is bool or parameter.option):
        return ""
    option = f"--{parameter.name.replace('_', '-')}"
    if parameter.bare is not None:
        return f"{option}[={parameter.shown}]"
    return f"{option} {parameter.shown}".rstrip()


def _meaning(command: Command) -> str:
    options = (
        f"; `{option}`: {parameter.help}"
        for parameter in command.parameters
        if (option := _option(parameter))
    )
    return f"{command.help}{''.join(options)}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`ha completion`: what bash needs to complete our commands, made from their table."""

from collections.abc import Iterator
from typing import Final

from sidecar.commands.context import Context
from sidecar.commands.table import COMMANDS, Command
from sidecar.errors import ExitCode

_SCRIPT: Final = """\
# bash completion of kiss-ha. In ~/.bashrc:
#   source <(docker run --rm kiss-ha:latest completion)

# The command in the directory of docker-compose.yml, in short.
ha() {{ docker compose exec sidecar ha "$@"; }}

# Given: where the words behind `ha` begin.
_kiss_ha() {{
    local IFS=" " word=${{COMP_WORDS[COMP_CWORD]}} words=
    case "${{COMP_WORDS[*]:$1:COMP_CWORD-$1}}" in
{cases}
    esac
    mapfile -t COMPREPLY < <(IFS=" "; compgen -W "$words" -- "$word")
}}

_kiss_ha_alone() {{ _kiss_ha 1; }}

# Behind `docker ... exec ... ha` the words are ours; all else is as it was.
_kiss_ha_in_docker() {{
    local at said=" "
    for ((at = 1; at < COMP_CWORD; at++)); do
        if [[ ${{COMP_WORDS[at]}} == ha && $said == *" exec "* ]]; then
            _kiss_ha $((at + 1))
            return
        fi
        said+="${{COMP_WORDS[at]}} "
    done
    if [[ $_kiss_ha_before ]]; then "$_kiss_ha_before" "$@"; fi
}}

if declare -F _comp_load >/dev/null; then _comp_load docker; fi
if [[ "$(complete -p docker 2>/dev/null)" =~ -F\\ ([^ ]+) ]]; then
    if [[ ${{BASH_REMATCH[1]}} != _kiss_ha_* ]]; then _kiss_ha_before=${{BASH_REMATCH[1]}}; fi
fi
complete -F _kiss_ha_alone ha
complete -o default -F _kiss_ha_in_docker docker
"""


def run(_context: Context) -> int:
    """Print the script."""
    print(script(), end="")
    return ExitCode.DONE


def script() -> str:
    """Return the script."""
    return _SCRIPT.format(cases="\n".join(_cases()))


def _cases() -> Iterator[str]:
    """Give a line for each text that may stand before the word to complete."""
    shown = [command for command in COMMANDS.values() if command.shown]
    firsts = dict.fromkeys(command.name.split()[0] for command in shown)
    yield _case("", " ".join(firsts))
    for first in firsts:
        below = [command.name.partition(" ")[2] for command in shown if _is_below(command, first)]
        options = [*_options(COMMANDS[first])] if first in COMMANDS else []
        if words := [*below, *options]:
            yield _case(first, " ".join(words))
    for command in shown:
        if " " in command.name and (words := [*_options(command)]):
            yield _case(command.name, " ".join(words))


def _case(said: str, words: str) -> str:
    return f'        "{said}") words="{words}" ;;'


def _is_below(command: Command, first: str) -> bool:
    return command.name.startswith(f"{first} ")


def _options(command: Command) -> Iterator[str]:
    for parameter in command.parameters:
        if parameter.kind is bool or parameter.option:
            yield f"--{parameter.name.replace('_', '-')}"
        elif "|" in parameter.shown:
            yield from (word for word in parameter.shown.split("|") if word.islower())
        elif parameter.shown == "SNAPSHOT":
            yield "head"

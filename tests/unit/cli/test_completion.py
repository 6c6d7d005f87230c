"""The script of `ha completion`, in a real bash."""

import subprocess

import pytest

from sidecar.commands.completion import script
from sidecar.commands.table import COMMANDS

_ASK = """
docker_before() {{ COMPREPLY=(docker-word); }}
complete -F docker_before docker
{script}
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
{function} >/dev/null
echo "${{COMPREPLY[*]}}"
"""


def completed(*words: str, function: str) -> set[str]:
    text = _ASK.format(script=script(), function=function)
    command = ["bash", "--norc", "-euc", text, "bash", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    assert not done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("ha", "roll"), {"rollback"}),
        (("ha", "status", ""), {"--json", "--watch", "--wait"}),
        (("ha", "sync", ""), {"hold", "release", "adopt", "--dry-run"}),
        (("ha", "sync", "adopt", ""), {"mine", "peer"}),
        (("ha", "rollback", ""), {"head"}),
        (("ha", "failover", ""), set()),
        (("ha", "nonsense", ""), set()),
    ],
)
def test_a_word_is_completed_as_the_table_of_commands_says(
    words: tuple[str, ...], expected: set[str]
) -> None:
    assert completed(*words, function="_kiss_ha_alone") == expected
    docker = ("docker", "compose", "exec", "sidecar", *words)
    assert completed(*docker, function="_kiss_ha_in_docker") == expected


def test_every_command_that_a_person_gives_is_offered() -> None:
    shown = {name.split()[0] for name, command in COMMANDS.items() if command.shown}
    assert completed("ha", "", function="_kiss_ha_alone") == shown


def test_all_else_of_docker_is_completed_as_before() -> None:
    for words in (("docker", "compose", ""), ("docker", "run", "ha", "")):
        assert completed(*words, function="_kiss_ha_in_docker") == {"docker-word"}


def test_it_can_be_read_again() -> None:
    text = f"{script()}\n{script()}\ncomplete -p ha docker"
    done = subprocess.run(
        ["bash", "--norc", "-euc", text], capture_output=True, text=True, check=True
    )
    assert not done.stderr
    assert "_kiss_ha_alone ha" in done.stdout

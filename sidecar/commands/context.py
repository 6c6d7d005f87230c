"""What every command may use: where things lie, the settings, the running node.

What is not needed by all is imported late: `ha health` is started every few seconds.
"""
# ruff: noqa: PLC0415 - the imports inside of functions, as said above

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidecar.commands.progress import progress
from sidecar.commands.table import COMMANDS
from sidecar.host.paths import Paths
from sidecar.web.client import Control

if TYPE_CHECKING:
    from sidecar.settings.load import Loaded

PATIENCE: Final = 2.0
"""Seconds to wait for an answer; HEALTHCHECK allows 10, since Python may start slowly."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where a command runs."""

    paths: Paths

    def loaded(self) -> "Loaded":
        """Return the settings; raise SettingsError if they are wrong."""
        from sidecar.settings.load import from_process

        return from_process(self.paths)

    def control(self, patience: float = PATIENCE) -> Control:
        """Return what asks the running node."""
        return Control(self.paths.control_socket, timeout=patience)

    def order(self, name: str, given: Mapping[str, object]) -> str:
        """Let the running node carry out a command; return what to print.

        Raise RefusedError if the answer is no, SidecarError if it failed.
        """
        command = COMMANDS[name]
        assert command.patience is not None
        with progress(f"ha {name}"):
            return self.control(command.patience).order(command, given)

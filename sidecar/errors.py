"""Every error that crosses a module boundary.

    SidecarError                      a problem with a cause and a way out
    ├── SettingsError                 the environment is wrong (exit 78), all problems at once
    ├── MachineError                  this machine failed: a full disk, a bad one, no rights
    ├── ProgramError                  a program that we ran refused or failed
    │   └── ProgramMissingError       it could not be started at all
    └── RefusedError                  the answer to a command is "no" (exit 1)

A message reads "cannot <do> <thing>: <cause>", and `hint` says what to change.
"""

from collections.abc import Sequence
from enum import IntEnum

from sidecar.core.words import counted


class ExitCode(IntEnum):
    """Exit codes of every command (sysexits.h where it has a word for it)."""

    DONE = 0
    NO = 1
    GAVE_UP = 10
    USAGE = 64
    INTERNAL = 70
    CONFIGURATION = 78


class SidecarError(Exception):
    """Base of all errors that carry a cause and a way out."""

    exit_code = ExitCode.INTERNAL

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message

    @property
    def line(self) -> str:
        """The cause and the way out, in one line."""
        return f"{self.message}; {self.hint}" if self.hint else self.message


class SettingsError(SidecarError):
    """One or more settings are wrong; `problems` lists each with what to change."""

    exit_code = ExitCode.CONFIGURATION

    def __init__(self, problems: Sequence[str], hint: str = "") -> None:
        self.problems = tuple(problems)
        lines = "".join(f"\n- {problem}" for problem in self.problems)
        count = counted(len(self.problems), "problem")
        super().__init__(f"cannot use the configuration: {count}{lines}", hint)


class MachineError(SidecarError):
    """This machine could not do it: it says nothing about what it was to do."""


class ProgramError(SidecarError):
    """A program refused its input or failed; the message holds its own words."""


class ProgramMissingError(ProgramError):
    """A program could not be started at all."""


class RefusedError(SidecarError):
    """A command was understood and the answer is no."""

    exit_code = ExitCode.NO

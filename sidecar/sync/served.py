"""What must serve a configuration well before it is accepted."""

from typing import Final, Protocol

from sidecar.core.history.snapshot import Tree
from sidecar.errors import ProgramError
from sidecar.host.process import run

HOOK_WITHIN: Final = 60.0


class Served(Protocol):
    """What serves the synced folders. None is a yes, any other answer says why not."""

    async def try_own(self, tree: Tree) -> str | None:
        """Serve what a person has written here."""

    async def try_peers(self, tree: Tree | None) -> str | None:
        """Serve what was just put in place: a peer's, or after a failure what was there before.

        The tree is None where that is not known. Raise MachineError where the reason lies in this
        machine.
        """

    async def ensure(self, tree: Tree | None) -> None:
        """Serve the folders as they are, if something else is served; None: no consistent scan."""

    async def cooldown(self, tree: Tree) -> float:
        """Return the seconds until a change should be tried that nobody waits for."""

    def hurry(self) -> None:
        """Try at once: a person waits."""

    def well(self) -> str | None:
        """Tell what is wrong with it at this moment."""


class ServedByHook:
    """A service of the user's: HA_HOOK_SYNC tells it, and its failure is a no."""

    def __init__(self, hook: str) -> None:
        self._hook = hook

    async def try_own(self, _tree: Tree) -> str | None:
        """Accept it: who wrote it here has told the service."""
        return None

    async def try_peers(self, _tree: Tree | None) -> str | None:
        """Run the hook."""
        if not self._hook:
            return None
        try:
            done = await run(["/bin/sh", "-c", self._hook], timeout=HOOK_WITHIN)
        except ProgramError as error:
            return error.message
        return f"HA_HOOK_SYNC ended with {done.code}: {done.last_words}" if done.code else None

    async def ensure(self, _tree: Tree | None) -> None:
        """Leave that to who wrote it."""

    async def cooldown(self, _tree: Tree) -> float:
        """Never wait."""
        return 0.0

    def hurry(self) -> None:
        """Never wait."""

    def well(self) -> str | None:
        """Believe so."""
        return None

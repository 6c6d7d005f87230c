"""The one owner of what nginx serves: test, reload, verify, and the knowledge of what it has read.

    an edit, a peer's snapshot ─► sync ─┐
    a file outside that nginx names ────┼─► look ─► nginx -T ─► HUP ─► new workers ─► loaded
    a rendered file, `ha reload` ───────┘             └─ refused: it serves on what it has loaded

What a guard of sync holds is never loaded, neither by a reload nor by a start.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from sidecar.core.containers.fleet import Taken
from sidecar.core.containers.plan import Fleet
from sidecar.core.history.snapshot import Tree
from sidecar.core.nginx import advice, named, of_this_machine
from sidecar.core.report import NginxReport
from sidecar.core.settings import Settings
from sidecar.core.sync_report import Hold
from sidecar.errors import MachineError, RefusedError
from sidecar.host import files
from sidecar.host.broadcast import Broadcast
from sidecar.host.paths import Paths
from sidecar.programs import nginx
from sidecar.serving.certificates import Certificates
from sidecar.serving.containers import ContainersFile
from sidecar.serving.loaded import LoadedConfiguration
from sidecar.serving.ports import Folders, Program
from sidecar.serving.reading import Reader, Reading
from sidecar.serving.start import WAITS_AFTER, NginxStart
from sidecar.serving.watching import Places, watch

log = logging.getLogger("nginx")

RETRY_LATER: Final = 30.0
"""Seconds after which what was refused is tried again, as its cause may lie elsewhere."""


class Serving:
    """Makes nginx serve what may be served.

    Given: the settings, the paths, the running nginx, the owner of the synced folders, the
    containers to serve, a check whether nginx serves well, and whether no other node could serve.
    """

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        program: Program,
        changes: Broadcast,
        *,
        folders: Callable[[], Folders],
        fleet: Callable[[], Fleet | None],
        well: Callable[[], str | None],
        alone: Callable[[], bool],
    ) -> None:
        self._paths, self._program, self._folders = paths, program, folders
        self.containers = ContainersFile(settings, paths, fleet)
        """What nginx thinks of the sites of containers."""
        self._reader = Reader(settings, paths, self.containers)
        self._loaded = LoadedConfiguration(
            self._reader, shared=frozenset({self.containers.path}), look_in=self._look_in
        )
        self._start = NginxStart(
            program,
            changes,
            folders=folders,
            test=self._test_for_start,
            served=lambda: bool(self._loaded),
            alone=alone,
        )
        self._well, self._changes = well, changes
        self._loading = asyncio.Lock()
        self._error: str | None = None
        """Why the files on disk are not loaded."""
        self._valid: bool | None = None
        self._reloads = Counter(success=0, failure=0)
        self._due: asyncio.TimerHandle | None = None
        self._look_again, self._moved = asyncio.Event(), asyncio.Event()
        self._validity = Certificates(paths, self._reader.folders, self.containers, self.look)

    def report(self) -> NginxReport:
        """Return what is known of the served configuration."""
        return NginxReport(
            enabled=True,
            config_valid=self._valid,
            config_error=self._error or "",
            stub_status=self._program.stub_status,
            reloads=dict(self._reloads),
            certificates=self.containers.known,
            servers=self._loaded.named.servers,
        )

    # What containers ask for

    def taken(self) -> Taken | None:
        """Return the hosts that containers cannot have; None before that is known."""
        return self.containers.taken(self._loaded.named) if self._loaded else None

    def look(self) -> None:
        """Load what has changed outside of the folders, as soon as that may be."""
        self._look_again.set()

    # What sync asks for

    async def try_own(self, tree: Tree) -> str | None:
        """Load what a person has written; the soak that follows outlasts the earlier workers."""
        return await self._load(tree, overlap=True)

    async def try_peers(self, tree: Tree | None) -> str | None:
        """Load what was put in place; then it alone is served.

        Raise MachineError where that fails for no reason that lies in it.
        """
        error = await self._load(tree)
        if error is not None and of_this_machine(error):
            raise MachineError(f"cannot load the configuration: {error}", "look at this host")
        return error

    async def ensure(self, tree: Tree | None) -> None:
        """Load the files on disk if nginx has read others, but not too often.

        Given: the tree of the synced folders, None while sync has no consistent scan of them.
        """
        if not self._program.working:
            return
        looked = await self._loaded.look(tree)
        if tree is None and not await self._loaded.lacks(looked):
            return
        if await self._loaded.matches(looked) and self._error is None:
            self._validity.look(self._loaded.named.certificates)
        elif (wait := await self._loaded.cooldown(looked)) > 0.0:
            self._look_in(wait)
        elif await self._load(tree):
            self._look_in(RETRY_LATER)

    def well(self) -> str | None:
        """Tell what is wrong with it at this moment."""
        return self._well()

    async def cooldown(self, tree: Tree) -> float:
        """Return the seconds until a change should be loaded that nobody waits for."""
        if self._start.asks_sync:  # whoever tried now would wait for a start that waits for him
            return WAITS_AFTER
        return await self._loaded.cooldown(await self._loaded.look(tree))

    def hurry(self) -> None:
        """Forget what was loaded lately: a person waits."""
        self._loaded.hurry()

    # What a person asks for

    async def reload(self) -> str:
        """Test, reload and verify now; return what to print, or raise RefusedError."""

        async def work(hold: Hold | None, tree: Tree | None) -> str | None:
            if hold is not None:
                raise RefusedError(f"cannot reload ({hold.reason}): {hold.message}", hold.hint)
            return await self._load(tree, force=True)

        if error := await self._folders().between(work):
            raise RefusedError(f"cannot reload: {error}", advice(error))
        return "reloaded: nginx has accepted the configuration and serves it"

    # What happens by itself

    async def run(self) -> None:
        """Notice what nobody else does, until cancelled."""
        async with asyncio.TaskGroup() as group:
            watching = watch(self._places, self._moved, self.look)
            group.create_task(watching, name="serving watch")
            group.create_task(self._refresh(), name="serving refresh")
            group.create_task(self._validity.run(), name="certificates")

    async def prepare(self) -> None:
        """Wait until there is a configuration that nginx accepts, before it is started."""
        nginx.remove_sockets(self._paths)
        try:
            await asyncio.to_thread(self._add_stock)
        except OSError:
            self._start.abandon()
            raise
        await self._start.find()

    async def _test_for_start(self) -> str | None:
        async def attempt() -> tuple[str | None, Reading]:
            looked = await self._loaded.look(None)
            await asyncio.to_thread(_write, looked.rendered)
            verdict = await nginx.verdict(self._paths.nginx)
            if verdict.error is None:
                await self._learn(looked, verdict.dump)
            return verdict.error, looked

        error = await self._with_or_without(attempt)
        self._judge(error)
        return error

    async def _with_or_without(
        self, attempt: Callable[[], Awaitable[tuple[str | None, Reading]]]
    ) -> str | None:
        """Try once more without what is new of containers, if nginx refuses something."""
        error, looked = await attempt()
        if error is None:
            return None
        if not await asyncio.to_thread(self.containers.suspend, looked.rendered, error):
            return error
        again, _ = await attempt()
        if again:  # it lies elsewhere
            self.containers.resume()
        else:
            log.error("the sites of containers stay as they were: %s", error)
            asyncio.get_running_loop().call_later(RETRY_LATER, self._resume)
        return again

    def _resume(self) -> None:
        self.containers.resume()
        self.look()

    def _add_stock(self) -> None:
        main = self._paths.nginx / "nginx.conf"
        if main.exists() or not self._folders().had(main):  # else it is a volume not mounted
            for path in nginx.install_stock(self._paths.nginx, self._paths.config / "nginx"):
                log.info("added the stock file %s", path)

    async def _load(
        self, tree: Tree | None, *, overlap: bool = False, force: bool = False
    ) -> str | None:
        """Make nginx read the files on disk if it has not yet; return why it does not.

        If anything fails, nginx keeps the configuration that it has loaded.
        """
        async with self._loading:
            if not await self._start.wait_until_working():
                return self._error or "nginx is not running"

            async def attempt() -> tuple[str | None, Reading]:
                looked = await self._loaded.look(tree)
                loaded = not force and await self._loaded.matches(looked)
                if loaded and self._error is None:
                    return None, looked
                await asyncio.to_thread(_write, looked.rendered)
                verdict = await nginx.verdict(self._paths.nginx)
                error = verdict.error
                if error is None and not loaded:
                    error = await self._program.reload(overlap=overlap)
                if error or not loaded:
                    self._reloads["failure" if error else "success"] += 1
                    await self._loaded.note_load(looked)
                if error is None:
                    self._judge(None)
                    await self._learn(looked, verdict.dump)
                    log.info("the configuration is loaded and served")
                return error, looked

            error = await self._with_or_without(attempt)
            if error:
                self._judge(error)
            return error

    async def _learn(self, looked: Reading, dump: str) -> None:
        """Remember what nginx has read, and what else it names now."""
        own = str(self._paths.run / "nginx")
        names = await asyncio.to_thread(named, dump, str(self._paths.nginx), own)
        new = await self._loaded.learn(looked, names)
        self.containers.accept(looked.rendered)
        self._validity.look(names.certificates)
        if new:
            self._moved.set()
            self._changes.announce()

    def _judge(self, error: str | None) -> None:
        if error is not None and error != self._error:
            hint = advice(error)
            log.error("the configuration is rejected: %s%s", error, f"; {hint}" if hint else "")
        changed = (self._valid, self._error) != (error is None, error)
        self._valid, self._error = error is None, error
        if changed:
            self._changes.announce()

    def _look_in(self, seconds: float) -> None:
        if self._due is not None:
            self._due.cancel()
        self._due = asyncio.get_running_loop().call_later(seconds, self._look_again.set)

    def _places(self) -> Places:
        roots = self._reader.unsynced if self._folders().watched else self._reader.folders
        return roots, self._reader.places(self._loaded.named)

    async def _refresh(self) -> None:
        """Load what changed outside of the folders, or could not be loaded at once."""

        async def work(hold: Hold | None, tree: Tree | None) -> None:
            if hold is None:
                await self.ensure(tree)

        while True:
            await self._look_again.wait()
            self._look_again.clear()
            await self._folders().between(work)


def _write(rendered: Mapping[Path, str]) -> None:
    for path, text in rendered.items():
        files.write(path, text)

"""The one owner of what nginx serves: test, reload, verify, and the knowledge of what it has read.

    an edit, a peer's snapshot ─► sync ─┐
    a file outside that nginx names ────┼─► look ─► nginx -T ─► HUP ─► new workers ─► loaded
    a rendered file, `ha reload` ───────┘             └─ refused: it serves on what it has loaded

What a guard of sync holds is never loaded, neither by a reload nor by a start.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Final, Protocol

from sidecar.core.cooldown import Cooldown
from sidecar.core.nginx import Named, advice, named, of_this_machine
from sidecar.core.report import NginxReport, StubStatus
from sidecar.core.settings import Settings
from sidecar.core.snapshot import Tree
from sidecar.core.sync import Hold
from sidecar.errors import MachineError, RefusedError
from sidecar.host import files
from sidecar.host.broadcast import Broadcast
from sidecar.host.paths import Paths
from sidecar.host.watch import Signature, changes, signature
from sidecar.programs import nginx
from sidecar.serving.reading import Reader, Reading, moved

log = logging.getLogger("nginx")

STARTED_WITHIN: Final = 5.0
"""Seconds that a reload waits for an nginx that is just starting."""

RETRY_EVERY: Final = 2.0
"""Seconds between two looks at a configuration that was refused at the start."""

ALONE_FOR: Final = 5.0
"""Seconds without another node that could serve, after which a start puts the last good one back:
until then who broke the configuration finds it as it was left.
"""

RETRY_LATER: Final = 30.0
"""Seconds after which what was refused is tried again, as its cause may lie elsewhere."""

SETTLED_AFTER: Final = 1.0
"""Seconds for which a file must rest where sync cannot say what is whole."""


class Program(Protocol):
    """The running nginx."""

    stub_status: StubStatus | None

    @property
    def working(self) -> bool:
        """It has workers."""

    async def reload(self, *, overlap: bool) -> str:
        """Make it read its configuration again; return why that failed."""


class Folders(Protocol):
    """The synced folders, and who watches over them."""

    @property
    def watched(self) -> bool:
        """Somebody tells of changes in them."""

    def had(self, path: Path) -> bool:
        """Tell whether the newest snapshot has a path."""

    async def between[T](self, work: Callable[[Hold | None, Tree | None], Awaitable[T]]) -> T:
        """Do something while nobody changes them.

        It is given what a guard says against loading them, and what lies there, if that is whole.
        """

    async def put_back(self, error: str = "") -> bool:
        """Put the last good state in place of what a guard holds, or nginx refuses with `error`.

        What lay there is kept. Return whether anything was put back.
        """


class Serving:
    """Makes nginx serve what may be served.

    Given: the settings, where things lie, the program, who has the folders, what tells that nginx
    serves well, and what tells that no other node could serve.
    """

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        program: Program,
        changes: Broadcast,
        *,
        folders: Callable[[], Folders],
        well: Callable[[], str],
        alone: Callable[[], bool],
    ) -> None:
        self._paths, self._program, self._folders = paths, program, folders
        self._synced = tuple(map(Path, settings.sync_paths))
        self._reader = Reader(settings, paths)
        self._well, self._alone, self._changes = well, alone, changes
        self._loading = asyncio.Lock()
        self._loaded: Reading | None = None
        """What nginx has read; None before it ever did."""
        self._glimpse: Reading | None = None
        """What lay there at the last look that could not be trusted."""
        self._named = Named()
        self._error = ""
        """Why what lies there is not loaded."""
        self._valid: bool | None = None
        self._reloads = Counter(success=0, failure=0)
        self._cooldown = Cooldown()
        self._starting = False
        """A start waits for another configuration than the one that lies there."""
        self._news = asyncio.Event()
        """Something may have changed for a start that waits."""
        self._due: asyncio.TimerHandle | None = None
        self._look_again, self._moved = asyncio.Event(), asyncio.Event()
        self._certificates_due = asyncio.Event()
        self._certificates: Mapping[str, float] = {}

    def report(self) -> NginxReport:
        """Return what is known of the served configuration."""
        return NginxReport(
            enabled=True,
            config_valid=self._valid,
            config_error=self._error,
            stub_status=self._program.stub_status,
            reloads=dict(self._reloads),
            certificates=self._certificates,
        )

    # What sync asks for

    async def try_own(self, tree: Tree) -> str:
        """Load what a person has written; the soak that follows outlasts the earlier workers."""
        return await self._load(tree, overlap=True)

    async def try_peers(self, tree: Tree | None) -> str:
        """Load what was put in place; then it alone is served.

        Raise MachineError where that fails for no reason that lies in it.
        """
        error = await self._load(tree)
        if of_this_machine(error):
            raise MachineError(f"cannot load the configuration: {error}", "look at this host")
        return error

    async def ensure(self, tree: Tree | None) -> None:
        """Load what lies there if that is not what nginx has read, unless that was often of late.

        Given: the synced folders, None where sync cannot tell what is whole there.
        """
        if not self._program.working:
            return
        looked = await asyncio.to_thread(self._reader.read, tree, self._named)
        if tree is None and not self._rests(looked):
            return
        if await self._knows(looked) and not self._error:
            self._certificates_due.set()
        elif (wait := self._wait(looked)) > 0.0:
            self._look_in(wait)
        elif await self._load(tree):
            self._look_in(RETRY_LATER)

    def well(self) -> str:
        """Tell what is wrong with it at this moment."""
        return self._well()

    async def cooldown(self, tree: Tree) -> float:
        """Return the seconds until what nobody waits for should be loaded."""
        return self._wait(await asyncio.to_thread(self._reader.read, tree, self._named))

    def hurry(self) -> None:
        """Forget what was loaded lately: a person waits."""
        self._cooldown = Cooldown()

    # What a person asks for

    async def reload(self) -> str:
        """Test, reload and verify now; return what to print, or raise RefusedError."""

        async def work(hold: Hold | None, tree: Tree | None) -> str:
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
            group.create_task(self._watch(), name="serving watch")
            group.create_task(self._refresh(), name="serving refresh")
            group.create_task(self._follow_certificates(), name="certificates")

    async def prepare(self) -> None:
        """Wait until there is a configuration that nginx accepts, before it is started."""
        nginx.remove_sockets(self._paths.run)
        await asyncio.to_thread(self._add_stock)
        alone_since: float | None = None
        try:
            while True:
                self._starting = True
                await self._folders().put_back()
                self._starting = False
                if not await self._test_for_start():
                    return
                self._starting = True
                now = time.monotonic()
                alone_since = (alone_since or now) if self._alone() else None
                # It has served before: whoever broke it since has been told.
                waited = alone_since is not None and now - alone_since >= ALONE_FOR
                if (self._loaded or waited) and await self._folders().put_back(self._error):
                    continue
                self._starting = False
                self._changes.announce()
                with suppress(TimeoutError):
                    async with asyncio.timeout(RETRY_EVERY):
                        await self._news.wait()
        finally:
            self._starting = False

    async def _test_for_start(self) -> str:
        self._news.clear()
        looked = await asyncio.to_thread(self._reader.read, None, self._named)
        await asyncio.to_thread(_write, looked.rendered)
        verdict = await nginx.verdict(self._paths.nginx)
        self._judge(verdict.error)
        if not verdict.error:
            await self._learn(looked, verdict.dump)
        return verdict.error

    def _add_stock(self) -> None:
        main = self._paths.nginx / "nginx.conf"
        if main.exists() or not self._folders().had(main):  # else it is a volume not mounted
            for path in nginx.install_stock(self._paths.nginx, self._paths.config / "nginx"):
                log.info("added the stock file %s", path)

    async def _load(self, tree: Tree | None, *, overlap: bool = False, force: bool = False) -> str:
        """Make nginx read what lies there if it has not yet; return why it does not.

        Whatever goes wrong, nginx goes on with what it has loaded.
        """
        async with self._loading:
            if not await self._wait_until_working():
                return self._error or "nginx is not running"
            looked = await asyncio.to_thread(self._reader.read, tree, self._named)
            loaded = not force and await self._knows(looked)
            if loaded and not self._error:
                return ""
            await asyncio.to_thread(_write, looked.rendered)
            verdict = await nginx.verdict(self._paths.nginx)
            error = verdict.error
            if not error and not loaded:
                error = await self._program.reload(overlap=overlap)
            if error or not loaded:
                self._reloads["failure" if error else "success"] += 1
                self._cooldown = self._cooldown.after(self._changed(looked), time.monotonic())
            self._judge(error)
            if not error:
                await self._learn(looked, verdict.dump)
                log.info("the configuration is loaded and served")
            return error

    async def _knows(self, looked: Reading) -> bool:
        """Tell whether nginx has read exactly that."""
        loaded = self._loaded
        if loaded is None:
            return False
        if loaded.tree is None and looked.tree is not None:
            whole = await asyncio.to_thread(self._reader.read, None, self._named)
            if whole == loaded:  # nothing has moved since it was read, so the tree is known now
                self._loaded = looked
            return whole == loaded
        return looked == loaded

    def _rests(self, looked: Reading) -> bool:
        """Tell whether there is anything at rest that nginx has not read.

        What moved between two looks is not, and waits; nothing is read for its sake alone.
        """
        before, self._glimpse = self._glimpse, looked
        restless = moved(before, looked) if before else frozenset()
        if before is None or restless:
            self._look_in(SETTLED_AFTER)
        loaded = self._loaded
        if before is None or loaded is None or loaded.tree is not None:
            return before is not None
        return looked.at_rest(restless) != loaded.at_rest(restless)

    async def _wait_until_working(self) -> bool:
        """Wait a moment for an nginx that starts."""
        self._news.set()
        deadline = time.monotonic() + STARTED_WITHIN
        while not self._program.working and not self._starting and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        return self._program.working

    async def _learn(self, looked: Reading, dump: str) -> None:
        """Remember what nginx has read, and what else it names now."""
        names = await asyncio.to_thread(named, dump, str(self._paths.nginx))
        self._loaded = await asyncio.to_thread(self._reader.loaded, looked, names)
        self._certificates_due.set()
        if names != self._named:
            self._named = names
            self._moved.set()

    def _judge(self, error: str) -> None:
        if error and error != self._error:
            hint = advice(error)
            log.error("the configuration is rejected: %s%s", error, f"; {hint}" if hint else "")
        changed = (self._valid, self._error) != (not error, error)
        self._valid, self._error = not error, error
        if changed:
            self._changes.announce()

    def _changed(self, looked: Reading) -> frozenset[str]:
        """Return the paths that nginx has not read as they are now."""
        return self._loaded.changed(looked) if self._loaded else frozenset()

    def _wait(self, looked: Reading) -> float:
        return self._cooldown.wait(self._changed(looked), time.monotonic())

    def _look_in(self, seconds: float) -> None:
        if self._due is not None:
            self._due.cancel()
        self._due = asyncio.get_running_loop().call_later(seconds, self._look_again.set)

    async def _refresh(self) -> None:
        """Load what changed outside of the folders, or could not be loaded at once."""

        async def work(hold: Hold | None, tree: Tree | None) -> None:
            if hold is None:
                await self.ensure(tree)

        while True:
            await self._look_again.wait()
            self._look_again.clear()
            await self._folders().between(work)

    async def _watch(self) -> None:
        while True:
            self._moved.clear()
            roots = self._reader.unsynced if self._folders().watched else self._reader.folders
            places = await asyncio.to_thread(self._reader.places, self._named)
            following = asyncio.create_task(self._follow(roots, places), name="serving follow")
            moving = asyncio.create_task(self._moved.wait(), name="serving moved")
            try:
                await asyncio.wait({following, moving}, return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    following.result()
            finally:
                for task in (following, moving):
                    task.cancel()
                await asyncio.gather(following, moving, return_exceptions=True)

    async def _follow(self, roots: tuple[Path, ...], places: frozenset[Path]) -> None:
        if not roots and not places:
            await asyncio.Event().wait()
        async with aclosing(changes(*roots, single=places)) as told:
            async for _ in told:
                self._look_again.set()

    async def _follow_certificates(self) -> None:
        """Know how long the certificates are valid."""
        known: Signature | None = None
        while True:
            await self._certificates_due.wait()
            self._certificates_due.clear()
            places = (*self._reader.folders, *map(Path, self._named.certificates))
            now = await asyncio.to_thread(_certificate_files, places)
            if now != known:
                self._certificates = await nginx.certificates(*places)
                known = now


def _certificate_files(places: tuple[Path, ...]) -> Signature:
    return signature(single=list(nginx.candidates(places)))


def _write(rendered: Mapping[Path, str]) -> None:
    for path, text in rendered.items():
        files.write(path, text)

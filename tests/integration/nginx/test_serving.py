"""One owner of what nginx serves, with a real nginx and without the rest of the daemon."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sidecar.core.history.snapshot import Tree
from sidecar.core.sync_report import Hold
from sidecar.errors import RefusedError
from sidecar.host.broadcast import Broadcast
from sidecar.serving.service import Serving
from sidecar.serving.start import WAITS_AFTER
from sidecar.vital.nginx import Nginx
from tests.integration.nginx.server import PATHS, get, settings, until, write
from tests.unit.sync.folder import look

if TYPE_CHECKING:
    from sidecar.core.containers.plan import Fleet

MAIN = "events {} http { include conf.d/*.conf; include /run/ha/nginx/*.conf; %s }"
HOLD = Hold(reason="mass-delete", message="30 files were deleted at once", hint="release it")


def site(answer: str) -> str:
    return f'server {{ listen 8080; return 200 "{answer}"; }}\n'


async def answers(word: str) -> bool:
    with suppress(OSError):
        return word in await get("any", port=8080)
    return False


@dataclass
class Folders:
    """Sync, as serving sees it."""

    hold: Hold | None = None
    whole: bool = True
    watched: bool = True
    good: str = ""
    asked: list[str | None] = field(default_factory=list)

    def had(self, _path: Path) -> bool:
        return False

    def tree(self) -> Tree | None:
        return look(PATHS.nginx) if self.whole else None

    async def between[T](self, work: Callable[[Hold | None, Tree | None], Awaitable[T]]) -> T:
        return await work(self.hold, self.tree())

    async def put_back(self, error: str | None = None) -> bool:
        self.asked.append(error)
        await asyncio.sleep(0.01)  # it looks at the disk
        if error and self.good:
            write("conf.d/a.conf", self.good)
            return True
        return False


class Place:
    """A running nginx with its owner."""

    def __init__(self) -> None:
        self.folders = Folders()
        self.fleet: Fleet | None = None
        changes = Broadcast()
        self.nginx = Nginx(PATHS, changes, prepare=self._prepare)
        self.serving = Serving(
            settings(),
            PATHS,
            self.nginx,
            changes,
            folders=lambda: self.folders,
            fleet=lambda: self.fleet,
            well=lambda: "",
            alone=lambda: False,
        )

    async def _prepare(self) -> None:
        await self.serving.prepare()

    @property
    def loads(self) -> int:
        return self.serving.report().reloads["success"]

    async def ensure(self) -> None:
        await self.serving.ensure(self.folders.tree())

    async def wait_loads(self, count: int) -> None:
        await until(lambda: self.loads >= count)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    write("nginx.conf", MAIN % "")
    write("conf.d/a.conf", site("one"))
    place = Place()
    tasks = [
        asyncio.create_task(place.nginx.supervisor.run()),
        asyncio.create_task(place.serving.run()),
    ]
    await until(lambda: place.nginx.working)
    yield place
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_a_start_has_read_is_not_loaded_again(place: Place) -> None:
    await place.ensure()
    assert place.loads == 0
    write("conf.d/a.conf", site("two"))
    await place.ensure()
    await place.ensure()
    assert place.loads == 1
    assert await answers("two")


async def test_the_same_bytes_again_clear_an_error_without_a_reload(place: Place) -> None:
    await place.ensure()
    write("conf.d/a.conf", "server { brokn; }")
    assert "brokn" in (await place.serving.try_own(look(PATHS.nginx)) or "")
    assert "brokn" in place.serving.report().config_error
    write("conf.d/a.conf", site("one"))
    await place.ensure()
    assert place.serving.report().config_error == ""
    assert place.loads == 0


async def test_a_changed_rendered_file_is_loaded(place: Place) -> None:
    await place.ensure()
    place.serving._reader._settings = settings(app__test="http://127.0.0.1:9")
    await place.ensure()
    await place.ensure()
    assert place.loads == 1
    assert "app.test" in (PATHS.run / "nginx" / "sites.conf").read_text()


async def test_files_in_no_folder_are_watched_and_loaded(place: Place, tmp_path: Path) -> None:
    write("nginx.conf", MAIN % f"include {tmp_path}/*.conf;")
    (tmp_path / "b.conf").write_text("map $host $b { default 1; }")
    assert await place.serving.try_own(look(PATHS.nginx)) is None
    await asyncio.sleep(0.3)  # nobody tells when the new places are watched
    (tmp_path / "b.conf").write_text("map $host $b { default 2; }")
    await place.wait_loads(2)
    (tmp_path / "c.conf").write_text("map $host $c { default 1; }")
    await place.wait_loads(3)
    (tmp_path / "b.conf").unlink()
    await place.wait_loads(4)


async def test_what_is_held_waits_also_for_files_elsewhere(place: Place, tmp_path: Path) -> None:
    write("nginx.conf", MAIN % f"include {tmp_path}/*.conf;")
    (tmp_path / "b.conf").write_text("map $host $b { default 1; }")
    assert await place.serving.try_own(look(PATHS.nginx)) is None
    await asyncio.sleep(0.3)  # as above
    place.folders.hold = HOLD
    (PATHS.nginx / "conf.d" / "a.conf").unlink()
    (tmp_path / "b.conf").write_text("map $host $b { default 2; }")
    with pytest.raises(RefusedError, match="mass-delete"):
        await place.serving.reload()
    await asyncio.sleep(1)
    assert place.loads == 1
    assert await answers("one")
    place.folders.hold = None
    await place.ensure()
    assert place.loads == 2


async def test_where_nothing_is_whole_only_what_rests_is_loaded(place: Place) -> None:
    await place.ensure()
    place.folders.whole = False
    write("conf.d/a.conf", site("two"))
    await place.ensure()
    assert place.loads == 0
    await place.wait_loads(1)
    assert await answers("two")
    for number in range(20):
        write("busy.log", f"{number}")
        await place.ensure()
    assert place.loads == 1


async def test_a_change_that_nobody_waits_for_comes_after_a_start_that_asks_sync() -> None:
    place = Place()
    write("nginx.conf", MAIN % "")
    write("conf.d/a.conf", site("one"))
    waits = [await place.serving.cooldown(look(PATHS.nginx))]
    await place.serving.prepare()
    waits.append(await place.serving.cooldown(look(PATHS.nginx)))
    assert waits == [WAITS_AFTER, 0.0]


async def test_a_reload_by_hand_says_why_it_is_refused(place: Place) -> None:
    assert (await place.serving.reload()).startswith("reloaded")
    write("conf.d/a.conf", "server { brokn; }")
    with pytest.raises(RefusedError, match="brokn"):
        await place.serving.reload()


async def test_a_start_with_what_was_broken_since_puts_the_good_one_back(place: Place) -> None:
    write("conf.d/a.conf", "server { brokn; }")
    place.folders.good = site("good")
    master = place.nginx.supervisor.pid
    place.nginx.supervisor.kill()
    await until(lambda: place.nginx.supervisor.pid not in {master, None} and place.nginx.working)
    async with asyncio.timeout(5):
        while not await answers("good"):
            await asyncio.sleep(0.05)
    assert any("brokn" in str(error) for error in place.folders.asked)


async def test_what_replaces_a_broken_configuration_is_served_though_nginx_did_not_run(
    place: Place,
) -> None:
    write("conf.d/a.conf", "server { brokn; }")
    place.nginx.supervisor.kill()
    await until(lambda: "brokn" in place.serving.report().config_error)
    for _ in range(3):
        assert "brokn" in (await place.serving.try_own(look(PATHS.nginx)) or "")
    write("conf.d/a.conf", site("two"))
    assert await place.serving.try_peers(look(PATHS.nginx)) is None
    assert await answers("two")

"""The status page in a real browser, in all states of a pair.

Pictures of each state are kept in the directory `build/pictures`.
"""

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from sidecar.core.report import Report
from sidecar.web.app import monitoring_app
from sidecar.web.page import Pages
from tests.integration.page.states import STATES, A, B

KEPT: Final = Path("/pictures")
"""Where the Makefile mounts a directory of the host's."""

DESKTOP: Final = (1280, 900)
PHONE: Final = (390, 844)
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")

HEADLINES: Final = {
    "well": f"{A} holds the VIP",
    "backup": f"{A} holds the VIP",
    "peer-down": f"{A} holds the VIP",
    "held": f"{A} holds the VIP",
    "draining": f"{A} holds the VIP",
    "split": f"Split brain: {A} and {B} hold the VIP",
    "other-version": f"{A} holds the VIP",
    "broken": f"{B} holds the VIP",
    "three": f"{A} holds the VIP",
    "starting": "The VIP holder is unknown",
    "hostile": f"{A} holds the VIP",
}


class Server:
    """The node's own web application, in a thread; `report` may be replaced at any time."""

    def __init__(self) -> None:
        self.report = STATES["well"]
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    @contextmanager
    def running(self) -> Iterator["Server"]:
        self._thread.start()
        assert self._up.wait(10)
        try:
            yield self
        finally:
            self.stop()
            self._loop.close()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _report(self) -> Report:
        return self.report

    async def _run(self) -> None:
        pages = Pages(Path("/src/config/page"), ZoneInfo("Europe/Berlin"))
        runner = web.AppRunner(monitoring_app(self._report, pages))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        self._up.set()
        await self._stop.wait()
        await runner.cleanup()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server().running() as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium-headless-shell",
            args=["--no-sandbox", "--disable-dev-shm-usage"],
            env={"HOME": home},
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pictures() -> Path:
    return KEPT if KEPT.is_dir() else Path(tempfile.mkdtemp(prefix="pictures-"))


@contextmanager
def opened(browser: Browser, *, script: bool = True) -> Iterator[tuple[Page, list[str]]]:
    """A tab, and what the browser complains about."""
    width, height = DESKTOP
    context = browser.new_context(
        viewport={"width": width, "height": height}, java_script_enabled=script
    )
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    page = context.new_page()
    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    try:
        yield page, complaints
    finally:
        context.close()


def violations(page: Page) -> list[str]:
    """Return what axe finds inaccessible, best practices included."""
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['target']}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize("state", STATES)
def test_each_state_reads_well_for_everybody(
    browser: Browser, server: Server, pictures: Path, state: str
) -> None:
    server.report = STATES[state]
    with opened(browser) as (page, complaints):
        page.goto(server.url)
        page.wait_for_selector(".live.on")
        assert page.locator("h1").inner_text() == HEADLINES[state]
        assert page.title() == HEADLINES[state]
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            assert violations(page) == []
            page.screenshot(path=pictures / f"{state}-desktop-{scheme}.png", full_page=True)
        page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
        assert violations(page) == []
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=pictures / f"{state}-phone-{scheme}.png", full_page=True)
        assert complaints == []


def test_what_is_not_known_looks_unknown(browser: Browser, server: Server) -> None:
    server.report = STATES["peer-down"]
    with opened(browser) as (page, _):
        page.goto(server.url)
        card = page.locator(".card", has_text=B)
        assert card.locator("header .badge").inner_text() == "unknown"
        assert card.locator(".value.good").count() == 0
        assert card.locator(".pairs").inner_text().count("unknown") == 3


def test_a_peer_of_an_older_version_is_shown_as_far_as_it_tells(
    browser: Browser, server: Server
) -> None:
    server.report = STATES["other-version"]
    with opened(browser) as (page, _):
        page.goto(server.url)
        card = page.locator(".card", has_text=B)
        assert card.locator("header .badge").inner_text() == "BACKUP"
        assert card.locator("p.unknown").count() == 2


def test_a_failover_appears_without_a_reload(browser: Browser, server: Server) -> None:
    with opened(browser) as (page, complaints):
        page.goto(server.url)
        page.evaluate("window.same = true")
        server.report = STATES["broken"]
        expect(page).to_have_title(HEADLINES["broken"])
        assert page.evaluate("window.same")
        assert page.locator("#problems li").count() > 0
        assert complaints == []


def test_a_stream_that_ends_is_taken_up_again(
    browser: Browser, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.web.page.STREAM_LASTS", 1.0)
    with opened(browser) as (page, complaints):
        with page.expect_request("**/events"):
            page.goto(server.url)
        with page.expect_request("**/events", timeout=10_000):
            pass
        assert page.locator(".live.on").count() == 1
        assert complaints == []


def test_a_node_that_does_not_answer_any_more_is_not_shown_as_well(
    browser: Browser, server: Server
) -> None:
    with opened(browser) as (page, _):
        page.clock.install()
        page.goto(server.url)
        page.wait_for_selector(".live.on")
        server.stop()
        page.clock.fast_forward(10_000)
        page.wait_for_selector("#lost:visible")
        assert page.locator("body.stale").count() == 1


def test_without_javascript_it_says_the_same_and_reloads_itself(
    browser: Browser, server: Server
) -> None:
    with opened(browser, script=False) as (page, complaints):
        page.goto(server.url)
        assert page.locator("h1").inner_text() == HEADLINES["well"]
        assert page.locator("#events li").count() > 10
        assert page.locator("noscript > meta[http-equiv=refresh]").count() == 1
        assert page.locator("#lost").is_hidden()
        assert complaints == []


def test_the_keyboard_reaches_the_status_first_and_all_links(
    browser: Browser, server: Server
) -> None:
    with opened(browser) as (page, _):
        page.goto(server.url)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the status"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        reached = []
        for _ in range(page.locator("main a, footer a").count()):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.getAttribute('href')"))
        assert reached == ["api/v1/status", "metrics", "readyz"]


def test_what_others_wrote_is_text(browser: Browser, server: Server) -> None:
    server.report = STATES["hostile"]
    with opened(browser) as (page, complaints):
        page.goto(server.url)
        page.wait_for_selector(".live.on")
        assert page.locator("img, main script").count() == 0
        assert page.get_by_text("<script>").count() > 0
        assert complaints == []

"""The status page: one self-contained document, and a stream that keeps it fresh."""

import asyncio
import base64
import hashlib
from collections.abc import Callable
from contextlib import suppress
from datetime import tzinfo
from pathlib import Path
from typing import Final

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sidecar.core.report import Report
from sidecar.core.show.page import page_of

STREAMS: Final = 32
"""Pages that are kept fresh at the same time; any further browser is asked to try again."""

STREAM_LASTS: Final = 8.0
"""Seconds; then the browser asks again, since no connection of ours lives long (ADR 16)."""

PACE: Final = 1.0
"""Seconds between two checks whether the page has changed."""

_AGAIN: Final = 200
"""Milliseconds until the browser asks again."""


class Pages:
    """Makes the page of a report. Reading its files blocks: make it in a thread."""

    def __init__(self, directory: Path, zone: tzinfo) -> None:
        environment = Environment(
            loader=FileSystemLoader(directory),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=True,
        )
        self._template = environment.get_template("page.html.j2")
        self._zone = zone
        self._style = (directory / "page.css").read_text(encoding="utf-8")
        self._script = (directory / "page.js").read_text(encoding="utf-8")
        self.icon = (directory / "icon.svg").read_bytes()
        self.policy = "; ".join(
            [
                "default-src 'none'",
                f"style-src {_hash(self._style)}",
                f"script-src {_hash(self._script)}",
                "connect-src 'self'",
                "img-src 'self'",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
            ]
        )
        """The Content-Security-Policy: nothing but this style, this script and this node."""

    def document(self, report: Report) -> bytes:
        """Return the whole page."""
        return self._render(report, fragment=False)

    def fragment(self, report: Report) -> bytes:
        """Return what changes in it."""
        return self._render(report, fragment=True)

    def _render(self, report: Report, *, fragment: bool) -> bytes:
        text = self._template.render(
            page=page_of(report, self._zone),
            fragment=fragment,
            style=self._style,
            script=self._script,
        )
        # A path may hold bytes that are no UTF-8.
        return text.encode(errors="replace")


class Streams:
    """Server-sent events (HTML standard, §9.2): the page when it has changed, else a heartbeat."""

    def __init__(self, fragment: Callable[[], bytes]) -> None:
        self._fragment = fragment
        self._open = 0
        self._closing = asyncio.Event()

    async def close(self, _app: web.Application) -> None:
        """End all streams."""
        self._closing.set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Keep a page fresh for some seconds."""
        if self._open >= STREAMS:
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "3"})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        self._open += 1
        try:
            await response.prepare(request)
            # Who has gone away is noticed at the next word.
            with suppress(ConnectionError):
                await self._tell(response, request.headers.get("Last-Event-ID", ""))
        finally:
            self._open -= 1
        return response

    async def _tell(self, response: web.StreamResponse, seen: str) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + STREAM_LASTS
        await response.write(f"retry: {_AGAIN}\n\n".encode())
        while loop.time() < until and not self._closing.is_set():
            page = self._fragment()
            now = hashlib.sha256(page).hexdigest()[:16]
            if now == seen:
                await response.write(b"event: beat\ndata:\n\n")
            else:
                seen = now
                lines = b"".join(b"data: " + line + b"\n" for line in page.splitlines())
                await response.write(b"event: page\nid: " + seen.encode() + b"\n" + lines + b"\n")
            with suppress(TimeoutError):
                async with asyncio.timeout(PACE):
                    await self._closing.wait()
        await response.write_eof()


def _hash(content: str) -> str:
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"'sha256-{digest}'"

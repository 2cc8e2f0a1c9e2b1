"""Headless Chromium for tests of the pages, and the pages served to it.

A missing Chromium is a skip by name and, under CI, a failure. Every page of a test reports what it must never do: ask
another host for anything, log an error to the console, or open a dialog.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, sync_playwright

from relay.demo.connections import free_port
from tests.support.tools import need

_FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run", "--disable-dev-shm-usage"),
]

Scheme = Literal["light", "dark"]

#: What the law and good practice ask for; axe has all of them by heart.
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@dataclass
class Sight:
    """One page in a browser, with what it did beside showing itself."""

    page: Page
    base: str
    requests: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)  #: must stay empty

    def open(self, path: str) -> Sight:
        """Go to one of our addresses."""
        self.requests.clear()
        self.page.goto(self.base + path)
        return self

    def violations(self) -> list[str]:
        """What axe finds wrong, one line each, with the place."""
        found = Axe().run(self.page, options={"runOnly": _RULES}).response["violations"]
        return [
            f"{one['id']} ({one['impact']}): {node['target']} {node['html'][:120]}"
            for one in found
            for node in one["nodes"]
        ]

    def overflows(self) -> int:
        """How many pixels the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def small_targets(self) -> list[str]:
        """Controls that a finger misses: below 24 by 24 pixels, links in running text left out (WCAG 2.5.8)."""
        return list(self.page.evaluate(_SMALL))


_SMALL = """() => [...document.querySelectorAll('a[href],button,input,select,textarea,summary')].filter(one => {
  const box = one.getBoundingClientRect(), style = getComputedStyle(one);
  if (!box.width || style.visibility === 'hidden' || one.type === 'hidden') return false;
  if (one.closest('.hidden,.skip')) return false;
  if (one.tagName === 'A' && style.display === 'inline') return false;
  const label = one.closest('label');
  if (label && label.getBoundingClientRect().height >= 24) return false;
  return box.width < 24 || box.height < 23.5;
}).map(one => one.outerHTML.slice(0, 120))"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser that Debian packages."""
    path = need("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def sight(
    browser: Browser,
    base: str,
    *,
    who: str | None = None,
    scheme: Scheme = "light",
    width: int = 1280,
    has_scripts: bool = True,
    locale: str = "en-GB",
) -> Iterator[Sight]:
    """Open a window of its own; `who` is the value of the session cookie."""
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
        java_script_enabled=has_scripts,
        locale=locale,
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(10_000)
    try:
        if who is not None:
            context.add_cookies([{"name": "waybill", "value": who, "url": base}])
        seen = Sight(context.new_page(), base)
        _watch(seen)
        yield seen
    finally:
        context.close()
    assert not seen.faults, seen.faults


def _watch(seen: Sight) -> None:
    host = urlsplit(seen.base).netloc

    def asked(request: Request) -> None:
        seen.requests.append(request.url)
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob", "about"} and parts.netloc != host:
            seen.faults.append(f"asked another host: {request.url}")

    def said(message: Any) -> None:
        if message.type == "error" and "the server responded with a status of" not in message.text:
            seen.faults.append(f"console: {message.text}")

    def dialog(one: Any) -> None:
        seen.faults.append(f"a dialog opened: {one.message}")
        one.dismiss()

    seen.page.on("request", asked)
    seen.page.on("console", said)
    seen.page.on("dialog", dialog)
    seen.page.on("pageerror", lambda error: seen.faults.append(f"script: {error}"))


@contextmanager
def serving(app: Any, port: int | None = None) -> Iterator[str]:
    """Serve an application in a thread of this process; give its address."""
    port = port or free_port()
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, name="pages", daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
        assert thread.is_alive()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
